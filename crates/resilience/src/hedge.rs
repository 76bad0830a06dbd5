//! Hedging: when an answer is late, ask a second endpoint and take whichever comes first.
//!
//! ```text
//!  first   |------------- p95 -------------|---------- ... (late) -----x  dropped
//!  hedge                                   |----- answer
//! ```
//!
//! What this is: the hedged request of Dean and Barroso ("The Tail at Scale", CACM 2013), under the [budget](crate::budget) that
//! retries share. What it is not: a way to more speed under load; it is off while the limiter is full.
//!
//! # Invariants
//! - At most one hedge per request, on another endpoint, and never without a token.
//! - Only for reads: the loser may have done its work.
//! - Not before enough answers are known, or every request of a cold process would be sent twice.
//!
//! # When not to use it
//! When slowness is not the endpoint's but the request's (a big page is big on every replica), or when all replicas share the slow disk.
//! Off by default.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::budget::{Budget, Withdrawal};
use crate::{Instant, Refused, latency};

/// Whether and when to hedge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Default off: it doubles the load of whoever is slow for another reason.
    pub on: bool,

    /// The shortest wait before a hedge. Default `1ms`\*: below that the second request costs more than it saves.
    #[serde(with = "burgeon_core::units::duration")]
    pub least: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { on: false, least: Duration::from_millis(1) }
    }
}

impl Config {
    /// How long to wait for the first answer before a second is asked for: the 95th percentile. `None`: never.
    ///
    /// ```
    /// use std::time::Duration;
    /// use burgeon_resilience::{hedge::Config, latency::View};
    ///
    /// let usual = View { p50: Duration::from_millis(2), p95: Duration::from_millis(30) };
    /// let on = Config { on: true, ..Config::default() };
    /// assert_eq!(on.delay(true, Some(usual), false), Some(Duration::from_millis(30)));
    /// assert_eq!(Config::default().delay(true, Some(usual), false), None);
    /// ```
    pub fn delay(
        &self,
        is_read: bool,
        usual: Option<latency::View>,
        limiter_is_full: bool,
    ) -> Option<Duration> {
        let usual = usual.filter(|_| self.on && is_read && !limiter_is_full)?;
        Some(usual.p95.max(self.least))
    }

    /// The wait is over and there is still no answer.
    ///
    /// # Errors
    /// [`Why::Budget`](crate::Why::Budget): wait on for the first.
    pub fn fire(&self, now: Instant, budget: &Budget) -> Result<Withdrawal, Refused> {
        budget.withdraw(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reads_of_a_known_and_idle_upstream_are_hedged() {
        let usual = latency::View { p50: Duration::from_micros(2), p95: Duration::from_micros(30) };
        for bits in 0..16u32 {
            let [on, is_read, known, full] = [0, 1, 2, 3].map(|bit| bits >> bit & 1 != 0);
            let delay = Config { on, ..Config::default() }.delay(is_read, known.then_some(usual), full);
            let expected = (on && is_read && known && !full).then_some(Duration::from_millis(1));
            assert_eq!(delay, expected);
        }
    }
}
