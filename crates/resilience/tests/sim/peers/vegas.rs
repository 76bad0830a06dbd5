//! Vegas, as in Netflix's concurrency-limits: how many of those in flight queue, by the least response time ever seen.

use burgeon_resilience::random::{self, Dice};

use super::limited::{Rule, Seen};

pub struct Vegas {
    least: f64,
    windows: f64,
    probe_at: f64,
    dice: Dice,
}

impl Vegas {
    pub fn new(seed: u64) -> Self {
        Self { least: f64::MAX, windows: 0.0, probe_at: 30.0 * 20.0, dice: Dice::seeded(seed) }
    }
}

impl Rule for Vegas {
    fn learn(&mut self, limit: f64, seen: &Seen) -> f64 {
        let took = seen.mean();
        self.windows += 1.0;
        if self.windows >= self.probe_at {
            self.windows = 0.0;
            self.probe_at = random::between(self.dice.roll(), 0.5, 1.0) * 30.0 * limit;
            self.least = took;
            return limit;
        }
        self.least = self.least.min(took);
        if f64::from(seen.in_flight) < limit / 2.0 {
            return limit;
        }
        let queued = (limit * (1.0 - self.least / took)).ceil();
        let step = limit.log10().max(1.0);
        let next = if queued <= step {
            limit + 6.0 * step
        } else if queued < 3.0 * step {
            limit + step
        } else if queued > 6.0 * step {
            limit - step
        } else {
            limit
        };
        next.clamp(1.0, 1_000.0)
    }
}
