//! Numbers that many count up at the same time: additions merged into one write.
//!
//! What this is: for views, likes, quotas, anything that many requests add to and few rows hold. While one write is
//! under way the additions that arrive are summed by row; the next write carries them all. So a thousand callers cost
//! a handful of statements, no row is locked twice at once by this process, and nobody waits for a window to fill.
//! What it is not: a cache; nothing is acknowledged before it is committed, unless it was only [noted](Increments::note).
//!
//! ```text
//!   add(7, 1) ─┐
//!   add(7, 1) ─┼── pending: 7 -> 2, 9 -> 5 ── one write ──> committed ──> each caller
//!   add(9, 5) ─┘        ^
//!                       └─ what arrives meanwhile is the next write
//! ```
//!
//! # Invariants
//! - Each addition is written once, or its caller is told that it was not, or that nobody knows.
//! - Rows are written in the order of their keys, so two processes that insert do not lock each other out.
//! - A row that refuses its addition (a check) fails for those who added to it, and for nobody else.
//! - A database that closes ends all windows and writes what is pending before; see [`Db::close`].

use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use burgeon_core::{Ctx, Error, Position, Result};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout_at};
use uuid::Uuid;

use crate::bulk::{Rows, quoted};
use crate::on::{Aim, Target};
use crate::postgres::called;
use crate::stmt::{Class, Dynamic, Place, Text};
use crate::{Db, Engine, Fault, Param, Type, Value, clock};

/// How many additions may wait for their write.
const WAITING: usize = 65_536;
/// How often a write is tried that another one got in the way of.
const TRIES: u32 = 3;

/// Additions to one column of one table. Cloning shares what is pending.
///
/// ```no_run
/// # use burgeon_core::{Ctx, Result};
/// # use burgeon_db::{Db, Increments};
/// # async fn example(db: &Db, ctx: &Ctx, product: i64) -> Result<()> {
/// // Once, where the module is built:
/// let views = Increments::new(db, "count_views", "product_views", "product", "views").or_insert();
/// // In every request:
/// views.add(ctx, product, 1).await
/// # }
/// ```
#[derive(Clone)]
pub struct Increments(Arc<Inner>);

struct Inner {
    db: Db,
    name: &'static str,
    place: Place,
    table: &'static str,
    key: &'static str,
    column: &'static str,
    inserts: bool,
    window: Duration,
    // Not a tokio mutex: nothing awaits under it.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pending: Batch,
    waiting: usize,
    /// A task is writing, and will look for more.
    writing: bool,
}

type Batch = BTreeMap<Key, Addition>;

/// Which row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Big(i64),
    Text(String),
    Uuid(Uuid),
}

/// What is to be added to a row, and who wants to know.
#[derive(Default)]
struct Addition {
    by: i64,
    callers: Vec<oneshot::Sender<Result<Position, Fault>>>,
}

impl Increments {
    /// Additions to `column` of the row of `table` whose `key` is given; `name` is what meters and errors call the
    /// write. The key is an integer, a text or a UUID, and unique.
    #[track_caller]
    pub fn new(
        db: &Db,
        name: &'static str,
        table: &'static str,
        key: &'static str,
        column: &'static str,
    ) -> Self {
        Self(Arc::new(Inner {
            db: db.clone(),
            name,
            place: Location::caller().into(),
            table,
            key,
            column,
            inserts: false,
            window: Duration::ZERO,
            state: Mutex::default(),
        }))
    }

    /// Makes the row where there is none. Without it, additions to a missing row are lost, as an update of it would be.
    #[must_use]
    pub fn or_insert(self) -> Self {
        self.change(|inner| inner.inserts = true)
    }

    /// Waits this long before each write, so that more is merged into it, at the price of that much latency. Default
    /// zero: what arrives during one write is the next, which merges under load and costs nothing without. A database that
    /// is closed, or whose process is asked to stop, does not wait for the window.
    #[must_use]
    pub fn every(self, window: Duration) -> Self {
        self.change(|inner| inner.window = window)
    }

