//! Envoy's gradient controller: against a least response time that it measures by letting only three in at a time.

use burgeon_resilience::Instant;

use super::limited::{Rule, Seen};

pub struct Envoy {
    least: f64,
    /// Measured until so many have ended; their times.
    probe: Option<Vec<u64>>,
    next_probe: u64,
}

const PROBES: usize = 50;
const PINNED: u32 = 3;
const EVERY: u64 = 60_000_000;

impl Default for Envoy {
    fn default() -> Self {
        Self { least: 0.0, probe: Some(Vec::new()), next_probe: EVERY }
    }
}

impl Rule for Envoy {
    fn learn(&mut self, limit: f64, seen: &Seen) -> f64 {
        if self.probe.is_some() {
            return limit;
        }
        if seen.now.as_micros() >= self.next_probe {
            self.next_probe = seen.now.as_micros() + EVERY;
            self.probe = Some(Vec::new());
            return limit;
        }
        let gradient = (1.25 * self.least / seen.median()).clamp(0.5, 2.0);
        let limit = limit * gradient;
        (limit + limit.sqrt()).clamp(3.0, 1_000.0)
    }

    fn pinned(&self) -> Option<u32> {
        self.probe.as_ref().map(|_| PINNED)
    }

    fn ended(&mut self, _now: Instant, took: u64) {
        let Some(probe) = &mut self.probe else { return };
        probe.push(took);
        if probe.len() == PROBES {
            probe.sort_unstable();
            self.least = probe[PROBES / 2] as f64;
            self.probe = None;
        }
    }
}
