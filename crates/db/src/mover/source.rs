//! The SQLite side: one connection, one transaction that holds the file's write lock from the first row to the fence.
//!
//! # Invariants
//! - Between [`Source::hold`] and [`Source::close`] nobody else writes, so what is read is what there is.
//! - Dropped, or killed, before [`Source::close`], it has changed nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, params};
use tokio::sync::mpsc;

use crate::config::Sqlite;
use crate::sqlite::fence::{self, Beside, Closed, MOVING, name};
use crate::{Fault, clock};

use super::digest::{Digest, RowText};
use super::encode::{encode, escape};
use super::plan::{Move, SourceTable};

/// How long those who write may take to let go.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much is handed over at once.
const CHUNK: usize = 256 << 10;

/// The file being moved.
pub(super) struct Source {
    conn: Connection,
    lock: Beside,
}

/// A piece of a table on its way: lines of COPY's text format.
pub(super) struct Chunk {
    pub(super) lines: Bytes,
    pub(super) rows: u64,
}

impl Source {
    /// Opens the file and says to its other users that it is being moved. Blocks.
    pub(super) fn open(path: &Path, config: &Sqlite) -> Result<Self, Fault> {
        if !path.is_file() {
            return Err(Fault::Unusable { why: format!("there is no database file {}", path.display()) });
        }
        let lock = taken(path)?;
        let conn = connect(path, config)?;
        Ok(Self { conn, lock })
    }

    /// Whether an earlier move has closed it.
    pub(super) fn closed(&self) -> Result<Option<Closed>, Fault> {
        fence::closed(&self.conn).map_err(|error| fault(&error))
    }

    pub(super) fn conn(&self) -> &Connection {
        &self.conn
    }

    /// Takes the write lock; from here on nobody else writes. Blocks.
    pub(super) fn hold(&self) -> Result<(), Fault> {
        self.conn.execute_batch("begin immediate").map_err(|error| match fault(&error) {
            Fault::Busy { .. } => Fault::Busy { after: PATIENCE },
            other => other,
        })
    }

    /// Every table with its columns and the number of its rows. Blocks.
    pub(super) fn tables(&self) -> Result<Vec<SourceTable>, Fault> {
        let fallible = || -> rusqlite::Result<Vec<SourceTable>> {
            let mut tables = self.conn.prepare(
                "select name from pragma_table_list where schema = 'main' and type = 'table' and name not like 'sqlite\\_%' escape '\\'
                 order by name",
            )?;
            let names: Vec<String> = tables.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
            let names = names.into_iter().filter(|name| !fence::is_own(name) && name != "burgeon_migration");
            names.map(|name| self.table(name)).collect()
        };
        fallible().map_err(|error| fault(&error))
    }

