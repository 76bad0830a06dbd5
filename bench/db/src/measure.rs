//! A closed loop of tasks for a fixed time, and what it cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bench_report::cpu_seconds;
use tokio::task::JoinSet;

use crate::case::{Case, Failure, Peer};

/// One round of one case against one peer.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    pub per_second: f64,
    pub cpu_micros: f64,
    pub p99_millis: f64,
    pub errors: u64,
}

/// Serial numbers for one database: no insert of any peer or round meets another's.
#[derive(Clone, Default)]
pub struct Serials(Arc<AtomicI64>);

/// Keeps `tasks` requests in flight for `time`.
pub async fn round<P: Peer>(
    peer: &P,
    case: Case,
    tasks: usize,
    time: Duration,
    serials: &Serials,
) -> Result<Round, Failure> {
    let over = Arc::new(AtomicBool::new(false));
    let errors = Arc::new(AtomicU64::new(0));
    let cpu_before = cpu_seconds(std::process::id()).ok_or("this bench reads /proc and so needs Linux")?;
    let started = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..tasks {
        let (peer, over, errors, serials) = (peer.clone(), over.clone(), errors.clone(), serials.clone());
        running.spawn(async move {
            let mut took = Vec::with_capacity(4096);
            let mut first_error = None;
            while !over.load(Ordering::Relaxed) {
                let serial = serials.0.fetch_add(1, Ordering::Relaxed);
                let begun = Instant::now();
                match case.run(&peer, serial).await {
                    Ok(()) => took.push(begun.elapsed()),
                    Err(error) => {
                        errors.fetch_add(1, Ordering::Relaxed);
                        first_error.get_or_insert(error);
                    }
                }
            }
            (took, first_error)
        });
    }
    tokio::time::sleep(time).await;
    over.store(true, Ordering::Relaxed);
    let mut took = Vec::new();
    let mut first_error = None;
    while let Some(done) = running.join_next().await {
        let (durations, error) = done?;
        took.extend(durations);
        first_error = first_error.or(error);
    }
    let elapsed = started.elapsed().as_secs_f64();
    let cpu = cpu_seconds(std::process::id()).ok_or("/proc went away")? - cpu_before;
    if took.is_empty() {
        return Err(format!("{}: not one success; the first error: {first_error:?}", case.name()).into());
    }
    took.sort_unstable();
    Ok(Round {
        per_second: took.len() as f64 / elapsed,
        cpu_micros: cpu * 1e6 / took.len() as f64,
        p99_millis: took[(took.len() - 1) * 99 / 100].as_secs_f64() * 1e3,
        errors: errors.load(Ordering::Relaxed),
    })
}
