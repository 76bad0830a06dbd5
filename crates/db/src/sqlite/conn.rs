//! One connection to the file: its settings, its statements, its time limit.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use burgeon_core::Deadline;
use rusqlite::{CachedStatement, Connection, OpenFlags};

use crate::config::{Sqlite, Synchronous};
use crate::row::{Columns, RowView};
use crate::rows::{All, NewSink, Only, Sink};
use crate::{Fault, Row, Value, clock};

use super::bind::bind;
use super::fence::Closed;
use super::tape::Tape;
use super::{faults, fence};

/// How many statements a connection keeps prepared.
const STATEMENTS: usize = 256;
/// How many steps of SQLite's machine pass between two looks at the clock: some tens of microseconds.
const STEPS: i32 = 2_000;

/// A connection and the moment past which what it runs is interrupted.
pub(crate) struct Conn {
    raw: Connection,
    limit: Arc<Limit>,
}

/// Read by the progress handler. Nanoseconds from `origin`, because an instant does not fit an atomic.
struct Limit {
    origin: Instant,
    until: AtomicU64,
}

impl Conn {
    /// The connection that writes. Makes the file if it is not there.
    pub(super) fn writer(path: &Path, config: &Sqlite) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_EXRESCODE;
        let conn = Self::open(path, flags)?;
        // The wait for the lock comes before the switch to WAL, which needs the file for itself for a moment.
        conn.pragma("busy_timeout", 5_000)?;
        conn.pragma("journal_mode", "wal")?;
        conn.pragma(
            "synchronous",
            match config.synchronous {
                Synchronous::Full => "full",
                Synchronous::Normal => "normal",
            },
        )?;
        conn.pragma("foreign_keys", "on")?;
        conn.pragma("journal_size_limit", config.wal_limit.as_bytes() as i64)?;
        conn.pragma("wal_autocheckpoint", 2_000)?;
        conn.sizes(config)?;
        // From here on the writer itself waits for the lock, so that it can answer those whose time is up.
        conn.pragma("busy_timeout", 0)?;
        Ok(conn)
    }

    /// A connection that cannot write.
    pub(super) fn reader(path: &Path, config: &Sqlite) -> rusqlite::Result<Self> {
        // Not opened read-only: a reader of a WAL file must be able to make the shared index when it is the first.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_EXRESCODE;
        let conn = Self::open(path, flags)?;
        conn.pragma("busy_timeout", 5_000)?;
        conn.sizes(config)?;
        conn.pragma("query_only", "on")?;
        Ok(conn)
    }

    fn open(path: &Path, flags: OpenFlags) -> rusqlite::Result<Self> {
        let raw = Connection::open_with_flags(path, flags)?;
        raw.set_prepared_statement_cache_capacity(STATEMENTS);
        rusqlite::vtab::array::load_module(&raw)?;
        let limit = Arc::new(Limit { origin: clock::now(), until: AtomicU64::new(u64::MAX) });
        let watched = Arc::clone(&limit);
        raw.progress_handler(STEPS, Some(move || watched.is_over()))?;
        Ok(Self { raw, limit })
    }

    fn sizes(&self, config: &Sqlite) -> rusqlite::Result<()> {
        // Negative is in kibibytes; positive would be in pages.
        self.pragma("cache_size", -(config.cache.as_bytes() as i64 / 1_024))?;
        self.pragma("mmap_size", config.mmap.as_bytes() as i64)?;
        self.pragma("temp_store", "memory")
    }

    fn pragma(&self, name: &str, value: impl rusqlite::ToSql) -> rusqlite::Result<()> {
        // Some answer with a row and some do not; either way only the error matters.
        self.raw.pragma_update(None, name, value)
    }

    /// What runs from now on is interrupted at `deadline`.
    pub(super) fn limit(&self, deadline: Deadline) {
        let until = deadline.instant().saturating_duration_since(self.limit.origin);
        let nanos = u64::try_from(until.as_nanos()).unwrap_or(u64::MAX);
        self.limit.until.store(nanos, Ordering::Relaxed);
    }

    /// What runs from now on is not interrupted.
    pub(super) fn no_limit(&self) {
        self.limit.until.store(u64::MAX, Ordering::Relaxed);
    }

    /// Runs a statement of the engine's own: begin, savepoint, pragma.
    pub(super) fn run(&self, sql: &str) -> rusqlite::Result<()> {
        let mut statement = self.raw.prepare_cached(sql)?;
        let mut rows = statement.raw_query();
        while rows.next()?.is_some() {}
        Ok(())
    }

    /// One number from a statement of the engine's own.
    pub(super) fn number(&self, sql: &str) -> rusqlite::Result<i64> {
        self.raw.query_row(sql, [], |row| row.get(0))
    }

    /// Whether the data has been moved elsewhere.
    pub(super) fn closed(&self) -> Result<Option<Closed>, Fault> {
        fence::closed(&self.raw).map_err(|error| faults::of(&error))
    }

    /// Whether no transaction is open.
    pub(super) fn is_idle(&self) -> bool {
        self.raw.is_autocommit()
    }

    /// The row, if there is one.
    pub(crate) fn optional<T: Row>(&self, sql: &str, params: &[Value]) -> Result<Option<T>, Fault> {
        let mut only = Only::new();
        self.pour(sql, params, &mut only)?;
        Ok(only.row)
    }

    /// Every row.
    pub(crate) fn all<T: Row>(&self, sql: &str, params: &[Value]) -> Result<Vec<T>, Fault> {
        let mut all = All::new();
        self.pour(sql, params, &mut all)?;
        Ok(all.rows)
    }

    /// The rows, in a sink of the caller's making.
    pub(crate) fn rows(&self, sql: &str, params: &[Value], sink: NewSink) -> Result<Box<dyn Sink>, Fault> {
        let mut sink = sink();
        self.pour(sql, params, &mut *sink)?;
        Ok(sink)
    }

    /// Hands over every row. To the end: an `insert .. returning` is done when it has been read.
    fn pour(&self, sql: &str, params: &[Value], sink: &mut dyn Sink) -> Result<(), Fault> {
        let mut statement = self.prepared(sql)?;
        bind(&mut statement, params)?;
        sink.begin(&Columns::sqlite(&statement), 0)?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(|error| faults::of(&error))? {
            sink.take(&RowView::sqlite(row))?;
        }
        Ok(())
    }

    /// Hands over every row until `take` answers that it has had enough.
    pub(super) fn each<T: Row>(
        &self,
        sql: &str,
        params: &[Value],
        mut take: impl FnMut(T) -> bool,
    ) -> Result<(), Fault> {
        let mut statement = self.prepared(sql)?;
        bind(&mut statement, params)?;
        let layout = T::layout(&Columns::sqlite(&statement)).map_err(Fault::misfit::<T>)?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(|error| faults::of(&error))? {
            let value = T::read(&RowView::sqlite(row), &layout).map_err(Fault::unreadable::<T>)?;
            if !take(value) {
                break;
            }
        }
        Ok(())
    }

    /// Runs a statement for its effect.
    pub(crate) fn execute(&self, sql: &str, params: &[Value]) -> Result<u64, Fault> {
        let mut statement = self.prepared(sql)?;
        bind(&mut statement, params)?;
        statement.raw_execute().map(|rows| rows as u64).map_err(|error| faults::of(&error))
    }

    /// Whether the statement fits the tables there are. It is not run.
    pub(crate) fn prepares(&self, sql: &str) -> Result<(), Fault> {
        self.raw.prepare(sql).map(drop).map_err(|error| faults::of(&error))
    }

    /// Runs a statement once for every row on the tape, and answers how many rows it touched in all.
    pub(crate) fn insert_many(&self, sql: &str, rows: &Tape) -> Result<u64, Fault> {
        let mut statement = self.prepared(sql)?;
        let (mut touched, mut left, width) = (0, rows.cursor(), statement.parameter_count());
        while !left.is_at_end() {
            for number in 1..=width {
                left.bind(&mut statement, number).map_err(|error| faults::of(&error))?;
            }
            touched += statement.raw_execute().map_err(|error| faults::of(&error))? as u64;
        }
        Ok(touched)
    }

    /// Runs one statement that is not the program's but a migration's. The error's offset says where in the text it is
    /// wrong, if SQLite knows.
    pub(crate) fn migrate(&self, sql: &str) -> Result<(), (Fault, Option<usize>)> {
        self.raw.execute_batch(sql).map_err(|error| {
            let offset = match &error {
                rusqlite::Error::SqlInputError { offset, .. } => usize::try_from(*offset).ok(),
                _ => None,
            };
            (faults::of(&error), offset)
        })
    }

    fn prepared(&self, sql: &str) -> Result<CachedStatement<'_>, Fault> {
        self.raw.prepare_cached(sql).map_err(|error| faults::of(&error))
    }
}

impl Limit {
    fn is_over(&self) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        until != u64::MAX && clock::now().saturating_duration_since(self.origin) > Duration::from_nanos(until)
    }
}
