//! A backstop: when the processor is used up, the least important are trimmed, whatever the queue says.
//!
//! Never the main signal. A busy processor is what one pays for; only what waits for it is trouble, and that the limit sees.

use serde::{Deserialize, Serialize};

use super::{Cohort, Priority};
use crate::Instant;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// From which use of the processor on the sheddable classes are trimmed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Below this share of the processors one may use nobody is trimmed; at all of it nearly all of both sheddable classes. Default 0.98: in
    /// the overload simulator 0.9 left a tenth of the machine unused in a storm of sheddable requests, for nothing.
    pub start: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { start: 0.98 }
    }
}

impl Config {
    pub(super) fn validate(&self) -> Result<(), String> {
        if (0.5..1.0).contains(&self.start) {
            return Ok(());
        }
        Err(format!("cpu.start must be at least 0.5 and below 1, not {}", self.start))
    }
}

/// The average use of the processor over about a second.
#[derive(Debug)]
pub(super) struct Cpu {
    start: f64,
    /// In 1/65,536.
    average: AtomicU32,
    observed: AtomicU64,
    trimmed: AtomicU32,
}

/// The time over which it is averaged, in microseconds.
const MEMORY: f64 = 1_000_000.0;
/// After so long without an observation, in microseconds, there is no opinion: who observed may have died.
const STALE: u64 = 5_000_000;
const ONE: f64 = 65_536.0;
/// How many priorities belong to the sheddable classes.
const SHEDDABLE: usize = 2 * Cohort::COUNT;
/// One of so many is not trimmed.
const SPARED: u32 = 20;

impl Cpu {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            start: config.start,
            average: AtomicU32::new(0),
            observed: AtomicU64::new(0),
            trimmed: AtomicU32::new(0),
        }
    }

    /// The share of the processors one may use, 0 to 1, that was used since the last observation. For one observer.
    pub(super) fn observe(&self, now: Instant, used: f64) {
        let since = now.micros_since(Instant::from_micros(self.observed.swap(now.as_micros(), Relaxed)));
        let weight = 1.0 - (-(since as f64) / MEMORY).exp();
        let average = self.average();
        let used = if used.is_finite() { used.clamp(0.0, 1.0) } else { average };
        self.average.store(((average + (used - average) * weight) * ONE) as u32, Relaxed);
    }

    /// Whether to refuse him. One of twenty is let through, so that nobody starves while others keep the processor busy.
    pub(super) fn trims(&self, now: Instant, priority: Priority) -> bool {
        let over = (self.average() - self.start) / (1.0 - self.start);
        let below = (over.clamp(0.0, 1.0) * SHEDDABLE as f64) as usize;
        priority.index() < below
            && now.micros_since(Instant::from_micros(self.observed.load(Relaxed))) <= STALE
            && !self.trimmed.fetch_add(1, Relaxed).is_multiple_of(SPARED)
    }

    pub(super) fn average(&self) -> f64 {
        f64::from(self.average.load(Relaxed)) / ONE
    }
}

#[cfg(test)]
mod tests {
    use burgeon_core::Criticality;

    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_micros(millis * 1_000)
    }

    /// Observed every 100 ms from the given moment on.
    fn pass(cpu: &Cpu, from: u64, millis: u64, used: f64) -> u64 {
        for now in (from..from + millis).step_by(100) {
            cpu.observe(at(now), used);
        }
        from + millis
    }

    /// How many of all 512 priorities are trimmed.
    fn trimmed(cpu: &Cpu, now: u64) -> usize {
        let all = Criticality::ALL.into_iter().flat_map(|class| {
            (0..4_096_u32).map(move |user| Priority::new(class, Cohort::of(&user.to_le_bytes(), 0)))
        });
        all.filter(|priority| cpu.trims(at(now), *priority)).count() / 32
    }

    #[test]
    fn a_busy_processor_trims_nobody_and_a_used_up_one_nearly_all_the_sheddable() {
        let cpu = Cpu::new(&Config::default());
        let now = pass(&cpu, 0, 10_000, 0.97);
        assert_eq!(trimmed(&cpu, now), 0);
        let now = pass(&cpu, now, 10_000, 0.99);
        let half = trimmed(&cpu, now);
        assert!((115..=125).contains(&half), "{half}");
        let now = pass(&cpu, now, 20_000, 1.0);
        let all = trimmed(&cpu, now);
        assert!((240..=244).contains(&all), "{all}");
        assert!(!cpu.trims(at(now), Priority::new(Criticality::Critical, Cohort::default())));
    }

    #[test]
    fn a_moment_of_full_use_is_not_enough() {
        let cpu = Cpu::new(&Config::default());
        let now = pass(&cpu, 0, 10_000, 0.5);
        let now = pass(&cpu, now, 500, 1.0);
        assert_eq!(trimmed(&cpu, now), 0);
    }

    #[test]
    fn an_observer_that_died_is_not_believed() {
        let cpu = Cpu::new(&Config::default());
        let now = pass(&cpu, 0, 20_000, 1.0);
        assert_eq!(trimmed(&cpu, now + 6_000), 0);
    }

    #[test]
    fn nonsense_changes_nothing() {
        let cpu = Cpu::new(&Config::default());
        let now = pass(&cpu, 0, 10_000, 0.5);
        cpu.observe(at(now), f64::NAN);
        cpu.observe(at(now), f64::INFINITY);
        assert!((cpu.average() - 0.5).abs() < 0.01);
    }
}
