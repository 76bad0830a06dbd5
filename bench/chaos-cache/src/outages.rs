//! The same over Postgres: a replica that lags for seconds, and a bus that is cut under load.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use burgeon_cache::{Config, Far};
use burgeon_cluster::bus::{Fate, Hub};
use burgeon_core::Ctx;
use burgeon_db::{Db, sql};
use burgeon_meter::Meters;
use burgeon_resilience::random::{Dice, below};
use burgeon_runtime::Tasks;
use burgeon_services::{Postgres, Proxy, Redis};
use tokio::time::{Instant, sleep};

use crate::memory::Memory;
use crate::oracle::Oracle;
use crate::site::{self, Data, Link, Manners, Node};
use crate::{Failure, KEYS, NODES, SILENCE, clients};

/// Three nodes, each with a database handle of its own and a bus that can be cut without cutting the database.
struct Site {
    nodes: Arc<Vec<Node>>,
    replica: Option<Postgres>,
    proxy: Proxy,
    tasks: Tasks,
    _primary: Postgres,
}

/// The bound of what is served while not everybody is heard, here as it is by default.
const AGE: Duration = Duration::from_secs(5);

/// What each node may load at once while Redis is away: so few that the cap is reached.
const LOADS_WHEN_DOWN: usize = 2;

/// Whoever had asked Redis when it died has been told by then.
const NOTICED: Duration = Duration::from_secs(1);

/// Until when a written value is everywhere, whatever was lost.
const BOUND: Duration = Duration::from_secs(12);

impl Site {
    async fn open(seed: u64, with_replica: bool, age: Duration) -> Result<Site, Failure> {
        let primary = Postgres::start().await?;
        let (meters, url) = (Meters::new(), primary.url());
        let tasks = Tasks::new(&meters);
        let db = Db::open(&burgeon_db::Config::at(url.clone()), &tasks, &meters).await?;
        prepare(&db).await?;
        let replica = if with_replica { Some(primary.replica().await?) } else { None };
        let proxy = Proxy::start(("127.0.0.1", primary.port())).await?;
        let mut nodes = Vec::new();
        for number in 0..NODES as u64 {
            let meters = Meters::new();
            let tasks = Tasks::new(&meters);
            let mut config = burgeon_db::Config::at(url.clone());
            config.replicas = replica.iter().map(|replica| replica.url().into()).collect();
            config.postgres.causal_position = true;
            let db = Db::open(&config, &tasks, &meters).await?;
            let ear = burgeon_db::Config::at(proxy.url_for(&url));
            let ear = Db::open(&ear, &tasks, &Meters::new()).await?;
            let link = Link::Postgres { db: ear, channel: "chaos".to_owned() };
            // A load may take long while the replica stands still, and nothing stale is wanted then.
            let config =
                Config { ttl: Duration::from_secs(60), stale_max: Duration::ZERO, ..Node::config(age) };
            nodes.push(Node::new(Data::Postgres(db), link, None, &config, meters, tasks, seed + number)?);
        }
        site::whole(&nodes).await;
        Ok(Site { nodes: Arc::new(nodes), replica, proxy, tasks, _primary: primary })
    }

    fn loads(&self) -> u64 {
        self.nodes.iter().map(Node::loads).sum()
    }
}

async fn prepare(db: &Db) -> Result<(), Failure> {
    let ctx = Ctx::background();
    sql!("make_row", "create table row (id bigint primary key, version bigint not null)")
        .execute(&db.write(&ctx))
        .await?;
    for key in 0..KEYS {
        sql!("fill_row", "insert into row (id, version) values ($1, 0)", key as i64)
            .execute(&db.write(&ctx))
            .await?;
    }
    Ok(())
}

/// A replica whose replay stands still for up to a second again and again, and a bus that is cut now and then.
pub async fn replica(seed: u64, long: bool) -> Result<String, Failure> {
    let site = Site::open(seed, true, AGE).await?;
    let oracle = Arc::new(Oracle::new(BOUND));
    let operations = if long { 1_000_000 } else { 8_000 };
    let started = Instant::now();
    tokio::select! {
        ran = clients::run(&site.nodes, &oracle, &site.tasks, Manners::Ours, seed, operations, None) => ran?,
        broken = standing_still(&site, Dice::seeded(seed)) => match broken? {},
    }
    let took = started.elapsed();
    let reads = |target, how| -> u64 {
        site.nodes.iter().map(|node| node.count("db_reads_total", &[("target", target), ("how", how)])).sum()
    };
    let from_replica = reads("replica", "known") + reads("replica", "asked") + reads("replica", "waited");
    let from_primary = reads("primary", "fallback");
    let verdict = oracle.verdict();
    let story = format!(
        "{operations} operations in {took:.1?}: {}; {from_replica} loads from a replica that stands still now and then, \
         {from_primary} from the primary",
        verdict.told()
    );
    if verdict.stale() > 0 || !verdict.errors.is_empty() {
        return Err(format!("{story}; {:?}", verdict.errors.first()).into());
    }
    if from_replica == 0 || from_primary == 0 {
        return Err(format!("the replica was never in anybody's way: {story}").into());
    }
    Ok(story)
}

/// The replica stands still and goes on, for ever; at times the bus is cut meanwhile.
async fn standing_still(site: &Site, dice: Dice) -> Result<Infallible, Failure> {
    let replica = site.replica.as_ref().ok_or("there is no replica")?;
    let pause = async |most: u64| sleep(Duration::from_millis(below(dice.roll(), most))).await;
    loop {
        replica.pause_replay().await?;
        pause(1_000).await;
        let cuts = below(dice.roll(), 3) == 0;
        if cuts {
            site.proxy.cut();
            pause(700).await;
        }
        replica.resume_replay().await?;
        pause(300).await;
        if cuts {
            site.proxy.heal();
        }
    }
}

