//! Retention of the tables: what has expired leaves, and what was stored longest ago, when there is more than may be.

use burgeon_core::{Ctx, Deadline, Result};
use burgeon_db::{Db, sql};
use burgeon_runtime::{Restart, Tasks};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::config::Config;

/// Rows that leave with one statement.
const BATCH: i64 = 1_000;
/// Statements of one turn: it must not outlast the next one.
const BATCHES: usize = 200;

/// Keeps the tables small until `tasks` stop. One of these per node is enough, and several do no harm.
pub(crate) fn sweep(db: &Db, config: &Config, tasks: &Tasks) {
    let (db, config, stopping) = (db.clone(), config.clone(), tasks.stopping());
    drop(tasks.supervise("cache.far.sweep", Restart::default(), move || {
        let (db, config, stopping) = (db.clone(), config.clone(), stopping.clone());
        async move {
            let mut turns = interval(config.sweep);
            turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
            // The first one is due at once; at start there is other work.
            turns.tick().await;
            loop {
                tokio::select! {
                    _ = turns.tick() => drop(sweep_once(&db, &config).await?),
                    () = stopping.cancelled() => return Ok(()),
                }
            }
        }
    }));
}

/// One turn of what each node does every [`Config::sweep`]: removes what has expired from the tables of the second tier, and of what
/// was stored longest ago as much as there is too much. Answers how many rows.
///
/// # Errors
/// Whatever befell the database.
pub async fn sweep_once(db: &Db, config: &Config) -> Result<u64> {
    let ctx = Ctx::background().with_deadline(Deadline::after(Instant::now().into_std(), config.sweep));
    let mut removed = 0;
    for _ in 0..BATCHES {
        let batch = expired(db, &ctx).await?;
        removed += batch;
        if batch < BATCH as u64 {
            break;
        }
    }
    let kept: i64 =
        sql!("cache_far_size", "select cast(coalesce(sum(size), 0) as bigint) from burgeon_cache_entry")
            .one(&db.read(&ctx).primary())
            .await?;
    let mut excess = kept.saturating_sub(i64::try_from(config.size.as_bytes()).unwrap_or(i64::MAX));
    for _ in 0..BATCHES {
        if excess <= 0 {
            break;
        }
        let sizes = oldest(db, &ctx).await?;
        removed += sizes.len() as u64;
        excess -= sizes.iter().sum::<i64>();
        if sizes.is_empty() {
            break;
        }
    }
    claims(db, &ctx).await?;
    Ok(removed)
}

async fn expired(db: &Db, ctx: &Ctx) -> Result<u64> {
    sql!(
        "cache_far_sweep",
        sqlite: "delete from burgeon_cache_entry where rowid in
                 (select rowid from burgeon_cache_entry
                  where gone < cast(unixepoch('subsec') * 1000000 as integer) limit $1)",
        postgres: "delete from burgeon_cache_entry where ctid = any(array(
                   select ctid from burgeon_cache_entry
                   where gone < (extract(epoch from clock_timestamp()) * 1000000)::bigint limit $1 for update skip locked))",
        BATCH
    )
    .execute(&db.write(ctx))
    .await
}

async fn oldest(db: &Db, ctx: &Ctx) -> Result<Vec<i64>> {
    sql!(
        "cache_far_shrink",
        sqlite: "delete from burgeon_cache_entry where rowid in
                 (select rowid from burgeon_cache_entry order by written limit $1) returning size",
        postgres: "delete from burgeon_cache_entry where ctid = any(array(
                   select ctid from burgeon_cache_entry order by written limit $1 for update skip locked))
                   returning size::bigint",
        // In smaller steps, so that not much more leaves than must.
        BATCH / 10
    )
    .all(&db.write(ctx))
    .await
}

async fn claims(db: &Db, ctx: &Ctx) -> Result<()> {
    sql!(
        "cache_far_sweep_claims",
        sqlite: "delete from burgeon_cache_claim where expires < cast(unixepoch('subsec') * 1000000 as integer)",
        postgres: "delete from burgeon_cache_claim
                   where expires < (extract(epoch from clock_timestamp()) * 1000000)::bigint"
    )
    .execute(&db.write(ctx))
    .await
    .map(drop)
}
