//! SQLite: one file, one thread that writes, several that read.

mod aside;
mod bind;
mod brief;
mod conn;
mod desk;
pub(crate) mod faults;
pub(crate) mod fence;
mod group;
mod inbox;
mod job;
mod readers;
mod tape;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use burgeon_core::{Ctx, Deadline};
use burgeon_meter::Meters;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use tokio::sync::mpsc;
use tokio::time::timeout_at;

pub(crate) use conn::Conn;
pub(crate) use desk::Session;
pub(crate) use tape::Tape;

use crate::meters::StatementMeters;
use crate::rows::{NewSink, Only, Sink};
use crate::stmt::{Class, Place, Text};
use crate::{Config, Engine, Fault, Row, Stmt, Value, clock};

use self::aside::Aside;
use self::brief::Briefs;
use self::desk::{Desk, Ended};
use self::fence::Closed;
use self::readers::Readers;
use self::writer::Writer;

/// What has begun before its deadline may answer so much after it: the end of a commit, not a new piece of work.
const GRACE: Duration = Duration::from_millis(250);
/// How many rows of a stream travel together.
const BATCH: usize = 256;

/// The engine over one file.
pub(crate) struct Sqlite {
    config: Config,
    writer: Writer,
    readers: Readers,
    aside: Aside,
    briefs: Arc<Briefs>,
}

impl Sqlite {
    /// Opens the file, making it if need be. Blocks.
    pub(crate) fn open(config: &Config, meters: &Meters) -> Result<Self, Fault> {
        let path = config.sqlite_path();
        check_place(&path)?;
        let writer = Conn::writer(&path, &config.sqlite).map_err(|error| faults::at_open(&error, &path))?;
        // A file that is no database shows only when it is read.
        writer
            .number("select count(*) from sqlite_schema")
            .map_err(|error| faults::at_open(&error, &path))?;
        let briefs = Arc::new(Briefs::new());
        let statements = Arc::new(StatementMeters::new(meters));
        let readers =
            Readers::start(&path, &config.sqlite, Arc::clone(&briefs), Arc::clone(&statements), meters)?;
        let writer = Writer::start(writer, &path, &config.sqlite, statements, meters)?;
        let aside = Aside::new(path, config.sqlite.clone());
        Ok(Self { config: config.clone(), writer, readers, aside, briefs })
    }

    /// Runs a statement for its rows.
    pub(crate) async fn rows(
        &self,
        ctx: &Ctx,
        text: Text,
        params: Vec<Value>,
        class: Class,
        sink: NewSink,
    ) -> Result<Box<dyn Sink>, Fault> {
        let (deadline, room_by) = (self.statement_deadline(ctx), self.room_deadline(ctx));
        let sql = text.clone();
        let work = move |conn: &Conn| conn.rows(sql.sql(Engine::Sqlite), &params, sink);
        match class {
            Class::Read => self.readers.read(text, deadline, room_by, work).await,
            // `returning`: the row may prove unreadable, or to be two, when the change is already made.
            Class::Write => self.writer.write(text, deadline, room_by, true, work).await,
        }
    }

    pub(crate) async fn execute(&self, ctx: &Ctx, text: Text, params: Vec<Value>) -> Result<u64, Fault> {
        let sql = text.clone();
        let work = move |conn: &Conn| conn.execute(sql.sql(Engine::Sqlite), &params);
        self.writer.write(text, self.statement_deadline(ctx), self.room_deadline(ctx), false, work).await
    }

    pub(crate) async fn insert_many(&self, ctx: &Ctx, text: Text, rows: Tape) -> Result<u64, Fault> {
        let sql = text.clone();
        let work = move |conn: &Conn| conn.insert_many(sql.sql(Engine::Sqlite), &rows);
        // A later row may fail when earlier ones are in.
        self.writer.write(text, self.statement_deadline(ctx), self.room_deadline(ctx), true, work).await
    }

    /// Opens a transaction: on the writer, or for reading on one of the readers.
    pub(crate) async fn begin(
        &self,
        ctx: &Ctx,
        deadline: Deadline,
        place: Place,
        class: Class,
    ) -> Result<Session, Fault> {
        let open_by = self.room_deadline(ctx).earlier(deadline);
        match class {
            Class::Write => self.writer.begin(open_by, deadline, place, Arc::clone(&self.briefs)).await,
            Class::Read => self.begin_reading(open_by, deadline, place).await,
        }
    }

    async fn begin_reading(
        &self,
        open_by: Deadline,
        deadline: Deadline,
        place: Place,
    ) -> Result<Session, Fault> {
        let (desk, ready) = Desk::new(deadline, place);
        let session = Session::new(Arc::clone(&desk), Arc::clone(&self.briefs));
        self.aside
            .start(open_by, move |conn| {
                if let Err(fault) = conn.and_then(|conn| snapshot(conn, &desk)) {
                    desk.refuse(fault);
                }
            })
            .await?;
        match timeout_at(open_by.instant().into(), ready).await {
            Ok(Ok(opened)) => opened.map(|()| session),
            Ok(Err(_)) | Err(_) => {
                Err(Fault::Overloaded { what: "a reader's thread did not start".to_owned() })
            }
        }
    }

