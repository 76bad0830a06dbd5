//! Restarts, silences, floods and pools the database under load, and holds what its client said against what is there.
//!
//! Each fault has its own server. The ledger is outside: which writes were acknowledged and which were called unknown,
//! when each call ended and what error it met. Afterwards the table is read past the client:
//!
//! 1. every error is typed, and comes at the deadline at the latest; nothing hangs;
//! 2. what was acknowledged is there once, and what is there was acknowledged or called unknown;
//! 3. reads and writes succeed again within two seconds of the fault's end;
//! 4. no connection is left over, and none in a transaction.
//!
//! Faults begin when the load has been served for a while and end when every caller has met them: counted, not timed.
//! What is timed is what is told: the way back, the throughput, the slowest hundredth.

mod load;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use bench_report::chaos::Chaos;
use burgeon_core::{Criticality, Ctx};
use burgeon_db::{Config, Db, sql};
use burgeon_meter::Meters;
use burgeon_resilience::random::{Dice, below};
use burgeon_runtime::Tasks;
use burgeon_services::{PgBouncer, PoolMode, Postgres, Proxy};
use tokio::time::{Instant, sleep};

use crate::load::{HANG, Ledger, Load, Shape};

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

const RECOVERY: Duration = Duration::from_secs(2);
/// How long the server is silent.
const SILENCE: Duration = Duration::from_secs(10);
/// As many as keep it busy, and how many times as many flood it.
const BUSY: usize = 64;
const FLOOD: usize = 20;

const STEADY: Shape = Shape {
    readers: 24,
    writers: 8,
    budget: Duration::from_millis(500),
    pause: Duration::from_millis(2),
    criticality: Criticality::Critical,
};

const PARTS: [&str; 5] = ["restart", "pooler", "silence", "flood", "slow"];

#[tokio::main]
async fn main() -> ExitCode {
    let mut chaos = Chaos::from_args(
        "A database that restarts, falls silent, is flooded, is pooled, or is slow, under load.",
        &PARTS,
    );
    let dice = Dice::seeded(chaos.seed);
    let restarts = if chaos.long { 10 } else { 2 };
    let reads = if chaos.long { 20_000 } else { 4_000 };
    for fault in PARTS {
        if !chaos.wants(fault) {
            continue;
        }
        let ended = match fault {
            "restart" => restart(&dice, restarts).await,
            "pooler" => pooler(&dice, restarts).await,
            "silence" => silence().await,
            "flood" => flood(reads).await,
            _ => slow(reads).await,
        };
        chaos.tell(fault, ended);
    }
    chaos.finish()
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
    async fn audit(&self, ledger: &Ledger) -> Result<(), Failure> {
        let text = self.server.psql(&self.database, "select serial from log order by serial").await?;
        let rows: Vec<i64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        let found: BTreeSet<i64> = rows.iter().copied().collect();
        if found.len() != rows.len() {
            return Err(format!("{} writes were done twice", rows.len() - found.len()).into());
        }
        let acknowledged: BTreeSet<i64> = ledger.acknowledged.iter().copied().collect();
        let unknown: BTreeSet<i64> = ledger.unknown.iter().copied().collect();
        if let Some(lost) = acknowledged.iter().find(|serial| !found.contains(serial)) {
            return Err(format!("the acknowledged write {lost} is lost").into());
        }
        match found.iter().find(|serial| !acknowledged.contains(serial) && !unknown.contains(serial)) {
            Some(denied) => Err(format!("the write {denied} is there, and was said not to be").into()),
            None => Ok(()),
        }
    }

    /// Nothing is left over: no more connections than were allowed, and none in a transaction.
    async fn leaks(&self, allowed: usize) -> Result<String, Failure> {
        let count = async |extra: &str| -> Result<usize, Failure> {
            let asked = format!(
                "select count(*) from pg_stat_activity where datname = current_database() \
                 and backend_type = 'client backend' and pid <> pg_backend_pid() {extra}"
            );
            Ok(self.server.psql(&self.database, &asked).await?.trim().parse()?)
        };
        let started = Instant::now();
        loop {
            let (open, held) = (count("").await?, count("and state <> 'idle'").await?);
            if open <= allowed && held == 0 {
                return Ok(format!("{open} connections open, none held"));
            }
            if started.elapsed() > HANG {
                return Err(format!("{open} connections open of {allowed} allowed, {held} held").into());
            }
        }
    }
}

/// How many connections the client may have: shared, exclusive, and one that is being replaced.
fn allowed() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores.clamp(2, 8) + cores * 2 + 2
}

async fn restart(dice: &Dice, times: usize) -> Result<String, Failure> {
    let site = Site::open(Postgres::options().fsync(true).start().await?, str::to_owned).await?;
    let load = site.load(STEADY);
    let mut slowest = Duration::ZERO;
    for turn in 0..times {
        served(&load, dice).await?;
        if turn % 2 == 0 {
            site.server.stop().await?;
        } else {
            site.server.kill().await?;
        }
        load.is_felt().await?;
        site.server.restart().await?;
        slowest = slowest.max(recovered(&load).await?);
    }
    served(&load, dice).await?;
    let ledger = load.stop().await?;
    site.audit(&ledger).await?;
    let leaks = site.leaks(allowed()).await?;
    let unknown = ledger.unknown.len();
    Ok(format!(
        "{times} restarts, back after {} ms at most; {}; {unknown} unknown; {leaks}",
        slowest.as_millis(),
        ledger.told()
    ))
}

