//! A hundred clients that write on one node and read on another. What they know is the oracle: a read that is older than
//! the reader's last acknowledged write is stale.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use burgeon_resilience::random::{Dice, below};
use tokio::task::JoinSet;

use crate::Failure;
use crate::client::Client;
use crate::site::Site;

pub const CLIENTS: u64 = 100;

/// What became of the pairs.
#[derive(Default)]
pub struct Tally {
    pub pairs: AtomicU64,
    pub stale: AtomicU64,
    pub unanswered_writes: AtomicU64,
    pub unanswered_reads: AtomicU64,
    pub read_micros: AtomicU64,
    pub slowest_micros: AtomicU64,
}

/// Whether clients give back what they were given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manners {
    Causal,
    /// They drop the position, as a client of any other framework would.
    Naive,
}

/// Runs so many pairs, spread over the clients. `round` keeps the versions of one run above those of the last.
pub async fn run(
    site: &Site,
    pairs: u64,
    round: u64,
    manners: Manners,
    dice: &Dice,
) -> Result<Arc<Tally>, Failure> {
    let tally = Arc::new(Tally::default());
    let ports: Vec<u16> = site.nodes.iter().map(|node| node.port).collect();
    let mut clients = JoinSet::new();
    for id in 0..CLIENTS {
        let (tally, ports, dice) = (tally.clone(), ports.clone(), Dice::seeded(dice.roll()));
        clients.spawn(async move {
            let mut client = Client::default();
            let mut acknowledged = 0;
            for number in 1..=pairs / CLIENTS {
                let version = round * 1_000_000 + number;
                let at = below(dice.roll(), ports.len() as u64) as usize;
                let written = client.ask(ports[at], "PUT", &format!("/notes/{id}/{version}")).await;
                match written {
                    Ok(answer) if answer.status == 204 => acknowledged = version,
                    _ => {
                        tally.unanswered_writes.fetch_add(1, Ordering::Relaxed);
                    }
                }
                if manners == Manners::Naive {
                    client.position = None;
                }
                let elsewhere = (at + 1 + below(dice.roll(), ports.len() as u64 - 1) as usize) % ports.len();
                let started = Instant::now();
                let read = client.ask(ports[elsewhere], "GET", &format!("/notes/{id}")).await;
                let took = started.elapsed().as_micros() as u64;
                match read.as_ref().map(|answer| (answer.status, answer.body.parse::<u64>())) {
                    Ok((200, Ok(found))) => {
                        tally.pairs.fetch_add(1, Ordering::Relaxed);
                        tally.read_micros.fetch_add(took, Ordering::Relaxed);
                        tally.slowest_micros.fetch_max(took, Ordering::Relaxed);
                        if found < acknowledged {
                            tally.stale.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    _ => {
                        tally.unanswered_reads.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        });
    }
    let all = async {
        while let Some(ended) = clients.join_next().await {
            ended?;
        }
        Ok::<(), Failure>(())
    };
    tokio::time::timeout(Duration::from_secs(600), all).await.map_err(|_| "the clients hang")??;
    Ok(tally)
}

impl Tally {
    pub fn stale(&self) -> u64 {
        self.stale.load(Ordering::Relaxed)
    }

    pub fn told(&self) -> String {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let pairs = get(&self.pairs);
        format!(
            "{pairs} pairs, {} stale; unanswered: {} writes, {} reads; a read took {:.1} ms, at most {:.0} ms",
            self.stale(),
            get(&self.unanswered_writes),
            get(&self.unanswered_reads),
            get(&self.read_micros) as f64 / pairs.max(1) as f64 / 1_000.0,
            get(&self.slowest_micros) as f64 / 1_000.0,
        )
    }
}
