//! go-zero's adaptive shedder: only above 90 % of the processor, and then beyond the best throughput times the least response time.

use std::collections::{HashMap, VecDeque};

use burgeon_resilience::Instant;
use burgeon_resilience::admission::Priority;

use crate::sim::policy::{Policy, Verdict};

#[derive(Default)]
pub struct GoZero {
    /// The processor's use by their slow average.
    cpu: f64,
    running: HashMap<u32, Instant>,
    average_in_flight: f64,
    /// Buckets of 100 ms: ended, and their times in milliseconds.
    buckets: VecDeque<(u64, u32, f64)>,
    dropped_at: Option<Instant>,
}

const BUCKET: u64 = 100_000;
const BUCKETS: u64 = 50;
const COOL_OFF: u64 = 1_000_000;

impl GoZero {
    fn most_in_flight(&self) -> f64 {
        let passed = self.buckets.iter().map(|(_, ended, _)| *ended).max().unwrap_or(1).max(1);
        let least = self.buckets.iter().map(|(_, ended, took)| took / f64::from((*ended).max(1)));
        let least = least.fold(f64::MAX, f64::min).clamp(1.0, 1_000.0).ceil();
        (f64::from(passed) * 10.0 * least / 1_000.0).max(1.0)
    }
}

impl Policy for GoZero {
    fn arrive(&mut self, now: Instant, attempt: u32, _priority: Priority, _deadline: Instant) -> Verdict {
        let hot = self.dropped_at.is_some_and(|at| now.micros_since(at) < COOL_OFF);
        if self.cpu >= 0.9 || hot {
            let most = self.most_in_flight();
            if self.average_in_flight > most && self.running.len() as f64 > most {
                if self.cpu >= 0.9 {
                    self.dropped_at = Some(now);
                }
                return Verdict::Refuse;
            }
        }
        self.running.insert(attempt, now);
        Verdict::Start
    }

    fn end(&mut self, now: Instant, attempt: u32, late: bool) {
        let since = self.running.remove(&attempt).expect("it was admitted");
        self.average_in_flight = 0.9 * self.average_in_flight + 0.1 * self.running.len() as f64;
        // Their handler does not count what timed out as passed.
        if late {
            return;
        }
        let bucket = now.as_micros() / BUCKET;
        while self.buckets.front().is_some_and(|(at, ..)| at + BUCKETS <= bucket) {
            self.buckets.pop_front();
        }
        let took = (now.micros_since(since) as f64 / 1_000.0).ceil();
        match self.buckets.back_mut() {
            Some((at, ended, sum)) if *at == bucket => {
                *ended += 1;
                *sum += took;
            }
            _ => self.buckets.push_back((bucket, 1, took)),
        }
    }

    fn cpu(&mut self, _now: Instant, used: f64) {
        self.cpu = 0.95 * self.cpu + 0.05 * used;
    }
}
