//! Loses, delays and repeats what nodes tell each other about their caches, lets replicas lag and the bus be cut, and asks
//! whether a reader ever gets less than it must.
//!
//! The oracle is outside of the system; see [`oracle`]. Before it is believed it must find what it looks for: the same
//! clients over a plain cache-aside with invalidation messages, in the same weather, must read stale values.

mod clients;
mod memory;
mod naive;
mod oracle;
mod outages;
mod site;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bench_report::chaos::Chaos;
use burgeon_cluster::bus::{Fate, Hub};
use burgeon_meter::Meters;
use burgeon_resilience::random::{Dice, below};
use burgeon_runtime::Tasks;
use tokio::time::{Instant, sleep};

use crate::memory::Memory;
use crate::oracle::Oracle;
use crate::site::{Data, HEARTBEAT, Link, Manners, Node};

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

pub const KEYS: u64 = 64;
pub const NODES: usize = 3;

/// Values are served so long at most while not every node is heard.
const AGE_UNHEARD: Duration = Duration::from_millis(500);

/// So long after a write every node has it, whatever was lost: silence is noticed within three heartbeats, values age,
/// and the machine may be busy.
const BOUND: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let mut chaos = Chaos::from_args(
        "Readers of three nodes' caches in bad weather: ten million operations instead of 200,000 in the long form, and longer outages.",
        &["naive", "weather", "replica", "redis", "outages"],
    );
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            println!("no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(run(&mut chaos));
    chaos.finish()
}

async fn run(chaos: &mut Chaos) {
    let (seed, long) = (chaos.seed, chaos.long);
    if chaos.wants("naive") {
        chaos.tell("naive", weather(Manners::Naive, 20_000, seed).await);
    }
    if chaos.wants("weather") {
        let operations = if long { 10_000_000 } else { 200_000 };
        chaos.tell("weather", weather(Manners::Ours, operations, seed).await);
    }
    if chaos.wants("replica") {
        chaos.tell("replica", outages::replica(seed, long).await);
    }
    if chaos.wants("redis") {
        chaos.tell("redis", outages::redis(seed, long).await);
    }
    if chaos.wants("outages") {
        chaos.tell("outages", outages::bus(seed, long).await);
    }
}

/// Three nodes in one process over a database in memory whose copies lag; messages are lost, delayed and repeated, and now
/// and then the bus is cut.
async fn weather(manners: Manners, operations: u64, seed: u64) -> Result<String, Failure> {
    let (hub, memory) = (Hub::new(), Memory::new(seed));
    let mut nodes = Vec::new();
    for number in 0..NODES as u64 {
        let meters = Meters::new();
        let tasks = Tasks::new(&meters);
        let (data, link) = (Data::Memory(memory.clone()), Link::InProcess(hub.clone()));
        nodes.push(Node::new(data, link, None, &Node::config(AGE_UNHEARD), meters, tasks, seed + number)?);
    }
    site::whole(&nodes).await;
    let nodes = Arc::new(nodes);
    let oracle = Arc::new(Oracle::new(BOUND));
    let tasks = Tasks::new(&Meters::new());
    let dice = Dice::seeded(seed ^ 0xbad);
    hub.set_weather(move || match below(dice.roll(), 100) {
        0 => Fate::Lose,
        1..12 => Fate::Delay(Duration::from_micros(below(dice.roll(), 30_000))),
        12..15 => Fate::Repeat,
        _ => Fate::Arrive,
    });
    let cuts = tasks.spawn("cuts", {
        let (hub, dice) = (hub.clone(), Dice::seeded(seed ^ 0xc07));
        async move {
            loop {
                sleep(Duration::from_millis(200 + below(dice.roll(), 1_500))).await;
                hub.cut();
                sleep(Duration::from_millis(below(dice.roll(), 400))).await;
                hub.restore();
            }
        }
    });
    let started = Instant::now();
    clients::run(&nodes, &oracle, &tasks, manners, seed, operations, None).await?;
    let took = started.elapsed();
    cuts.abort();
    let verdict = oracle.verdict();
    let (copies, primary) = memory.reads();
    let sum =
        |what: &'static str| nodes.iter().map(|node| node.count("cache_news_total", &[("what", what)])).sum();
    let (missed, unheard): (u64, u64) = (
        sum("missed"),
        nodes.iter().map(|node| node.count("cache_unheard_total", &[("cache", "row")])).sum(),
    );
    let of_both = |name, label: Option<(&'static str, &'static str)>| -> u64 {
        let count = |node: &Node, cache| {
            let labels: Vec<_> = std::iter::once(("cache", cache)).chain(label).collect();
            node.count(name, &labels)
        };
        nodes.iter().map(|node| count(node, "row") + count(node, "rows")).sum()
    };
    let discarded = of_both("cache_discarded_total", Some(("why", "invalidated")));
    let evicted = of_both("cache_evictions_total", None);
    let story = format!(
        "{operations} operations in {took:.1?}: {}; {copies} loads from copies that lag, {primary} from the primary; {missed} \
         times a node missed something, {unheard} readers came before their news, {discarded} loads were overtaken, \
         {evicted} values had to leave for want of room",
        verdict.told()
    );
    match manners {
        Manners::Naive if verdict.stale() == 0 => Err(format!("the oracle is blind: {story}").into()),
        Manners::Naive => Ok(story),
        Manners::Ours if verdict.stale() > 0 || !verdict.errors.is_empty() => {
            Err(format!("{story}; {:?}", verdict.errors.first()).into())
        }
        // A run in which nothing happened proves nothing.
        Manners::Ours if [missed, unheard, discarded, evicted, copies, primary].contains(&0) => {
            Err(format!("the weather was too good: {story}").into())
        }
        Manners::Ours => Ok(story),
    }
}

/// After so long silence is noticed.
pub const SILENCE: Duration = HEARTBEAT.saturating_mul(3);