    /// Every row, while later ones are still being read.
    pub(crate) fn stream<T: Row>(
        &self,
        ctx: &Ctx,
        text: Text,
        params: Vec<Value>,
    ) -> impl Stream<Item = Result<T, Fault>> + Send + 'static {
        let deadline = clock::deadline(ctx, self.config.stream_timeout);
        let room_by = self.room_deadline(ctx);
        let aside = self.aside.clone();
        let start = async move {
            let (rows, batches) = mpsc::channel::<Result<Vec<T>, Fault>>(2);
            aside
                .start(room_by, move |conn| {
                    let read = conn.and_then(|conn| in_batches(&conn, deadline, &text, &params, &rows));
                    if let Err(fault) = read {
                        // The reader of the stream may have gone meanwhile.
                        let _ = rows.blocking_send(Err(fault));
                    }
                })
                .await?;
            Ok(batches)
        };
        stream::once(start)
            .map_ok(|batches| {
                stream::unfold(batches, |mut batches| async { Some((batches.recv().await?, batches)) })
            })
            .try_flatten()
            .map(|batch| match batch {
                Ok(rows) => stream::iter(rows.into_iter().map(Ok).collect::<Vec<_>>()),
                Err(fault) => stream::iter(vec![Err(fault)]),
            })
            .flatten()
    }

    /// Whether the file answers.
    pub(crate) async fn health(&self, ctx: &Ctx) -> Result<(), Fault> {
        static HEALTH: Stmt =
            Stmt::new("health", Place { file: file!(), line: line!() }, ["select 1"; 2], Class::Read, 0);
        self.rows(ctx, Text::Static(&HEALTH), Vec::new(), Class::Read, Only::<i64>::sink).await.map(drop)
    }

    /// Whether the data has been moved elsewhere.
    pub(crate) async fn closed(&self, ctx: &Ctx) -> Result<Option<Closed>, Fault> {
        let place = Place { file: file!(), line: line!() };
        let deadline = self.statement_deadline(ctx);
        self.begin(ctx, deadline, place, Class::Read).await?.run(|conn| conn.closed()).await
    }

    /// See [`Writer::foreign_commits`].
    pub(crate) fn foreign_commits(&self) -> Option<Result<i64, Fault>> {
        self.writer.foreign_commits()
    }

    /// Ends the threads. Blocks.
    pub(crate) fn close(&self) {
        // The writer last: its checkpoint can only finish when nobody reads any more.
        self.aside.stop();
        self.readers.stop();
        self.writer.stop();
    }

    fn statement_deadline(&self, ctx: &Ctx) -> Deadline {
        clock::deadline(ctx, self.config.statement_timeout)
    }

    fn room_deadline(&self, ctx: &Ctx) -> Deadline {
        clock::deadline(ctx, self.config.acquire_timeout)
    }
}

/// A transaction that only reads: one snapshot for all its statements.
fn snapshot(conn: Conn, desk: &Desk) -> Result<(), Fault> {
    conn.run("begin").map_err(|error| faults::of(&error))?;
    let conn = Arc::new(Mutex::new(conn));
    if desk.open(&conn)
        && let Ended::Keep(reply) = desk.serve(&conn)
    {
        // Nothing was written: the end of the snapshot is all a commit means here. The task may have gone.
        let _ = reply.send(Ok(()));
    }
    Ok(())
}

fn in_batches<T: Row>(
    conn: &Conn,
    deadline: Deadline,
    text: &Text,
    params: &[Value],
    rows: &mpsc::Sender<Result<Vec<T>, Fault>>,
) -> Result<(), Fault> {
    conn.limit(deadline);
    let mut batch = Vec::with_capacity(BATCH);
    conn.each(text.sql(Engine::Sqlite), params, |row| {
        batch.push(row);
        if batch.len() < BATCH {
            return true;
        }
        let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
        rows.blocking_send(Ok(full)).is_ok()
    })?;
    // The reader of the stream may have gone meanwhile.
    let _ = rows.blocking_send(Ok(batch));
    Ok(())
}

/// Says what is wrong with the place of the file, where SQLite would only say that it cannot open it.
fn check_place(path: &Path) -> Result<(), Fault> {
    let unusable = |why: String| Err(Fault::Unusable { why });
    if path.is_dir() {
        return unusable(format!(
            "`database.url` names {}, which is a directory; name a file in it",
            path.display()
        ));
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !directory.is_dir() {
        return unusable(format!(
            "the directory {} does not exist; create it or change `database.url`",
            directory.display()
        ));
    }
    let read_only = |path: &Path| path.metadata().is_ok_and(|meta| meta.permissions().readonly());
    if read_only(path) {
        return unusable(format!(
            "the database file {} is write-protected; make it writable for this user (chmod u+w), or name another in `database.url`",
            path.display()
        ));
    }
    Ok(())
}
