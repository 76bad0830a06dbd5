//! Invalidations that are written down in their transaction, for a process that dies between its commit and its word.
//!
//! ```text
//!   tx ── row ── COMMIT ── said ── row removed, with others, within a second
//!                   │
//!                   └─ died here: the row is two seconds old, another node says it and removes it
//! ```
//!
//! # Invariants
//! - A row is removed only after it was said. It may be said twice, which costs a load.
//! - Who says another's row does so with a commit of his own behind it, so that whoever loads anew reads what the dead
//!   one has written.

use std::sync::Arc;
use std::time::Duration;

use burgeon_core::{Ctx, Deadline, Result};
use burgeon_db::{Db, Row, Tx, sql};
use burgeon_resilience::random::between;
use burgeon_runtime::{Restart, Tasks};
use tokio::time::{Instant, sleep};

use super::{Desk, Message};
use crate::sync::{Mutex, hold};

/// Rows of this node that are said.
#[derive(Default)]
pub(crate) struct Outbox(Mutex<Vec<i64>>);

/// So old a row is when nobody will say it any more: its writer does so within milliseconds.
const ABANDONED: Duration = Duration::from_secs(2);

/// How often a node looks, about.
const TURN: Duration = Duration::from_millis(700);

/// How long a turn may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// More said rows than this are left for the next who looks.
const MOST: usize = 65_536;

/// Rows of others that one turn says.
const AT_ONCE: i64 = 1_000;

#[derive(Row)]
struct Left {
    id: i64,
    message: Vec<u8>,
}

impl Outbox {
    /// Writes the message down in the transaction. Answers the row.
    pub(crate) async fn write(tx: &Tx, message: &Message) -> Result<i64> {
        sql!(
            "write_cache_outbox",
            sqlite: "insert into burgeon_cache_outbox (message, written)
                     values ($1, cast(unixepoch('subsec') * 1000000 as integer)) returning id",
            postgres: "insert into burgeon_cache_outbox (message, written)
                       values ($1, (extract(epoch from clock_timestamp()) * 1000000)::bigint) returning id",
            message.write()
        )
        .one(tx)
        .await
    }

    /// The row's message is on its way.
    pub(crate) fn is_said(&self, row: i64) {
        let mut said = hold(&self.0);
        if said.len() < MOST {
            said.push(row);
        }
    }

    /// Removes this node's said rows, and says those that others left behind; answers how many.
    pub(crate) async fn turn(&self, desk: &Desk, db: &Db) -> Result<usize> {
        let ctx = Ctx::background().with_deadline(Deadline::after(Instant::now().into_std(), PATIENCE));
        let said = std::mem::take(&mut *hold(&self.0));
        if !said.is_empty() {
            // Not put back after an error: they are found again as abandoned.
            remove(db, &ctx, said).await?;
        }
        // Changes nothing but the log, so that this commit's position lies behind all that it reads.
        let left: Vec<Left> = sql!(
            "take_cache_outbox",
            sqlite: "update burgeon_cache_outbox set written = written
                     where id in (select id from burgeon_cache_outbox
                                  where written < cast(unixepoch('subsec') * 1000000 as integer) - $1
                                  order by id limit $2)
                     returning id, message",
            postgres: "update burgeon_cache_outbox set written = written
                       where id in (select id from burgeon_cache_outbox
                                    where written < (extract(epoch from clock_timestamp()) * 1000000)::bigint - $1
                                    order by id limit $2 for update skip locked)
                       returning id, message",
            ABANDONED.as_micros() as i64,
            AT_ONCE
        )
        .all(&db.write(&ctx))
        .await?;
        if left.is_empty() {
            return Ok(0);
        }
        let count = left.len();
        tracing::warn!(count, "says what a node that died after its commits has invalidated");
        let mut rows = Vec::with_capacity(count);
        for Left { id, message } in left {
            desk.say_again(&message, ctx.position());
            rows.push(id);
        }
        remove(db, &ctx, rows).await?;
        Ok(count)
    }
}

async fn remove(db: &Db, ctx: &Ctx, rows: Vec<i64>) -> Result<()> {
    sql!("clear_cache_outbox", "delete from burgeon_cache_outbox where id = any($1)", rows)
        .execute(&db.write(ctx))
        .await
        .map(drop)
}

/// Looks again and again until the tasks stop; then says what is left.
pub(crate) fn keep(desk: &Arc<Desk>, db: &Db, tasks: &Tasks) {
    let (desk, db, stopping) = (desk.clone(), db.clone(), tasks.stopping());
    drop(tasks.supervise("cache.outbox", Restart::default(), move || {
        let (desk, db, stopping) = (desk.clone(), db.clone(), stopping.clone());
        async move {
            loop {
                // Not all nodes at once.
                let pause = TURN.mul_f64(between(desk.dice.roll(), 0.7, 1.3));
                tokio::select! {
                    () = sleep(pause) => drop(desk.outbox.turn(&desk, &db).await?),
                    () = stopping.cancelled() => {
                        return desk.outbox.turn(&desk, &db).await.map(drop);
                    }
                }
            }
        }
    }));
}
