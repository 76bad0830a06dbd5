//! From SQLite to Postgres: an application's data, moved while it serves reads.
//!
//! What this is: a copy of every table, verified, and the end of the file's life as the place where writes go. What it is
//! not: a replication. There is one direction and one moment.
//!
//! ```text
//!  SQLite    lock ─── begin immediate ─── read ────────────────────── fence, COMMIT
//!  Postgres          migrate ─── begin ─── COPY ─── sequences ─── verify ───────── COMMIT ─── analyze
//!  a server          writes refused, reads served ─────────────────────────────── still so, until it is given the new address
//! ```
//!
//! One transaction on each side is the whole move. The file's write lock is held from the first row on, so what is
//! copied is one state, and the last one. Whatever stops the move before the fence, `kill -9` included, leaves the file
//! as it was and the target with empty tables: begin anew.
//!
//! # Invariants
//! - A target that holds the data means a file that takes no more writes: the fence is committed first. So nothing is
//!   ever written to the file that the target does not have.
//! - Verified means: of each table the same number of rows, and the same checksum over all of them, read from SQLite on
//!   their way and read back from Postgres, each value in a form that both engines share.
//! - Nothing is lost silently: a column, table or value that the target cannot hold stops the move by name.
//!
//! # When it breaks
//! Between the two commits (some milliseconds) the file is closed and the target may be empty. A failure there is told
//! apart: the commit was refused, and the file is opened again; or it was not answered, and the file stays closed until
//! the move is run again, which finds out, or [`Mover::undo`].

mod canonical;
mod differences;
mod digest;
mod encode;
mod plan;
mod source;
mod target;

use std::path::PathBuf;
use std::time::Duration;

use burgeon_core::{Ctx, Error, Result};
use burgeon_runtime::Tasks;
use tokio::sync::mpsc;
use tokio::time::Instant;

pub use self::plan::Left;
pub use crate::sqlite::fence::Closed;

use self::plan::Move;
use self::source::Source;
use self::target::Target;
use crate::{Config, Db, Engine, Fault, Migrator, STATEMENTS};

/// How many chunks may be read ahead of the server.
const AHEAD: usize = 4;
/// How long a target is asked, after its answer to the commit was lost, whether it has committed.
const DOUBT: Duration = Duration::from_secs(10);

/// Moves an application's data from a SQLite file to Postgres.
///
/// ```no_run
/// # use burgeon_core::{Ctx, Result};
/// # use burgeon_db::{Config, Db, Migrator, Mover};
/// # async fn example(db: &Db, ctx: &Ctx, tasks: &burgeon_runtime::Tasks, migrator: Migrator) -> Result<()> {
/// let moved = Mover::new(Config::at("sqlite:shop.db"), migrator).run(db, "postgres://db/shop", tasks, ctx, &mut |_| {}).await?;
/// println!("{} tables", moved.tables.len());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing is moved until `run` is awaited"]
pub struct Mover {
    from: Config,
    migrator: Migrator,
    leave: Vec<String>,
    rehearsal: bool,
}

/// How far a move has come.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// The file's write lock is held: from here on a serving process refuses writes.
    Held {
        /// How many rows there are in all tables.
        rows: u64,
    },
    /// Rows of this table were sent.
    Copied {
        /// The table.
        table: String,
        /// How many more.
        rows: u64,
    },
    /// Rows of this table were read back.
    Verified {
        /// The table.
        table: String,
        /// How many more.
        rows: u64,
    },
    /// The file is closed; the target's commit comes next.
    Closed,
}

/// What a move came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Every table that was copied, in the order of its foreign keys.
    pub tables: Vec<MovedTable>,
    /// Tables whose rows were not copied.
    pub left: Vec<Left>,
    /// How many sequences were set to go on.
    pub sequences: u64,
    /// What cannot be identical, as far as this application has to do with it.
    pub differences: Vec<String>,
    /// For how long writes were refused before the data was in its new place.
    pub took: Duration,
    /// It was taken back as it was meant to be: nothing has moved.
    pub rehearsal: bool,
}

/// One table that was copied and found equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedTable {
    /// Its name.
    pub table: String,
    /// How many rows it has, on both sides.
    pub rows: u64,
    /// What they come to, on both sides: 32 hexadecimal digits.
    pub checksum: String,
}

/// Told of each stage; called often.
pub type Told<'a> = &'a mut (dyn FnMut(Stage) + Send);

impl Mover {
    /// From the file that `from` names, with the application's own migrations.
    pub fn new(from: Config, migrator: Migrator) -> Self {
        Self { from, migrator, leave: Vec::new(), rehearsal: false }
    }

    /// Leaves this table out.
    pub fn leave(mut self, table: impl Into<String>) -> Self {
        self.leave.push(table.into());
        self
    }

    /// Copies and verifies, and then takes it all back.
    pub fn rehearsal(mut self) -> Self {
        self.rehearsal = true;
        self
    }

