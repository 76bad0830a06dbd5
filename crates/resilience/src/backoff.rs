//! How long to wait before the next try.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::random;

/// A random time between zero and a bound that doubles with each failure, up to a cap ("full jitter": Brooker,
/// "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
///
/// Full, because callers that failed together must not come back together; waiting half the bound at least, as "equal
/// jitter" does, only makes the crowd smaller. Not for what must happen at a given rate: the first wait may be zero.
///
/// ```
/// use std::time::Duration;
/// use burgeon_resilience::backoff::Backoff;
///
/// let backoff = Backoff::inside();
/// assert_eq!(backoff.bound(0), Duration::from_millis(25));
/// assert_eq!(backoff.bound(3), Duration::from_millis(200));
/// assert_eq!(backoff.bound(4), Duration::from_millis(250));
/// assert_eq!(backoff.delay(3, u64::MAX / 2), Duration::from_micros(99_999));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Backoff {
    /// The bound after the first failure. Default `25ms`, a few round trips inside a cluster.
    #[serde(with = "burgeon_core::units::duration")]
    pub base: Duration,

    /// The highest bound. Default `250ms`: whoever waits longer has lost the user anyway.
    #[serde(with = "burgeon_core::units::duration")]
    pub cap: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::inside()
    }
}

impl Backoff {
    /// Between machines of one cluster: 25 to 250 ms.
    pub const fn inside() -> Self {
        Self { base: Duration::from_millis(25), cap: Duration::from_millis(250) }
    }

    /// Towards services of others: 100 ms to 20 s.
    pub const fn outside() -> Self {
        Self { base: Duration::from_millis(100), cap: Duration::from_secs(20) }
    }

    /// The longest wait after `failures` failures before the last one: 0 after the first. Never above the cap.
    pub fn bound(&self, failures: u32) -> Duration {
        self.base.saturating_mul(1 << failures.min(31)).min(self.cap)
    }

    /// The wait, in whole microseconds; `random` is any number, every one equally likely.
    pub fn delay(&self, failures: u32, random: u64) -> Duration {
        Duration::from_micros(random::below(random, crate::time::micros(self.bound(failures))))
    }

    /// What is wrong with these numbers, if something is.
    ///
    /// # Errors
    /// When the base is zero or above the cap.
    pub fn validate(&self) -> Result<(), String> {
        if self.base.is_zero() {
            return Err("backoff.base must be above zero, or tries follow each other without a pause".into());
        }
        if self.base > self.cap {
            return Err(format!("backoff.base ({:?}) is above backoff.cap ({:?})", self.base, self.cap));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_wait_is_below_its_bound_and_bounds_never_shrink(failures in any::<u32>(), random in any::<u64>()) {
            for backoff in [Backoff::inside(), Backoff::outside()] {
                prop_assert!(backoff.delay(failures, random) < backoff.bound(failures));
                prop_assert!(backoff.bound(failures) <= backoff.bound(failures.saturating_add(1)));
                prop_assert!(backoff.bound(failures) <= backoff.cap);
            }
        }
    }

    #[test]
    fn waits_spread_over_the_whole_bound() {
        let dice = random::Dice::seeded(1);
        let waits: Vec<u64> =
            (0..10_000).map(|_| Backoff::inside().delay(2, dice.roll()).as_micros() as u64).collect();
        for tenth in 0..10 {
            let range = tenth * 10_000u64..(tenth + 1) * 10_000;
            let share = waits.iter().filter(|wait| range.contains(wait)).count();
            assert!((800..1_200).contains(&share), "{share} of 10,000 waits fall into {range:?}");
        }
    }

    #[test]
    fn senseless_numbers_are_named() {
        assert!(Backoff { base: Duration::ZERO, ..Backoff::inside() }.validate().is_err());
        assert!(Backoff { cap: Duration::ZERO, ..Backoff::inside() }.validate().is_err());
        assert!(Backoff::inside().validate().is_ok() && Backoff::outside().validate().is_ok());
    }
}
