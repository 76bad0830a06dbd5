//! A file whose data has been moved elsewhere takes no more writes, whoever tries: this process, an older binary, a
//! person with a shell. The fence is in the file itself: a row that says where the data went, and triggers that refuse.
//!
//! While the move is under way there is no fence yet; the mover holds SQLite's own lock, and a lock on a file beside it
//! that says why (see [`is_moving`]), so that a serving process refuses writes at once instead of letting them wait.
//!
//! # Invariants
//! - The fence comes and goes in one transaction: a file is open or closed, never half.
//! - Reading goes on in both states.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::Fault;

use super::faults;

/// Every message of the fence begins so.
pub(super) const CLOSED: &str = "burgeon: closed: ";
const TABLE: &str = "burgeon_closed";
const PREFIX: &str = "burgeon_closed_";

/// That the file takes no more writes, and where the data is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The move's own id; the target knows it too.
    pub id: String,
    /// The target's address, without its password.
    pub target: String,
    /// When it was closed.
    pub at: Timestamp,
}

impl Closed {
    /// The sentence that whoever writes is told.
    pub fn sentence(&self) -> String {
        format!(
            "the data of this SQLite file was moved to {} at {:.0}, and it takes no more writes; set `database.url` to \
             the new address (`db move --undo` takes the file into use again)",
            self.target, self.at
        )
    }
}

/// Puts the fence up, within the transaction that is open; in place of an older one.
pub(crate) fn close(conn: &Connection, closed: &Closed) -> Result<(), Fault> {
    reopen(conn)?;
    let fallible = || -> rusqlite::Result<()> {
        conn.execute_batch(&format!(
            "create table {TABLE} (id text not null, target text not null, closed_at integer not null) strict"
        ))?;
        conn.execute(
            &format!("insert into {TABLE} values (?1, ?2, ?3)"),
            params![closed.id, closed.target, closed.at.as_microsecond()],
        )?;
        let message = format!("{CLOSED}{}", closed.sentence()).replace('\'', "''");
        let mut tables =
            conn.prepare("select name from pragma_table_list where schema = 'main' and type = 'table'")?;
        let tables: Vec<String> = tables.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        for table in tables.iter().filter(|table| !table.starts_with("sqlite_") && !is_own(table)) {
            for event in ["insert", "update", "delete"] {
                conn.execute_batch(&format!(
                    "create trigger {} before {event} on {} begin select raise(abort, '{message}'); end",
                    name(&format!("{PREFIX}{event}_{table}")),
                    name(table),
                ))?;
            }
        }
        Ok(())
    };
    fallible().map_err(|error| faults::of(&error))
}

/// Takes the fence down, within the transaction that is open.
pub(crate) fn reopen(conn: &Connection) -> Result<(), Fault> {
    let fallible = || -> rusqlite::Result<()> {
        let mut triggers = conn
            .prepare("select name from sqlite_schema where type = 'trigger' and name like ?1 escape '\\'")?;
        let like = format!("{}%", PREFIX.replace('_', "\\_"));
        let triggers: Vec<String> =
            triggers.query_map([like], |row| row.get(0))?.collect::<Result<_, _>>()?;
        for trigger in triggers {
            conn.execute_batch(&format!("drop trigger {}", name(&trigger)))?;
        }
        conn.execute_batch(&format!("drop table if exists {TABLE}"))
    };
    fallible().map_err(|error| faults::of(&error))
}

/// Whether the file is closed.
pub(crate) fn closed(conn: &Connection) -> rusqlite::Result<Option<Closed>> {
    let known = "select count(*) from sqlite_schema where type = 'table' and name = ?1";
    if conn.query_row(known, [TABLE], |row| row.get::<_, i64>(0))? == 0 {
        return Ok(None);
    }
    let row = |row: &rusqlite::Row<'_>| -> rusqlite::Result<Closed> {
        let at = Timestamp::from_microsecond(row.get(2)?).unwrap_or(Timestamp::UNIX_EPOCH);
        Ok(Closed { id: row.get(0)?, target: row.get(1)?, at })
    };
    conn.query_row(&format!("select id, target, closed_at from {TABLE}"), [], row).optional()
}

/// Whether the table is the fence's own.
pub(crate) fn is_own(table: &str) -> bool {
    table == TABLE
}

/// A table's or column's name as SQL writes it.
pub(crate) fn name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A lock on a file beside the database. The kernel's: it is gone with the process that held it, however that ended.
#[derive(Debug)]
pub(crate) struct Beside {
    file: File,
    path: PathBuf,
}

impl Beside {
    /// Takes the lock, or `None` when another holds it.
    pub(crate) fn take(database: &Path, what: &str) -> std::io::Result<Option<Self>> {
        let path = beside(database, what);
        loop {
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            // Who had it before has taken the file away in between: then this lock is on a file that nobody finds.
            let own = file.metadata()?;
            match std::fs::metadata(&path) {
                Ok(there) if (there.dev(), there.ino()) == (own.dev(), own.ino()) => {
                    return Ok(Some(Self { file, path }));
                }
                _ => {}
            }
        }
    }
}

impl Beside {
    /// The file, to write into it what people may want to know.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // While the lock is still held. A person may have been faster; then there is nothing to do.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The word behind the name of a database that is being moved.
pub(crate) const MOVING: &str = "moving";

/// The word behind the name of a database that a process serves from.
pub(crate) const SERVING: &str = "serving";

/// Whether the file's data is being moved away at this moment.
pub(super) fn is_moving(database: &Path) -> bool {
    let Ok(file) = OpenOptions::new().read(true).write(true).open(beside(database, MOVING)) else {
        return false;
    };
    // Taken and let go of at once. A mover that comes in between finds it taken, and says that another is at it: it
    // tries some times.
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

pub(crate) fn beside(database: &Path, what: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(format!("-{what}"));
    path.into()
}
