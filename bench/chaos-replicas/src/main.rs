//! Delays, pauses, kills and promotes replicas under three nodes of an application, and asks a hundred clients whether they
//! ever read less than they had written.
//!
//! The oracle is outside of the system: each client knows its last acknowledged write, and a read on another node that is
//! older is stale. Before it is believed it must find what it looks for: the same clients without their positions read
//! from the same delayed replica, and must see stale notes.

mod cap;
mod client;
mod failover;
mod node;
mod pairs;
mod site;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use bench_report::chaos::Chaos;
use burgeon_resilience::random::Dice;
use tokio::time::sleep;

use crate::pairs::Manners;
use crate::site::{Reads, Site};

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

const PAIRS: u64 = 10_000;
const SCENES: u64 = 5;
const BACK: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    // One binary is both the experiment and the application under it.
    if std::env::var_os("CHAOS_NODE").is_some() {
        return node::run();
    }
    let mut chaos = Chaos::from_args(
        "Replicas that lag, pause, die and are promoted, under clients that read their own writes.",
        &["replicas", "cap", "synchronous", "asynchronous"],
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
    let pairs = if chaos.long { PAIRS * 20 } else { PAIRS };
    if chaos.wants("replicas") || chaos.wants("cap") {
        match Site::open().await {
            Ok(site) => {
                if chaos.wants("replicas") {
                    let ended = replicas(&site, pairs, Dice::seeded(chaos.seed)).await;
                    chaos.tell("replicas", told(&site, ended));
                }
                if chaos.wants("cap") {
                    let ended = cap::run(&site).await;
                    chaos.tell("cap", told(&site, ended));
                }
            }
            Err(error) => chaos.tell("site", Err(error)),
        }
    }
    for (part, synchronous) in [("synchronous", true), ("asynchronous", false)] {
        if chaos.wants(part) {
            let ended = match Site::open().await {
                Ok(site) => told(&site, failover::run(&site, synchronous).await),
                Err(error) => Err(error.to_string()),
            };
            chaos.tell(part, ended);
        }
    }
}

fn told(site: &Site, result: Result<String, Failure>) -> Result<String, String> {
    result.map_err(|error| format!("{error}\n{}", site.said()))
}

/// Ten thousand pairs under five fates of the replicas.
async fn replicas(site: &Site, pairs: u64, dice: Dice) -> Result<String, Failure> {
    let (one, other) = (&site.replicas[0], &site.replicas[1]);
    let mut total = Reads::default();
    let mut stale = 0;
    let mut round = 0;
    for scene in ["healthy", "one delayed by 5 s", "one paused", "one killed and restarted", "all paused"] {
        match scene {
            "one delayed by 5 s" => one.set("recovery_min_apply_delay", "5s").await?,
            "one paused" => other.pause_replay().await?,
            "all paused" => {
                one.pause_replay().await?;
                other.pause_replay().await?;
            }
            _ => {}
        }
        let before = site.reads().await?;
        round += 1;
        let running = pairs::run(site, pairs / SCENES, round, Manners::Causal, &dice);
        let tally = if scene == "one killed and restarted" {
            let killing = async {
                sleep(Duration::from_millis(300)).await;
                one.kill().await?;
                sleep(Duration::from_millis(700)).await;
                one.restart().await
            };
            let (tally, killed) = tokio::join!(running, killing);
            killed?;
            tally?
        } else {
            running.await?
        };
        let reads = site.reads().await?.since(before);
        println!("  {scene}: {}; {:.1} % of the reads on the primary", tally.told(), reads.on_the_primary());
        stale += tally.stale();
        total = Reads { replica: total.replica + reads.replica, fallback: total.fallback + reads.fallback };
        match scene {
            // Can the oracle see at all?
            "one delayed by 5 s" => {
                round += 1;
                let naive = pairs::run(site, 1_000, round, Manners::Naive, &dice).await?;
                println!("  the same without positions: {}", naive.told());
                if naive.stale() == 0 {
                    return Err("the oracle is blind: clients without positions read nothing stale".into());
                }
                one.set("recovery_min_apply_delay", "0").await?;
            }
            "one paused" => other.resume_replay().await?,
            "all paused" => {
                one.resume_replay().await?;
                other.resume_replay().await?;
            }
            _ => {}
        }
        whole(site).await?;
    }
    if stale > 0 {
        return Err(format!("{stale} of {pairs} reads were older than their reader's own write").into());
    }
    Ok(format!(
        "{pairs} pairs, 0 stale; {:.1} % of the reads went to the primary, {} to replicas",
        total.on_the_primary(),
        total.replica
    ))
}

/// Waits until every node has every server in use.
async fn whole(site: &Site) -> Result<(), Failure> {
    let started = Instant::now();
    for node in &site.nodes {
        while !node.is_whole().await {
            if started.elapsed() > BACK {
                return Err(format!("not every server was in use again within {BACK:?}").into());
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}
