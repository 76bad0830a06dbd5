//! Refuses the least important before they queue, the more the longer the queue.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Priority;
use crate::Instant;
use crate::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};
use crate::time::micros;

/// From which length of the queue on, measured in limits, arrivals are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Up to so many times the limit may wait before anybody is refused. Default 2.
    pub start: f64,
    /// At so many times the limit everybody is refused. Default 3.
    pub end: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { start: 2.0, end: 3.0 }
    }
}

impl Config {
    pub(super) fn validate(&self) -> Result<(), String> {
        if self.start > 0.0 && self.end > self.start && self.end.is_finite() {
            return Ok(());
        }
        Err(format!("0 < ramp.start < ramp.end must hold, not {} and {}", self.start, self.end))
    }
}

/// Knows how important the recent arrivals were, and so which part of them a share is.
///
/// ```text
///   share refused          recent arrivals by priority
///   1 |        ____        |███ sheddable |██ sheddable+ |█████████ critical |█ critical+ |
///     |       /            |<── share ───>|
///   0 |______/____ queue   refused         admitted
///        2L   3L
/// ```
///
/// (After DAGOR's admission levels, with two differences: the share follows the queue at every arrival, not once per period, so that it
/// cannot overshoot for a whole period; and of the priority on the border the right part is refused, so that one user alone, or ten thousand,
/// meet the same share.)
#[derive(Debug)]
pub(super) struct Ramp {
    config: Config,
    /// The priorities of the last arrivals, as a ring.
    recent: Box<[AtomicU16]>,
    arrived: AtomicU64,
    /// Of each priority, the share of arrivals below it, in 1/65,536.
    below: Box<[AtomicU32]>,
    counted: AtomicU64,
    /// A sequence without randomness whose every stretch is spread evenly.
    spread: AtomicU32,
}

const RECENT: usize = 1_024;
const PERIOD: u64 = micros(Duration::from_millis(250));
const ONE: u32 = 1 << 16;

impl Ramp {
    pub(super) fn new(config: Config) -> Self {
        // Until something was counted every priority is thought equally frequent.
        let even = |index: usize| AtomicU32::new((index * ONE as usize / Priority::COUNT) as u32);
        Self {
            config,
            recent: (0..RECENT).map(|_| AtomicU16::new(0)).collect(),
            arrived: AtomicU64::new(0),
            below: (0..=Priority::COUNT).map(even).collect(),
            counted: AtomicU64::new(0),
            spread: AtomicU32::new(0),
        }
    }

    /// Somebody arrived, whatever becomes of him.
    pub(super) fn note(&self, now: Instant, priority: Priority) {
        let arrived = self.arrived.fetch_add(1, Relaxed);
        self.recent[arrived as usize % RECENT].store(priority.index() as u16, Relaxed);
        let counted = self.counted.load(Relaxed);
        if now.micros_since(Instant::from_micros(counted)) >= PERIOD
            && self.counted.compare_exchange(counted, now.as_micros(), Relaxed, Relaxed).is_ok()
        {
            self.count(arrived + 1);
        }
    }

    /// Whether to refuse him, with so many in the queue.
    pub(super) fn refuses(&self, priority: Priority, waiting: usize, limit: u32) -> bool {
        let share = (self.share(waiting, limit) * f64::from(ONE)) as u32;
        if share == 0 {
            return false;
        }
        let low = self.below[priority.index()].load(Relaxed);
        let high = self.below[priority.index() + 1].load(Relaxed).max(low);
        if share <= low {
            return false;
        }
        if share >= high {
            return true;
        }
        // Weyl's sequence on the golden ratio.
        let spread = self.spread.fetch_add(40_503, Relaxed) % ONE;
        u64::from(spread) * u64::from(high - low) < u64::from(share - low) * u64::from(ONE)
    }

    /// The share of arrivals that is refused with so many in the queue.
    pub(super) fn share(&self, waiting: usize, limit: u32) -> f64 {
        let length = waiting as f64 / f64::from(limit.max(1));
        ((length - self.config.start) / (self.config.end - self.config.start)).clamp(0.0, 1.0)
    }

    #[cold]
    fn count(&self, arrived: u64) {
        let known = arrived.min(RECENT as u64) as usize;
        let mut counts = [0_u32; Priority::COUNT];
        for recent in &self.recent[..known] {
            counts[usize::from(recent.load(Relaxed)) % Priority::COUNT] += 1;
        }
        let mut below = 0;
        for (index, count) in counts.into_iter().enumerate() {
            self.below[index].store(below * ONE / known as u32, Relaxed);
            below += count;
        }
        self.below[Priority::COUNT].store(ONE, Relaxed);
    }
}
