//! A limit that a rule moves every 100 ms; refused above it, without a queue.

use std::collections::HashMap;

use burgeon_resilience::Instant;
use burgeon_resilience::admission::Priority;

use crate::sim::policy::{Policy, Verdict};

/// How a limit moves.
pub trait Rule {
    /// The next limit, from what a window saw.
    fn learn(&mut self, limit: f64, seen: &Seen) -> f64;

    /// A limit that overrules, for as long as it says so.
    fn pinned(&self) -> Option<u32> {
        None
    }

    /// Something ended; for rules that do not wait for the window.
    fn ended(&mut self, _now: Instant, _took: u64) {}
}

/// A window of 100 ms. Times are in microseconds.
pub struct Seen {
    pub now: Instant,
    pub took: Vec<u64>,
    pub in_flight: u32,
}

impl Seen {
    pub fn mean(&self) -> f64 {
        self.took.iter().sum::<u64>() as f64 / self.took.len() as f64
    }

    pub fn median(&self) -> f64 {
        let mut took = self.took.clone();
        let middle = took.len() / 2;
        *took.select_nth_unstable(middle).1 as f64
    }
}

pub struct Limited<R> {
    rule: R,
    limit: f64,
    running: HashMap<u32, Instant>,
    opened: Instant,
    took: Vec<u64>,
    most: u32,
}

const WINDOW: u64 = 100_000;
const ENOUGH: usize = 10;

impl<R: Rule> Limited<R> {
    pub fn new(initial: u32, rule: R) -> Self {
        Self {
            rule,
            limit: f64::from(initial),
            running: HashMap::new(),
            opened: Instant::ORIGIN,
            took: Vec::new(),
            most: 0,
        }
    }

    fn current(&self) -> u32 {
        self.rule.pinned().unwrap_or(self.limit as u32)
    }
}

impl<R: Rule> Policy for Limited<R> {
    fn arrive(&mut self, now: Instant, attempt: u32, _priority: Priority, _deadline: Instant) -> Verdict {
        if self.running.len() as u32 >= self.current() {
            return Verdict::Refuse;
        }
        self.running.insert(attempt, now);
        self.most = self.most.max(self.running.len() as u32);
        Verdict::Start
    }

    fn end(&mut self, now: Instant, attempt: u32, _late: bool) {
        let since = self.running.remove(&attempt).expect("it was admitted");
        self.took.push(now.micros_since(since));
        self.rule.ended(now, now.micros_since(since));
        if now.micros_since(self.opened) >= WINDOW && self.took.len() >= ENOUGH {
            let seen = Seen { now, took: std::mem::take(&mut self.took), in_flight: self.most };
            self.limit = self.rule.learn(self.limit, &seen);
            self.opened = now;
            self.most = self.running.len() as u32;
        }
    }

    fn limit(&self) -> Option<u32> {
        Some(self.current())
    }
}
