//! The machine: so many cores, shared evenly by all that runs.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Processor sharing: each of n jobs runs at `min(1, cores/n) * efficiency(n)`.
#[derive(Debug)]
pub struct Server {
    cores: f64,
    /// How much each job beyond the 32nd slows everybody down: caches, locks, memory.
    contention: f64,
    /// What every job has been given since the beginning, in microseconds of work. All get the same, so one number is enough.
    given: f64,
    at: u64,
    /// Jobs by how much must have been given when they end.
    jobs: BinaryHeap<Reverse<(Given, u32)>>,
    /// Core-microseconds used, for whoever looks at the processor.
    used: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Given(f64);

impl Eq for Given {}

impl PartialOrd for Given {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Given {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Server {
    pub fn new(cores: f64, contention: f64) -> Self {
        Self { cores, contention, given: 0.0, at: 0, jobs: BinaryHeap::new(), used: 0.0 }
    }

    pub fn set_cores(&mut self, now: u64, cores: f64) {
        self.advance(now);
        self.cores = cores;
    }

    pub fn start(&mut self, now: u64, job: u32, work: f64) {
        self.advance(now);
        self.jobs.push(Reverse((Given(self.given + work), job)));
    }

    /// When the next job ends, if nothing else happens.
    pub fn next_end(&self) -> Option<u64> {
        let Reverse((Given(end), _)) = self.jobs.peek()?;
        Some(self.at + ((end - self.given).max(0.0) / self.speed()).ceil() as u64)
    }

    /// The job that ends now.
    pub fn end(&mut self, now: u64) -> Option<u32> {
        self.advance(now);
        self.jobs.pop().map(|Reverse((_, job))| job)
    }

    /// The share of the cores that was used since this was last asked.
    pub fn take_used(&mut self, now: u64, since: u64) -> f64 {
        self.advance(now);
        std::mem::take(&mut self.used) / ((now - since) as f64 * self.cores)
    }

    pub fn running(&self) -> usize {
        self.jobs.len()
    }

    fn advance(&mut self, now: u64) {
        let passed = now.saturating_sub(self.at) as f64;
        self.given += passed * self.speed();
        self.used += passed * self.cores.min(self.jobs.len() as f64);
        self.at = now;
    }

    fn speed(&self) -> f64 {
        let jobs = self.jobs.len().max(1) as f64;
        let efficiency = 1.0 / (1.0 + self.contention * (jobs - 32.0).max(0.0));
        (self.cores / jobs).min(1.0) * efficiency
    }
}
