//! Restarts, silences, floods and pools the database under load, and holds what its client said against what is there.
//!
//! Each fault has its own server. The ledger is outside: which writes were acknowledged and which were called unknown, how long each
//! call took and what error it met. Afterwards the table is read past the client:
//!
//! 1. every error is typed, and comes at the deadline at the latest; nothing hangs;
//! 2. what was acknowledged is there once, and what is there was acknowledged or called unknown;
//! 3. reads succeed again within two seconds of the fault's end;
//! 4. no connection is left over, and none in a transaction.

mod dice;
mod load;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use burgeon_core::{Criticality, Ctx};
use burgeon_db::{Config, Db, sql};
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;
use burgeon_services::{PgBouncer, PoolMode, Postgres, Proxy};
use clap::Parser;
use tokio::time::{Instant, sleep};

use crate::dice::Dice;
use crate::load::{Ledger, Load, Shape};

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A database that restarts, falls silent, is flooded, is pooled, or is slow, under load.
#[derive(Parser)]
struct Args {
    /// What the dice start from; printed first, so that a failure can be replayed.
    #[arg(long)]
    seed: Option<u64>,
    /// Ten restarts instead of two, and longer loads.
    #[arg(long)]
    long: bool,
    /// Only this fault: restart, pooler, silence, flood, slow.
    #[arg(long)]
    only: Option<String>,
}

const RECOVERY: Duration = Duration::from_secs(2);

