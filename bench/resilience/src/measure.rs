//! How long a case takes.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::Case;

/// CPU nanoseconds per decision, with so many threads making them for about so many seconds of wall time.
pub fn nanos(case: &Case, threads: usize, seconds: f64) -> f64 {
    let run = (case.make)();
    // Warm, and how many fit.
    let begun = Instant::now();
    run(2_000);
    let each = begun.elapsed().as_secs_f64() / 2_000.0;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let at_once = threads.min(cores) as f64;
    let count = ((seconds * at_once / each / threads as f64) as u64).max(1_000);
    let barrier = Barrier::new(threads + 1);
    let before = std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                barrier.wait();
                run(count);
            });
        }
        let before = cpu();
        barrier.wait();
        before
    });
    (cpu() - before).as_nanos() as f64 / (count * threads as u64) as f64
}

/// CPU time of this process and all its threads, those that ended included.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}
