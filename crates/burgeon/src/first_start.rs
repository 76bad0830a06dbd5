//! Work for the first start on a database: once for each database, whatever the number of nodes.
//!
//! What has been done is a row. A node that works holds a claim on that row, renews it, and the others wait; all by the
//! database's clock. The work may take minutes, so it has its own transactions, and is written down when it is done: if
//! the process dies in between, the claim runs out and the work is begun again. It must therefore be repeatable, or be
//! one transaction.
//!
//! On SQLite there is one process, so a claim that is found belongs to one that died, and is taken over at once.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use burgeon_core::{Ctx, Error, Result};
use burgeon_db::{Db, sql};
use burgeon_runtime::Tasks;
use tokio::time::{Instant, sleep};

use crate::module::FirstStart;
use crate::parts::Parts;
use crate::{Progress, StartError};

/// A node that is silent for the claim's 15 s has lost it; four renewals may fail before.
const RENEWAL: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(250);

/// Runs what has not run yet, in order.
///
/// # Errors
/// When work failed, or another node was busy with it for longer than `patience`.
pub(crate) async fn run(
    work: Vec<(String, FirstStart)>,
    db: &Db,
    tasks: &Tasks,
    parts: &Parts,
    patience: Duration,
) -> Result<(), StartError> {
    let holder = format!("{:016x}", RandomState::new().build_hasher().finish());
    for (module, work) in work {
        let name = format!("{module}/{}", work.name);
        let mut parts = parts.clone();
        parts.put(Progress::new(&name), "the first start");
        let claim = Claim { db: db.clone(), ctx: Ctx::background(), name, holder: holder.clone() };
        let failed = |error| StartError::because(format!("the first start `{}` failed", claim.name), error);
        if claim.take(patience).await.map_err(failed)? {
            claim.hold_during(work, tasks, &parts).await.map_err(failed)?;
        }
    }
    Ok(())
}

/// The right to do one piece of work.
struct Claim {
    db: Db,
    ctx: Ctx,
    name: String,
    holder: String,
}

impl Claim {
    /// Waits until the work is this node's to do (`true`), or has been done (`false`).
    async fn take(&self, patience: Duration) -> Result<bool> {
        let began = Instant::now();
        let mut told = false;
        loop {
            if self.try_take().await? {
                return Ok(true);
            }
            if self.is_done().await? {
                return Ok(false);
            }
            if began.elapsed() > patience {
                return Err(Error::unavailable(format!(
                    "Another node has been busy with it for longer than `app.turn_wait` ({}).",
                    burgeon_core::units::format_duration(patience)
                )));
            }
            if !told {
                tracing::info!("first start {}: another node is at it; waiting", self.name);
                told = true;
            }
            sleep(POLL).await;
        }
    }

    async fn hold_during(&self, work: FirstStart, tasks: &Tasks, parts: &Parts) -> Result<()> {
        let began = Instant::now();
        tracing::info!("first start {}", self.name);
        let mut work = tasks.spawn(format!("first start {}", self.name), (work.run)(self.ctx.clone(), parts));
        loop {
            tokio::select! {
                done = &mut work => break done??,
                () = sleep(RENEWAL) => if !self.try_take().await? {
                    work.abort();
                    return Err(Error::unavailable(
                        "This node was silent for so long that another took the work over.",
                    ));
                },
            }
        }
        self.settle().await?;
        tracing::info!(took_ms = began.elapsed().as_millis() as u64, "first start {} is done", self.name);
        Ok(())
    }

    /// Takes the claim, or renews it.
    async fn try_take(&self) -> Result<bool> {
        let taken = sql!(
            "first_start_claim",
            sqlite: "insert into burgeon_first_start (name, holder, claimed_until) values ($1, $2, 0)
                on conflict (name) do update set holder = excluded.holder where done_at is null",
            postgres: "insert into burgeon_first_start as own (name, holder, claimed_until)
                values ($1, $2, clock_timestamp() + interval '15 seconds')
                on conflict (name) do update set holder = excluded.holder, claimed_until = excluded.claimed_until
                where own.done_at is null and (own.holder = excluded.holder or own.claimed_until < clock_timestamp())",
            &self.name,
            &self.holder
        );
        Ok(taken.execute(&self.db.write(&self.ctx)).await? == 1)
    }

    async fn is_done(&self) -> Result<bool> {
        let done = sql!(
            "first_start_is_done",
            "select count(*) from burgeon_first_start where name = $1 and done_at is not null",
            &self.name
        );
        // From the primary: a replica may not have heard of it yet.
        let done: i64 = done.one(&self.db.read(&self.ctx).primary()).await?;
        Ok(done == 1)
    }

    async fn settle(&self) -> Result<()> {
        let settled = sql!(
            "first_start_settle",
            sqlite: "update burgeon_first_start set done_at = cast(unixepoch('subsec') * 1000000 as integer)
                where name = $1 and holder = $2",
            postgres: "update burgeon_first_start set done_at = clock_timestamp() where name = $1 and holder = $2",
            &self.name,
            &self.holder
        );
        match settled.execute(&self.db.write(&self.ctx)).await? {
            1 => Ok(()),
            _ => Err(Error::unavailable("Another node took the work over while this one was silent.")),
        }
    }
}