    /// Adds, and returns when that is committed.
    ///
    /// # Errors
    /// [`Fault::Parameter`] for a key of another type or a sum beyond an `i64`; [`Fault::Overloaded`] when too many
    /// wait; [`Fault::OutcomeUnknown`] when the deadline came first, for it is still going to be written; and what the
    /// database makes of it.
    pub async fn add(&self, ctx: &Ctx, key: impl Param, by: i64) -> Result<()> {
        let (caller, told) = oneshot::channel();
        self.put(key.into_value(), by, Some(caller)).map_err(|fault| self.error(fault))?;
        let until = clock::deadline(ctx, self.0.db.0.config.statement_timeout).instant();
        let unknown = |why: &str| Fault::OutcomeUnknown { why: why.to_owned() };
        let written = match timeout_at(until.into(), told).await {
            Ok(Ok(written)) => written,
            Ok(Err(_)) => Err(unknown("the task that writes the additions was ended")),
            Err(_) => Err(unknown("the addition was not committed by the deadline; it still will be")),
        };
        ctx.advance(written.map_err(|fault| self.error(fault))?);
        Ok(())
    }

    /// Adds with the next write and returns at once: for what may be lost when the process dies or the database refuses
    /// it. A failure is logged. A process that ends in order loses nothing: it is written before the database closes.
    ///
    /// # Errors
    /// [`Fault::Parameter`] and [`Fault::Overloaded`], as [`add`](Self::add).
    pub fn note(&self, key: impl Param, by: i64) -> Result<()> {
        self.put(key.into_value(), by, None).map_err(|fault| self.error(fault))
    }

    fn put(
        &self,
        key: Value,
        by: i64,
        caller: Option<oneshot::Sender<Result<Position, Fault>>>,
    ) -> Result<(), Fault> {
        let key = Key::of(key)?;
        let mut state = self.0.state();
        if state.waiting >= WAITING {
            return Err(Fault::Overloaded { what: format!("{WAITING} additions wait to be written") });
        }
        let addition = state.pending.entry(key).or_default();
        addition.by = addition.by.checked_add(by).ok_or_else(|| Fault::Parameter {
            why: "the additions to one row exceed what an i64 can hold".to_owned(),
        })?;
        addition.callers.extend(caller);
        state.waiting += 1;
        if !std::mem::replace(&mut state.writing, true) {
            drop(state);
            let turn = Turn::begin(&self.0);
            drop(self.0.db.0.tasks.spawn("db.increments", async move { turn.0.write_all().await }));
        }
        Ok(())
    }

    fn error(&self, fault: Fault) -> Error {
        fault.at(self.0.name, self.0.place)
    }

    fn change(self, change: impl FnOnce(&mut Inner)) -> Self {
        match Arc::try_unwrap(self.0) {
            Ok(mut inner) => {
                change(&mut inner);
                Self(Arc::new(inner))
            }
            // Said of a handle that is in use already: it would hold for some and not for others.
            Err(shared) => Self(shared),
        }
    }
}

impl Inner {
    /// Writes until nothing is pending.
    async fn write_all(&self) {
        loop {
            if !self.window.is_zero() {
                self.wait_for_more().await;
            }
            let batch = {
                let mut state = self.state();
                state.waiting = 0;
                if state.pending.is_empty() {
                    state.writing = false;
                    return;
                }
                std::mem::take(&mut state.pending)
            };
            self.write(batch).await;
        }
    }

    /// Until the window is over, or there will be no more.
    async fn wait_for_more(&self) {
        let db = &self.db.0;
        let stopping = db.tasks.stopping();
        tokio::select! {
            () = sleep(self.window) => {}
            () = db.unwritten.closing() => {}
            () = stopping.cancelled() => {}
        }
    }

    async fn write(&self, batch: Batch) {
        let written = self.send(&batch).await;
        // Nothing of it was done. Whose fault it was shows when each row is written alone.
        let refused = matches!(
            written,
            Err(Fault::CheckViolation { .. } | Fault::ForeignKeyViolation { .. } | Fault::Parameter { .. })
        );
        if !refused || batch.len() == 1 {
            return self.tell(batch, &written);
        }
        for (key, addition) in batch {
            let alone = Batch::from([(key, addition)]);
            let written = self.send(&alone).await;
            self.tell(alone, &written);
        }
    }