    /// Moves everything into `to`, an empty database, whose address without its password is `shown`. It takes as long as
    /// it takes; `ctx` bounds the wait for migrations alone.
    ///
    /// # Errors
    /// [`Fault::Unusable`] for what a person must decide or mend; whatever befell the engines. Unless the error says
    /// that the file stays closed, it is as it was.
    pub async fn run(&self, to: &Db, shown: &str, tasks: &Tasks, ctx: &Ctx, told: Told<'_>) -> Result<Moved> {
        let path = self.path().map_err(Fault::into_error)?;
        if to.engine() != Engine::Postgres {
            return Err(unusable(format!("the target {shown} is no Postgres database")));
        }
        let config = self.from.sqlite.clone();
        let opened = path.clone();
        let source = tasks.blocking("open a database", move || Source::open(&opened, &config)).await?;
        let source = Away { source: source.map_err(Fault::into_error)?, tasks };
        let (source, (closed, id)) =
            source.with("read a fence", |source| Ok((source.closed()?, source.new_id()?))).await?;
        if let Some(closed) = &closed {
            self.refuse_finished(to, closed, shown).await?;
        }
        // Before the lock is taken: migrations may take long, and writes go on meanwhile.
        self.migrator.run(to, ctx).await?;

        let started = Instant::now();
        let (source, (tables, virtual_tables)) = {
            let migrator = self.migrator.clone();
            let read = move |source: &Source| {
                source.hold()?;
                migrator.refuse_behind(source.conn())?;
                Ok((source.tables()?, source.virtual_tables()?))
            };
            source.with("take the write lock", read).await?
        };
        told(Stage::Held { rows: tables.iter().map(|table| table.rows).sum() });

        let fault = Fault::into_error;
        let mut target = Target::begin(to.direct().await.map_err(fault)?).await.map_err(fault)?;
        let there = target.tables().await.map_err(fault)?;
        let (moves, left) =
            plan::plan(&tables, &there, &self.leave).map_err(|wrong| unusable(wrong.join("\n")))?;
        target.claim(&moves).await.map_err(fault)?;

        let (source, tables) = copy(source, &target, &moves, told).await?;
        let mut sequences = 0;
        for table in &moves {
            sequences += target.advance(table).await.map_err(fault)?;
        }
        let collation = target.collation().await.map_err(fault)?;
        let differences = differences::differences(&moves, &there, &virtual_tables, &collation, &STATEMENTS);
        verify(&target, &moves, &tables, told).await?;

        // A move that is done again keeps its id, so that an answer that comes late is recognised.
        let id = closed.map_or(id, |closed| closed.id);
        let rows = tables.iter().map(|table| table.rows).sum();
        target.settle(&id, &path.display().to_string(), rows).await.map_err(fault)?;
        let finish =
            |rehearsal| Moved { tables, left, sequences, differences, took: started.elapsed(), rehearsal };
        if self.rehearsal {
            target.roll_back().await.map_err(fault)?;
            source.leave().await?;
            return Ok(finish(true));
        }

        // The fence before the target's commit: a copy that is in use has no sibling that still grows.
        let (own, shown) = (id.clone(), shown.to_owned());
        let (source, ()) = source.with("close the file", move |source| source.close(own, shown)).await?;
        told(Stage::Closed);
        self.commit(&target, to, &id, source).await?;
        let moved = finish(false);
        if let Err(fault) = target.analyze(&moves).await {
            tracing::warn!(%fault, "the moved tables have no statistics yet; autovacuum will make them");
        }
        Ok(moved)
    }

    /// Takes the file into use again: what closed it, if anything did. What was written to the target since the move is
    /// not in it.
    ///
    /// # Errors
    /// When there is no such file, or it cannot be written.
    pub async fn undo(&self, tasks: &Tasks) -> Result<Option<Closed>> {
        let path = self.path().map_err(Fault::into_error)?;
        let config = self.from.sqlite.clone();
        let reopen = move || {
            let source = Source::open(&path, &config)?;
            let closed = source.closed()?;
            if closed.is_some() {
                source.reopen()?;
            }
            source.leave()?;
            Ok(closed)
        };
        tasks.blocking("open a file again", reopen).await?.map_err(Fault::into_error)
    }

    fn path(&self) -> Result<PathBuf, Fault> {
        match self.from.engine() {
            Ok(Engine::Sqlite) => Ok(self.from.sqlite_path()),
            Ok(Engine::Postgres) => Err(Fault::Unusable {
                why: "the data is on Postgres already; name the SQLite file that it is to come from"
                    .to_owned(),
            }),
            Err(why) => Err(Fault::Unusable { why }),
        }
    }

    /// A file that is closed was moved, or a move ended between its two commits. The target knows which.
    async fn refuse_finished(&self, to: &Db, closed: &Closed, shown: &str) -> Result<()> {
        if closed.target != shown {
            return Err(unusable(format!("{}; to move it elsewhere, undo that first", closed.sentence())));
        }
        let connection = to.direct().await.map_err(Fault::into_error)?;
        if target::has(&connection, &closed.id).await.map_err(Fault::into_error)? {
            return Err(unusable(format!("this has been done: {}", closed.sentence())));
        }
        tracing::warn!("the file was closed by a move that the target does not know; it is done again");
        Ok(())
    }

