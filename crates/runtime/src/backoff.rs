//! How long a supervised task waits before it is started again.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// When a supervised task that failed is started again: after a random time between zero and a bound that doubles
/// with each failure in a row ("full jitter": Brooker, "Exponential Backoff And Jitter", 2015), so that a thousand
/// tasks that lost one database do not come back in one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restart {
    /// The bound after the first failure. Default 100 ms.
    pub base: Duration,
    /// The highest bound. Default 30 s.
    pub cap: Duration,
    /// A run that lasted this long counts as healthy: the next failure is the first again. Default 60 s.
    pub healthy_after: Duration,
}

impl Default for Restart {
    fn default() -> Self {
        Self {
            base: Duration::from_millis(100),
            cap: Duration::from_secs(30),
            healthy_after: Duration::from_secs(60),
        }
    }
}

impl Restart {
    /// The longest wait after so many failures in a row (from 1).
    pub fn bound(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.base.saturating_mul(1 << doublings).min(self.cap)
    }

    // As `burgeon_resilience::backoff` computes it, on whose floor this crate is, so that neither can ask the other. Three
    // lines in two places cost less than a word in `core` that all would share and only these two need.
    /// The wait itself, for a random number.
    pub(crate) fn delay(&self, failures: u32, random: u64) -> Duration {
        let bound = u64::try_from(self.bound(failures).as_nanos()).unwrap_or(u64::MAX);
        // The high half of the product is uniform below the bound (Lemire, 2019) and needs no division.
        let nanos = (u128::from(bound) * u128::from(random)) >> 64;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// Random enough for jitter: a keyed hash, whose keys the standard library draws from the system's generator.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_the_cap() {
        let restart = Restart::default();
        assert_eq!(restart.bound(1), Duration::from_millis(100));
        assert_eq!(restart.bound(2), Duration::from_millis(200));
        assert_eq!(restart.bound(9), Duration::from_millis(25_600));
        for failures in [10, 11, 40, u32::MAX] {
            assert_eq!(restart.bound(failures), Duration::from_secs(30));
        }
    }

    #[test]
    fn the_wait_spreads_over_the_whole_bound() {
        let restart = Restart::default();
        assert_eq!(restart.delay(1, 0), Duration::ZERO);
        assert_eq!(restart.delay(1, 1 << 63), Duration::from_millis(50));
        assert!(restart.delay(1, u64::MAX) < Duration::from_millis(100));
        let waits: Vec<_> = (0..1_000).map(|_| restart.delay(4, random())).collect();
        assert!(waits.iter().all(|wait| *wait < Duration::from_millis(800)));
        // The chance that a thousand draws leave a quarter of the range empty is below 1e-100.
        for quarter in 0..4 {
            let range = Duration::from_millis(200 * quarter)..Duration::from_millis(200 * (quarter + 1));
            assert!(waits.iter().any(|wait| range.contains(wait)), "{range:?} is empty");
        }
    }
}