    fn tell(&self, batch: Batch, written: &Result<Position, Fault>) {
        if let Err(fault) = written {
            tracing::warn!(statement = self.name, at = %self.place, rows = batch.len(), %fault, "additions failed");
        }
        for caller in batch.into_values().flat_map(|addition| addition.callers) {
            // Who does not wait any more need not be told.
            let _ = caller.send(written.clone());
        }
    }

    async fn send(&self, batch: &Batch) -> Result<Position, Fault> {
        let Some(first) = batch.keys().next() else { return Ok(Position::START) };
        let types: &'static [Type] = match first {
            Key::Big(_) => &[Type::Big, Type::Big],
            Key::Text(_) => &[Type::Text, Type::Big],
            Key::Uuid(_) => &[Type::Uuid, Type::Big],
        };
        let text = self.text(self.db.engine(), types[0])?;
        let ctx = Ctx::background();
        let target = Target::Alone(&self.db, &ctx, Aim::Write);
        let mut tries = TRIES;
        loop {
            let mut rows = Rows::with_room(self.db.engine(), 2, batch.len());
            for (key, addition) in batch {
                rows.put(0, key.value());
                rows.put(1, Value::Big(addition.by));
            }
            let Err(error) = target.insert_many(text.clone(), types, rows).await else {
                return Ok(ctx.position());
            };
            let fault = Fault::of(&error).cloned();
            let fault = fault.unwrap_or_else(|| Fault::Statement { why: error.detail() });
            tries -= 1;
            if tries == 0 || !fault.is_transient() {
                return Err(fault);
            }
        }
    }

    fn text(&self, engine: Engine, key: Type) -> Result<Text, Fault> {
        let (table, id, column) = (quoted(self.table)?, quoted(self.key)?, quoted(self.column)?);
        let keys = called(key);
        let sql = match (engine, self.inserts) {
            (Engine::Sqlite, false) => {
                format!("update {table} set {column} = {column} + ?2 where {id} = ?1")
            }
            (Engine::Sqlite, true) => format!(
                "insert into {table} ({id}, {column}) values (?1, ?2) \
                 on conflict ({id}) do update set {column} = {column} + excluded.{column}"
            ),
            (Engine::Postgres, false) => format!(
                "update {table} as t set {column} = t.{column} + u.by \
                 from unnest($1::{keys}[], $2::bigint[]) as u(id, by) where t.{id} = u.id"
            ),
            (Engine::Postgres, true) => format!(
                "insert into {table} as t ({id}, {column}) select * from unnest($1::{keys}[], $2::bigint[]) \
                 on conflict ({id}) do update set {column} = t.{column} + excluded.{column}"
            ),
        };
        Ok(Text::Dynamic(Arc::new(Dynamic { name: self.name, place: self.place, sql, class: Class::Write })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Key {
    fn of(value: Value) -> Result<Self, Fault> {
        Ok(match value {
            Value::Big(number) => Key::Big(number),
            Value::Int(number) => Key::Big(number.into()),
            Value::Small(number) => Key::Big(number.into()),
            Value::Text(text) => Key::Text(text),
            Value::Uuid(uuid) => Key::Uuid(uuid),
            other => {
                let why = format!("a key is an integer, a text or a UUID, not {}", other.of().name());
                return Err(Fault::Parameter { why });
            }
        })
    }

    fn value(&self) -> Value {
        match self {
            Key::Big(number) => Value::Big(*number),
            Key::Text(text) => Value::Text(text.clone()),
            Key::Uuid(uuid) => Value::Uuid(*uuid),
        }
    }
}

/// The task that writes. Ended before its time, it leaves nobody waiting and the way free for another.
struct Turn(Arc<Inner>);

impl Turn {
    fn begin(inner: &Arc<Inner>) -> Self {
        inner.db.0.unwritten.enter();
        Self(inner.clone())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.0.state();
        if state.writing {
            state.writing = false;
            state.waiting = 0;
            // Their callers hear it by the end of their senders.
            state.pending.clear();
        }
        drop(state);
        self.0.db.0.unwritten.leave();
    }
}