    async fn commit(&self, target: &Target, to: &Db, id: &str, source: Away<'_>) -> Result<()> {
        let fault = match target.commit().await {
            Ok(()) => return source.leave().await,
            Err(Fault::OutcomeUnknown { why }) => match settled(to, id).await {
                Some(true) => return source.leave().await,
                Some(false) => Fault::Unavailable { why },
                None => {
                    return Err(Fault::OutcomeUnknown {
                        why: format!(
                            "the target was told to commit and has not answered ({why}). The file stays closed, so that \
                             nothing is written to it that the target might lack. Run the same command again when the \
                             target is back: it finds out what happened, and finishes. `db move --undo` opens the file \
                             again instead"
                        ),
                    }
                    .into_error());
                }
            },
            Err(fault) => fault,
        };
        // Known not to have been done: the file is what it was.
        let (source, ()) = source.with("open the file again", |source| source.reopen()).await?;
        source.leave().await?;
        Err(fault.into_error())
    }
}

/// A source that is lent to a blocking thread for each of its works.
struct Away<'a> {
    source: Source,
    tasks: &'a Tasks,
}

impl<'a> Away<'a> {
    async fn with<T: Send + 'static>(
        self,
        what: &'static str,
        work: impl FnOnce(&Source) -> Result<T, Fault> + Send + 'static,
    ) -> Result<(Self, T)> {
        let Self { source, tasks } = self;
        let run = move || {
            let result = work(&source);
            (source, result)
        };
        let (source, result) = tasks.blocking(what, run).await?;
        match result {
            Ok(value) => Ok((Self { source, tasks }, value)),
            Err(fault) => {
                // It ends here, and what it held with it; the first failure is the one that counts.
                let _ = tasks.blocking("let a file go", move || source.leave()).await?;
                Err(fault.into_error())
            }
        }
    }

    async fn leave(self) -> Result<()> {
        let Self { source, tasks } = self;
        tasks.blocking("let a file go", move || source.leave()).await?.map_err(Fault::into_error)
    }
}

/// Every table, in order, and what each comes to on its way.
async fn copy<'a>(
    mut source: Away<'a>,
    target: &Target,
    moves: &[Move],
    told: Told<'_>,
) -> Result<(Away<'a>, Vec<MovedTable>)> {
    let mut tables = Vec::with_capacity(moves.len());
    for table in moves {
        let (send, chunks) = mpsc::channel(AHEAD);
        let reading = table.clone();
        let read = source.with("read a table", move |source| source.rows(&reading, &send));
        let mut tell = |rows| told(Stage::Copied { table: table.table.clone(), rows });
        let (read, filled) = tokio::join!(read, target.fill(table, chunks, &mut tell));
        // A server that refuses makes the reading end early, so its words come first; but a value that was refused on the
        // way is what made the server miss its end.
        let (back, digest) = match (read, filled) {
            (Ok(read), Ok(_)) => read,
            (Err(error), _) => return Err(error),
            (Ok((source, _)), Err(fault)) => {
                source.leave().await?;
                return Err(fault.into_error());
            }
        };
        source = back;
        tables.push(MovedTable {
            table: table.table.clone(),
            rows: digest.rows,
            checksum: digest.to_string(),
        });
    }
    Ok((source, tables))
}

/// Reads everything back.
async fn verify(target: &Target, moves: &[Move], tables: &[MovedTable], told: Told<'_>) -> Result<()> {
    for (table, moved) in moves.iter().zip(tables) {
        let mut tell = |rows| told(Stage::Verified { table: table.table.clone(), rows });
        let digest = target.digest(table, &mut tell).await.map_err(Fault::into_error)?;
        if digest.rows != moved.rows || digest.to_string() != moved.checksum {
            return Err(unusable(format!(
                "`{}` is not the same on both sides: {} rows with checksum {} on SQLite, {} with {digest} on Postgres; \
                 nothing was kept. A trigger or a default on Postgres that changes rows as they come does this",
                moved.table, moved.rows, moved.checksum, digest.rows
            )));
        }
    }
    Ok(())
}

/// Whether the move of this id was committed after all; `None` when nobody can say.
async fn settled(to: &Db, id: &str) -> Option<bool> {
    let until = Instant::now() + DOUBT;
    while Instant::now() < until {
        let asked = async {
            let connection = to.direct().await?;
            // While the lock is held the transaction is still there, and undecided.
            let client = connection.client();
            let free = client.query_one("select pg_try_advisory_xact_lock($1)", &[&target::LOCK]).await;
            let free = free.and_then(|row| row.try_get::<_, bool>(0));
            match free {
                Ok(true) => target::has(&connection, id).await.map(Some),
                Ok(false) | Err(_) => Ok(None),
            }
        };
        match asked.await {
            Ok(Some(known)) => return Some(known),
            // It is still going on, or the server is away: asked again until nobody waits any more.
            Ok(None) | Err(Fault::Unavailable { .. }) => tokio::time::sleep(Duration::from_millis(500)).await,
            Err(_) => return None,
        }
    }
    None
}

fn unusable(why: String) -> Error {
    Fault::Unusable { why }.into_error()
}