async fn pooler(dice: &Dice, times: usize) -> Result<String, Failure> {
    let server = Postgres::start().await?;
    let bouncer = PgBouncer::start(&server, PoolMode::Transaction).await?;
    let site = Site::open(server, |url| bouncer.url_for(url)).await?;
    let load = site.load(STEADY);
    let mut slowest = Duration::ZERO;
    for turn in 0..times {
        served(&load, dice).await?;
        if turn % 2 == 0 {
            bouncer.stop().await?;
            load.is_felt().await?;
            bouncer.restart().await?;
        } else {
            // Behind a pooler that stays: its clients keep their connections to it.
            site.server.kill().await?;
            load.is_felt().await?;
            site.server.restart().await?;
        }
        slowest = slowest.max(recovered(&load).await?);
    }
    served(&load, dice).await?;
    let ledger = load.stop().await?;
    site.audit(&ledger).await?;
    let prepared: i64 = sql!("chaos_prepared", "select count(*) from pg_prepared_statements")
        .one(&site.db.read(&Ctx::background()))
        .await?;
    if prepared != 0 {
        return Err(format!("{prepared} statements were prepared behind the pooler").into());
    }
    // What the pooler keeps open to the server, by its own limit.
    let leaks = site.leaks(20).await?;
    Ok(format!(
        "{times} restarts of PgBouncer and of the server behind it, back after {} ms at most; {}; {leaks}",
        slowest.as_millis(),
        ledger.told()
    ))
}

async fn silence() -> Result<String, Failure> {
    let server = Postgres::start().await?;
    let proxy = Proxy::start(("127.0.0.1", server.port())).await?;
    let site = Site::open(server, |url| proxy.url_for(url)).await?;
    let load = site.load(STEADY);
    load.reads(500).await?;
    proxy.black_hole();
    // This long is what is tried; meanwhile everybody meets it, again and again.
    let (felt, ()) = tokio::join!(load.is_felt(), sleep(SILENCE));
    felt?;
    proxy.heal();
    let back = recovered(&load).await?;
    load.reads(500).await?;
    let ledger = load.stop().await?;
    site.audit(&ledger).await?;
    let leaks = site.leaks(allowed()).await?;
    Ok(format!("silent for {SILENCE:?}, back after {} ms; {}; {leaks}", back.as_millis(), ledger.told()))
}

/// Twenty times as many as keep it busy.
async fn flood(reads: usize) -> Result<String, Failure> {
    let site = Site::open(Postgres::start().await?, str::to_owned).await?;
    let busy = Shape { readers: BUSY, writers: 0, pause: Duration::ZERO, ..STEADY };
    let load = site.load(busy);
    load.reads(reads).await?;
    let alone = load.reads(reads * 2).await?;
    load.stop().await?;

    let important = Shape {
        readers: 16,
        criticality: Criticality::CriticalPlus,
        pause: Duration::from_millis(5),
        ..busy
    };
    let batch = Shape { readers: BUSY * FLOOD, criticality: Criticality::Sheddable, ..busy };
    let (important, batch) = (site.load(important), site.load(batch));
    let (from, before) = (Instant::now(), important.read() + batch.read());
    let among = important.reads(reads / 4).await?;
    let served = important.read() + batch.read() - before;
    let share = served as f64 / from.elapsed().as_secs_f64() / alone.rate();
    let (important, batch) = (important.stop().await?, batch.stop().await?);
    let refused: usize = important.errors.values().sum();
    let leaks = site.leaks(allowed()).await?;
    let story = format!(
        "{} callers instead of {BUSY}: {:.0} % of the throughput; of the important {} served, {refused} refused, p99 {:.1} ms; of \
         the rest: {}; {leaks}",
        BUSY * FLOOD,
        share * 100.0,
        important.reads.len(),
        important.quantile(0.99, &among).as_secs_f64() * 1e3,
        batch.told(),
    );
    if share < 0.5 || refused * 100 > important.reads.len() {
        return Err(story.into());
    }
    Ok(story)
}

/// A statement of thirty seconds in the middle of fast ones, time and again.
async fn slow(reads: usize) -> Result<String, Failure> {
    const TURNS: usize = 5;
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
    load.reads(reads).await?;
    let mut turns = Vec::new();
    for _ in 0..TURNS {
        let without = load.reads(reads).await?;
        // Dropped when the others have been served: its caller leaves, the server goes on with it.
        let with = tokio::select! {
            ended = nap(30.0) => return Err(format!("thirty seconds passed: {:?}", ended.err()).into()),
            with = load.reads(reads) => with?,
        };
        turns.push((without, with));
    }
    let ledger = load.stop().await?;
    let millis = |share, within| ledger.quantile(share, within).as_secs_f64() * 1e3;
    let mut ratios: Vec<_> = turns
        .iter()
        .map(|(without, with)| (millis(0.99, with) / millis(0.99, without), without, with))
        .collect();
    // The machine has its own bad moments, in either half: the middle one of all turns counts.
    ratios.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (ratio, without, with) = ratios[TURNS / 2];
    let slowest = turns.iter().map(|(_, with)| millis(1.0, with)).fold(0.0, f64::max);
    let leaks = site.leaks(allowed()).await?;
    let story = format!(
        "p99 of the fast {:.1} ms without it, {:.1} ms with it ({ratio:.1} times), {slowest:.0} ms the slowest of all; {}; {leaks}",
        millis(0.99, without),
        millis(0.99, with),
        ledger.told()
    );
    if ratio > 3.0 { Err(story.into()) } else { Ok(story) }
}

/// The load is served for a while, longer or shorter.
async fn served(load: &Load, dice: &Dice) -> Result<(), Failure> {
    load.reads(500 + below(dice.roll(), 1_000) as usize).await.map(drop)
}

/// The fault is over now.
async fn recovered(load: &Load) -> Result<Duration, Failure> {
    let back = load.back_after(Instant::now()).await?;
    if back > RECOVERY {
        return Err(format!("back after {} ms", back.as_millis()).into());
    }
    Ok(back)
}
