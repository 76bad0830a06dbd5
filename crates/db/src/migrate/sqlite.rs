//! Migrations on SQLite: a transaction of the writer per file, in which history is read anew, so that two processes at
//! once apply a file once.

use burgeon_core::{Ctx, Deadline, Error, Result};

use super::plan::{self, Applied, Module, Pending};
use super::script::checksum;
use super::{FILE_LIMIT, MEMORY, Step, failed, parts_of, refused};
use crate::sqlite::{Conn, Sqlite};
use crate::stmt::{Class, Place};
use crate::{Engine, Fault, Value, clock};

const HISTORY: &str = "select module, name, checksum, took_ms from burgeon_migration order by module, name";
const KNOWN: &str = "select count(*) from sqlite_schema where type = 'table' and name = 'burgeon_migration'";
const RECORD: &str =
    "insert into burgeon_migration (module, name, checksum, took_ms) values (?1, ?2, ?3, ?4)";

/// Where the statements here are written, for errors.
const PLACE: Place = Place { file: file!(), line: line!() };

pub(super) async fn run(
    sqlite: &Sqlite,
    ctx: &Ctx,
    modules: &[&Module],
    beside_newer: bool,
) -> Result<Vec<Step>> {
    let mut done = Vec::new();
    loop {
        let deadline = clock::deadline(ctx, FILE_LIMIT);
        let session = sqlite.begin(ctx, deadline, PLACE, Class::Write).await.map_err(Fault::into_error)?;
        let applied = session.run(|conn| {
            conn.execute(MEMORY[0], &[])?;
            history(conn)
        });
        let applied = applied.await.map_err(Fault::into_error)?;
        let pending = plan::pending(modules, &applied, Engine::Sqlite, beside_newer).map_err(refused)?;
        let Some(next) = pending.first().copied() else {
            // Keeps the table, if this was the first time.
            session.commit().await.map_err(Fault::into_error)?;
            return Ok(done);
        };
        let parts = parts_of(&next, Engine::Sqlite)?;
        let ran = session.run(move |conn| {
            let started = clock::now();
            for part in parts {
                if let Err((fault, offset)) = conn.migrate(part.sql) {
                    return Ok(Err((offset.map_or(part.line, |offset| part.line_of_byte(offset)), fault)));
                }
            }
            let took = clock::now().saturating_duration_since(started);
            record(conn, &next, took.as_millis() as i64).map(Ok)
        });
        if let Err((line, fault)) = ran.await.map_err(Fault::into_error)? {
            return Err(failed(&next, line, &fault.to_string(), "nothing of it was done"));
        }
        session.commit().await.map_err(Fault::into_error)?;
        done.push(next.step());
    }
}

pub(super) async fn applied(sqlite: &Sqlite, ctx: &Ctx) -> Result<Vec<Applied>, Error> {
    let deadline: Deadline = clock::deadline(ctx, FILE_LIMIT);
    let session = sqlite.begin(ctx, deadline, PLACE, Class::Read).await.map_err(Fault::into_error)?;
    let applied = session.run(|conn| {
        if conn.optional::<i64>(KNOWN, &[])? == Some(1) { history(conn) } else { Ok(Vec::new()) }
    });
    applied.await.map_err(Fault::into_error)
}

/// As [`applied`], on a connection that is no engine's.
pub(super) fn applied_by(conn: &rusqlite::Connection) -> Result<Vec<Applied>, Fault> {
    let read = || -> rusqlite::Result<Vec<Applied>> {
        if conn.query_row(KNOWN, [], |row| row.get::<_, i64>(0))? == 0 {
            return Ok(Vec::new());
        }
        let mut history = conn.prepare(HISTORY)?;
        let rows = history.query_map([], |row| {
            Ok(Applied {
                module: row.get(0)?,
                name: row.get(1)?,
                checksum: row.get(2)?,
                took_millis: row.get(3)?,
            })
        })?;
        rows.collect()
    };
    read().map_err(|error| crate::sqlite::faults::of(&error))
}

fn history(conn: &Conn) -> Result<Vec<Applied>, Fault> {
    let rows: Vec<(String, String, String, i64)> = conn.all(HISTORY, &[])?;
    let applied = rows.into_iter();
    Ok(applied
        .map(|(module, name, checksum, took_millis)| Applied { module, name, checksum, took_millis })
        .collect())
}

fn record(conn: &Conn, pending: &Pending, took_millis: i64) -> Result<(), Fault> {
    let text = |text: &str| Value::Text(text.to_owned());
    let sum = Value::Text(checksum(pending.file.sql(Engine::Sqlite)));
    conn.execute(RECORD, &[text(pending.module), text(pending.file.name()), sum, Value::Big(took_millis)])
        .map(drop)
}