/// A second tier in Redis, which is killed under load and comes back empty, while messages are delayed and lost.
pub async fn redis(seed: u64, long: bool) -> Result<String, Failure> {
    let lasts = Duration::from_secs(if long { 30 } else { 3 });
    let (server, hub, memory) = (Redis::start().await?, Hub::new(), Memory::new(seed));
    let mut nodes = Vec::new();
    for number in 0..NODES as u64 {
        let meters = Meters::new();
        let tasks = Tasks::new(&meters);
        let at = burgeon_redis::Config { url: server.url().into(), ..burgeon_redis::Config::default() };
        let redis = burgeon_redis::Redis::connect(&at, &tasks, &meters)?;
        redis.connected().await;
        let far = Some(Far::redis(&redis, "chaos"));
        let (data, link) = (Data::Memory(memory.clone()), Link::InProcess(hub.clone()));
        // Nothing stale is wanted while loads wait for their turn: what was only expired would be served meanwhile.
        let mut config = Config { stale_max: Duration::ZERO, ..Node::config(AGE) };
        config.far.loads_when_down = LOADS_WHEN_DOWN;
        config.far.wait_when_down = Duration::from_secs(8);
        nodes.push(Node::new(data, link, far, &config, meters, tasks, seed + number)?);
    }
    site::whole(&nodes).await;
    let nodes = Arc::new(nodes);
    let dice = Dice::seeded(seed ^ 0x5ed15);
    hub.set_weather(move || match below(dice.roll(), 200) {
        0 => Fate::Lose,
        1..20 => Fate::Delay(Duration::from_micros(below(dice.roll(), 20_000))),
        _ => Fate::Arrive,
    });
    let oracle = Arc::new(Oracle::new(BOUND));
    let tasks = Tasks::new(&Meters::new());
    let calm = Duration::from_secs(3);
    let until = Instant::now() + calm + lasts + calm;
    let load = clients::run(&nodes, &oracle, &tasks, Manners::Ours, seed, u64::MAX, Some(until));
    let count = |name: &'static str, outcome: &'static str| -> u64 {
        nodes.iter().map(|node| node.count(name, &[("cache", "row"), ("outcome", outcome)])).sum()
    };
    let hits = || count("cache_far_reads_total", "hit");
    let outage = async {
        sleep(calm).await;
        let before = hits();
        server.kill().await?;
        sleep(NOTICED).await;
        memory.most_at_once();
        sleep(lasts - NOTICED).await;
        let most = memory.most_at_once();
        server.restart().await?;
        let back = hits();
        sleep(calm).await;
        Ok::<_, Failure>((before, hits() - back, most))
    };
    let (ran, outage) = tokio::join!(load, outage);
    ran?;
    let (before, after, most) = outage?;
    let capped =
        count("cache_far_capped_loads_total", "waited") + count("cache_far_capped_loads_total", "refused");
    let cap = (LOADS_WHEN_DOWN * NODES) as u64;
    let verdict = oracle.verdict();
    let story = format!(
        "Redis killed for {lasts:?}: {}; {before} values came from it before and {after} after; meanwhile {most} loads at once, of \
         at most {cap}, and {capped} had to wait for their turn",
        verdict.told()
    );
    if verdict.stale() > 0 || !verdict.errors.is_empty() {
        return Err(format!("{story}; {:?}", verdict.errors.first()).into());
    }
    if before == 0 || after == 0 {
        return Err(format!("the second tier was never asked: {story}").into());
    }
    if most > cap {
        return Err(format!("the database was asked too much at once: {story}").into());
    }
    if capped == 0 {
        return Err(format!("the cap was never reached: {story}").into());
    }
    Ok(story)
}

/// The bus is cut under load for thirty seconds (five in the short form) and back.
pub async fn bus(seed: u64, long: bool) -> Result<String, Failure> {
    let lasts = Duration::from_secs(if long { 30 } else { 5 });
    let age = if long { AGE } else { Duration::from_secs(1) };
    let site = Site::open(seed, false, age).await?;
    let oracle = Arc::new(Oracle::new(BOUND));
    let calm = Duration::from_secs(2);
    let until = Instant::now() + calm + lasts + calm;
    let load = clients::run(&site.nodes, &oracle, &site.tasks, Manners::Ours, seed, u64::MAX, Some(until));
    let outage = async {
        sleep(calm).await;
        let before = (site.loads(), oracle.verdict().writes);
        site.proxy.cut();
        sleep(lasts).await;
        let after = (site.loads(), oracle.verdict().writes);
        site.proxy.heal();
        site::whole(&site.nodes).await;
        (after.0 - before.0, after.1 - before.1)
    };
    let (ran, (loads, writes)) = tokio::join!(load, outage);
    ran?;
    // Each of a node's two caches loads a key once for each write of it here, once for a writer who comes from elsewhere, and once
    // per age.
    let ages = (lasts + SILENCE).as_secs_f64() / age.as_secs_f64();
    let cap = 2 * ((writes * 2 * NODES as u64) + ((ages + 1.0) * (KEYS as usize * NODES) as f64) as u64);
    let verdict = oracle.verdict();
    let story = format!(
        "bus cut for {lasts:?}: {}; {loads} loads meanwhile for {writes} writes, of at most {cap}",
        verdict.told()
    );
    if verdict.stale() > 0 || !verdict.errors.is_empty() {
        return Err(format!("{story}; {:?}", verdict.errors.first()).into());
    }
    if loads > cap {
        return Err(format!("too many loads: {story}").into());
    }
    Ok(story)
}