    fn table(&self, table: String) -> rusqlite::Result<SourceTable> {
        // 2 and 3 are generated columns, 1 those of virtual tables that `select *` does not show.
        let mut columns =
            self.conn.prepare("select name from pragma_table_xinfo(?1) where hidden = 0 order by cid")?;
        let columns = columns.query_map([&table], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let rows: i64 =
            self.conn.query_row(&format!("select count(*) from {}", name(&table)), [], |row| row.get(0))?;
        let known = "select count(*) from sqlite_schema where name = 'sqlite_sequence'";
        let highest = match self.conn.query_row(known, [], |row| row.get::<_, i64>(0))? {
            0 => None,
            _ => self.conn.query_row(
                "select max(seq) from sqlite_sequence where name = ?1",
                params![table],
                |row| row.get(0),
            )?,
        };
        Ok(SourceTable { name: table, columns, rows: rows.unsigned_abs(), highest })
    }

    /// Virtual tables: indexes of SQLite's own making, which the target has in another form or not at all. Blocks.
    pub(super) fn virtual_tables(&self) -> Result<Vec<String>, Fault> {
        let fallible = || -> rusqlite::Result<Vec<String>> {
            let mut tables = self
                .conn
                .prepare("select name from pragma_table_list where schema = 'main' and type = 'virtual'")?;
            tables.query_map([], |row| row.get(0))?.collect()
        };
        fallible().map_err(|error| fault(&error))
    }

    /// Hands a table's rows over, and answers what they come to. Ends early when nobody takes them. Blocks.
    pub(super) fn rows(&self, table: &Move, out: &mpsc::Sender<Chunk>) -> Result<Digest, Fault> {
        let columns: Vec<_> = table.columns.iter().map(|(column, _)| name(column)).collect();
        let sql = format!("select {} from {}", columns.join(", "), name(&table.table));
        let mut digest = Digest::default();
        let mut statement = self.conn.prepare(&sql).map_err(|error| fault(&error))?;
        let mut rows = statement.query([]).map_err(|error| fault(&error))?;
        let (mut lines, mut told, mut text) = (Vec::with_capacity(CHUNK + 4_096), 0, RowText::default());
        while let Some(row) = rows.next().map_err(|error| fault(&error))? {
            for (index, (column, to)) in table.columns.iter().enumerate() {
                if index > 0 {
                    lines.push(b'\t');
                }
                let value = row.get_ref(index).map_err(|error| fault(&error))?;
                match encode(value, to).map_err(|why| refused(table, digest.rows + 1, column, &why))? {
                    Some(encoded) => {
                        escape(&encoded.copy, &mut lines);
                        text.field(&encoded.canonical);
                    }
                    None => {
                        lines.extend_from_slice(b"\\N");
                        text.null();
                    }
                }
            }
            lines.push(b'\n');
            digest.add(&mut text);
            if lines.len() >= CHUNK {
                let full = std::mem::replace(&mut lines, Vec::with_capacity(CHUNK + 4_096));
                let chunk = Chunk { lines: full.into(), rows: digest.rows - told };
                told = digest.rows;
                if out.blocking_send(chunk).is_err() {
                    return Ok(digest);
                }
            }
        }
        // Who takes them may have gone: then it knows why.
        let _ = out.blocking_send(Chunk { lines: lines.into(), rows: digest.rows - told });
        Ok(digest)
    }

    /// A name for a move, like no other.
    pub(super) fn new_id(&self) -> Result<String, Fault> {
        let id = self.conn.query_row("select lower(hex(randomblob(16)))", [], |row| row.get(0));
        id.map_err(|error| fault(&error))
    }

    /// Puts the fence up and commits: from here on the file takes no more writes. Blocks.
    pub(super) fn close(&self, id: String, target: String) -> Result<(), Fault> {
        let now = "select cast(unixepoch('subsec') * 1000000 as integer)";
        let now: i64 = self.conn.query_row(now, [], |row| row.get(0)).map_err(|error| fault(&error))?;
        let at = Timestamp::from_microsecond(now).unwrap_or(Timestamp::UNIX_EPOCH);
        fence::close(&self.conn, &Closed { id, target, at })?;
        self.conn.execute_batch("commit").map_err(|error| fault(&error))
    }

    /// Lets go without having changed anything. Blocks.
    pub(super) fn leave(self) -> Result<(), Fault> {
        if !self.conn.is_autocommit() {
            self.conn.execute_batch("rollback").map_err(|error| fault(&error))?;
        }
        drop(self.lock);
        Ok(())
    }

    /// Takes the fence down again. Blocks.
    pub(super) fn reopen(&self) -> Result<(), Fault> {
        self.conn.execute_batch("begin immediate").map_err(|error| fault(&error))?;
        fence::reopen(&self.conn)?;
        self.conn.execute_batch("commit").map_err(|error| fault(&error))
    }
}

/// A serving process looks at the lock for a moment now and then, and so may be in the way for a moment.
fn taken(path: &Path) -> Result<Beside, Fault> {
    let started = clock::now();
    loop {
        let lock = Beside::take(path, MOVING).map_err(|error| Fault::Unusable {
            why: format!(
                "{} cannot be made ({error}); this user needs the right to write there",
                shown(path).display()
            ),
        })?;
        match lock {
            Some(lock) => return Ok(lock),
            None if clock::now().saturating_duration_since(started) > Duration::from_millis(500) => {
                return Err(Fault::Unusable {
                    why: "another process is moving this file at the moment".to_owned(),
                });
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn shown(path: &Path) -> PathBuf {
    fence::beside(path, MOVING)
}

fn connect(path: &Path, config: &Sqlite) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let fallible = || -> rusqlite::Result<Connection> {
        let conn = Connection::open_with_flags(path, flags)?;
        conn.busy_timeout(PATIENCE)?;
        // The fence must outlive a loss of power, whatever the application chose for its own writes.
        conn.pragma_update(None, "synchronous", "full")?;
        conn.pragma_update(None, "mmap_size", config.mmap.as_bytes() as i64)?;
        conn.pragma_update(None, "temp_store", "memory")?;
        // A file that is no database shows only when it is read.
        conn.query_row("select count(*) from sqlite_schema", [], |_| Ok(()))?;
        Ok(conn)
    };
    fallible().map_err(|error| crate::sqlite::faults::at_open(&error, path))
}

fn refused(table: &Move, row: u64, column: &str, why: &str) -> Fault {
    Fault::Unusable {
        why: format!(
            "`{}.{column}`, row {row} of the file's order: {why}; mend it and begin anew",
            table.table
        ),
    }
}

fn fault(error: &rusqlite::Error) -> Fault {
    crate::sqlite::faults::of(error)
}