const STEADY: Shape = Shape {
    readers: 24,
    writers: 8,
    budget: Duration::from_millis(500),
    pause: Duration::from_millis(2),
    criticality: Criticality::Critical,
};

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let seed = args.seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("seed {seed}");
    let mut dice = Dice::new(seed);
    let (mut passed, mut failed) = (0, 0);
    for fault in ["restart", "pooler", "silence", "flood", "slow"] {
        if args.only.as_deref().is_some_and(|only| only != fault) {
            continue;
        }
        let story = match fault {
            "restart" => restart(&mut dice, if args.long { 10 } else { 2 }).await,
            "pooler" => pooler(&mut dice, if args.long { 10 } else { 2 }).await,
            "silence" => silence().await,
            "flood" => flood(if args.long { 20 } else { 3 }).await,
            _ => slow().await,
        };
        match story {
            Ok(story) => {
                passed += 1;
                println!("{fault}: {story}");
            }
            Err(error) => {
                failed += 1;
                println!("{fault}: FAILED: {error}");
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A server of its own, and a client of it.
struct Site {
    server: Postgres,
    database: String,
    db: Db,
    serials: Arc<AtomicI64>,
}

impl Site {
    /// Opens the database at what `address` makes of its URL.
    async fn open(server: Postgres, address: impl FnOnce(&str) -> String) -> Result<Self, Failure> {
        let url = server.create_database().await?;
        let database =
            url.rsplit('/').next().and_then(|rest| rest.split('?').next()).unwrap_or_default().to_owned();
        let schema = "create table item (id bigint primary key, name text not null);
             insert into item select n, 'item ' || n from generate_series(0, 999) n;
             create table log (serial bigint not null); analyze item";
        server.psql(&database, schema).await?;
        let meters = Meters::new();
        let db = Db::open(&Config::at(address(&url)), &Tasks::new(&meters), &meters).await?;
        Ok(Self { server, database, db, serials: Arc::default() })
    }

    fn load(&self, shape: Shape) -> Load {
        Load::start(&self.db, shape, &self.serials)
    }

    /// Reads the table past the client.
    async fn audit(&self, ledgers: &[&Ledger]) -> Result<(), Failure> {
        let text = self.server.psql(&self.database, "select serial from log order by serial").await?;
        let rows: Vec<i64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        let found: BTreeSet<i64> = rows.iter().copied().collect();
        if found.len() != rows.len() {
            return Err(format!("{} writes were done twice", rows.len() - found.len()).into());
        }
        let acknowledged: BTreeSet<i64> = ledgers.iter().flat_map(|it| &it.acknowledged).copied().collect();
        let unknown: BTreeSet<i64> = ledgers.iter().flat_map(|it| &it.unknown).copied().collect();
        if let Some(lost) = acknowledged.iter().find(|serial| !found.contains(serial)) {
            return Err(format!("the acknowledged write {lost} is lost").into());
        }
        match found.iter().find(|serial| !acknowledged.contains(serial) && !unknown.contains(serial)) {
            Some(denied) => Err(format!("the write {denied} is there, and was said not to be").into()),
            None => Ok(()),
        }
    }

    /// Nothing is left over: no more connections than were allowed, and none in a transaction.
    async fn leaks(&self) -> Result<String, Failure> {
        let cores = std::thread::available_parallelism()?.get();
        let allowed = cores.clamp(2, 8) + cores * 2 + 1;
        let count = async |extra: &str| -> Result<usize, Failure> {
            let asked = format!(
                "select count(*) from pg_stat_activity where datname = current_database() \
                 and application_name = 'burgeon' {extra}"
            );
            Ok(self.server.psql(&self.database, &asked).await?.trim().parse()?)
        };
        let started = Instant::now();
        loop {
            let (open, held) = (count("").await?, count("and state <> 'idle'").await?);
            if open <= allowed && held == 0 {
                return Ok(format!("{open} connections open, none held"));
            }
            if started.elapsed() > Duration::from_secs(4) {
                return Err(format!("{open} connections open of {allowed} allowed, {held} held").into());
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn restart(dice: &mut Dice, times: usize) -> Result<String, Failure> {
    let site = Site::open(Postgres::options().fsync(true).start().await?, str::to_owned).await?;
    let load = site.load(STEADY);
    let mut slowest = Duration::ZERO;
    for turn in 0..times {
        sleep(Duration::from_millis(500 + dice.below(500))).await;
        if turn % 2 == 0 {
            site.server.stop().await?;
        } else {
            site.server.kill().await?;
        }
        sleep(Duration::from_millis(dice.below(1_500))).await;
        site.server.restart().await?;
        slowest = slowest.max(recovered(&load, Instant::now()).await?);
    }
    sleep(Duration::from_millis(500)).await;
    let ledger = load.stop().await?;
    site.audit(&[&ledger]).await?;
    let leaks = site.leaks().await?;
    let unknown = ledger.unknown.len();
    Ok(format!(
        "{times} restarts, back after {} ms at most; {}; {unknown} unknown; {leaks}",
        slowest.as_millis(),
        ledger.told()
    ))
}

async fn pooler(dice: &mut Dice, times: usize) -> Result<String, Failure> {
    let server = Postgres::start().await?;
    let bouncer = PgBouncer::start(&server, PoolMode::Transaction).await?;
    let site = Site::open(server, |url| bouncer.url_for(url)).await?;
    let load = site.load(STEADY);
    let mut slowest = Duration::ZERO;
    for _ in 0..times {
        sleep(Duration::from_millis(1_000 + dice.below(500))).await;
        bouncer.restart().await?;
        slowest = slowest.max(recovered(&load, Instant::now()).await?);
    }
    sleep(Duration::from_millis(500)).await;
    let ledger = load.stop().await?;
    site.audit(&[&ledger]).await?;
    let named = "select count(*) from pg_prepared_statements";
    let prepared: i64 = sql!("chaos_prepared", "select count(*) from pg_prepared_statements")
        .one(&site.db.read(&Ctx::background()))
        .await?;
    if prepared != 0 {
        return Err(format!("{prepared} statements were prepared behind the pooler ({named})").into());
    }
    Ok(format!(
        "{times} restarts of PgBouncer, back after {} ms at most; {}",
        slowest.as_millis(),
        ledger.told()
    ))
}

async fn silence() -> Result<String, Failure> {
    const SILENCE: Duration = Duration::from_secs(10);
    let server = Postgres::start().await?;
    let proxy = Proxy::start(("127.0.0.1", server.port())).await?;
    let site = Site::open(server, |url| proxy.url_for(url)).await?;
    let load = site.load(STEADY);
    sleep(Duration::from_secs(1)).await;
    proxy.black_hole();
    sleep(SILENCE).await;
    proxy.heal();
    let back = recovered(&load, Instant::now()).await?;
    sleep(Duration::from_millis(500)).await;
    let ledger = load.stop().await?;
    site.audit(&[&ledger]).await?;
    let leaks = site.leaks().await?;
    Ok(format!("silent for {SILENCE:?}, back after {} ms; {}; {leaks}", back.as_millis(), ledger.told()))
}

/// Twenty times as many as keep it busy.
async fn flood(seconds: u64) -> Result<String, Failure> {
    let site = Site::open(Postgres::start().await?, str::to_owned).await?;
    let busy = Shape { readers: 64, writers: 0, pause: Duration::ZERO, ..STEADY };
    let time = Duration::from_secs(seconds);
    let load = site.load(busy);
    sleep(time).await;
    let alone = load.stop().await?;

    let important = Shape {
        readers: 16,
        criticality: Criticality::CriticalPlus,
        pause: Duration::from_millis(5),
        ..busy
    };
    let batch = Shape { readers: 64 * 20, criticality: Criticality::Sheddable, ..busy };
    let (important, batch) = (site.load(important), site.load(batch));
    let begun = Instant::now();
    sleep(time).await;
    let (important, batch) = (important.stop().await?, batch.stop().await?);
    let served = important.reads.len() + batch.reads.len();
    let share = served as f64 / alone.reads.len().max(1) as f64;
    let refused: usize = important.errors.values().sum();
    let p99 = important.quantile(0.99, begun, Instant::now()).unwrap_or_default();
    let leaks = site.leaks().await?;
    let story = format!(
        "1280 callers instead of 64: {:.0} % of the throughput; of the important {} served, {refused} refused, p99 {:.1} ms; of the \
         rest: {}; {leaks}",
        share * 100.0,
        important.reads.len(),
        p99.as_secs_f64() * 1e3,
        batch.told(),
    );
    if share < 0.5 || refused * 100 > important.reads.len() {
        return Err(story.into());
    }
    Ok(story)
}

/// A statement of thirty seconds in the middle of fast ones.
async fn slow() -> Result<String, Failure> {
    let site = Site::open(Postgres::start().await?, str::to_owned).await?;
    let load = site.load(Shape { writers: 0, ..STEADY });
    let db = &site.db;
    let ctx = Ctx::background();
    let nap = async |seconds: f64| {
        let nap = sql!("chaos_nap", "select cast(pg_sleep(cast($1 as double precision)) as text)", seconds);
        nap.one::<String>(&db.read(&ctx)).await
    };
    // Known to be fast, so that the one that is not finds itself among the others.
    for _ in 0..100 {
        nap(0.0).await?;
    }
    let before = Instant::now();
    sleep(Duration::from_secs(4)).await;
    let during = Instant::now();
    let ended = tokio::time::timeout(Duration::from_secs(4), nap(30.0)).await;
    let after = Instant::now();
    if ended.is_ok() {
        return Err("thirty seconds passed in four".into());
    }
    let ledger = load.stop().await?;
    let quantile = |share, from, to| ledger.quantile(share, from, to).unwrap_or_default().as_secs_f64() * 1e3;
    let (without, with) = (quantile(0.99, before, during), quantile(0.99, during, after));
    let (worst_without, worst_with) = (quantile(1.0, before, during), quantile(1.0, during, after));
    let leaks = site.leaks().await?;
    let story = format!(
        "p99 of the fast {without:.1} ms without it, {with:.1} ms with it (the slowest {worst_without:.0} and {worst_with:.0} ms); {}; \
         {leaks}",
        ledger.told()
    );
    // Below a few milliseconds a ratio tells of the machine alone.
    if with > (without * 3.0).max(10.0) { Err(story.into()) } else { Ok(story) }
}

async fn recovered(load: &Load, since: Instant) -> Result<Duration, Failure> {
    let back = load.first_read_after(since, RECOVERY * 4).await?;
    if back > RECOVERY {
        return Err(format!("back after {} ms", back.as_millis()).into());
    }
    Ok(back)
}
