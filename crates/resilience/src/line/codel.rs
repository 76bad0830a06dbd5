//! For how long a queue has been standing, and how long its entries may therefore wait.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Instant;
use crate::time::micros;

/// When a queue counts as standing, and what is shed then.
///
/// It looks at how long there has been *somebody* waiting, not at how many: a length says nothing without the speed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CoDel {
    /// How long an entry may wait while the queue is not standing, and how long somebody must have been waiting for the
    /// queue to count as standing. Default 100 ms.
    #[serde(with = "burgeon_core::units::duration")]
    pub interval: Duration,
    /// How long an entry may wait while the queue stands. Default 5 ms.
    #[serde(with = "burgeon_core::units::duration")]
    pub target: Duration,
    /// While the queue stands, the youngest is served first: who has waited for long will not wait for the answer either. Default
    /// off: in the overload simulator it gained nothing over the target alone, and it is unfair.
    pub lifo: bool,
}

impl Default for CoDel {
    fn default() -> Self {
        Self { interval: Duration::from_millis(100), target: Duration::from_millis(5), lifo: false }
    }
}

impl CoDel {
    pub(super) fn validate(&self) -> Result<(), String> {
        if self.target.is_zero() || self.target > self.interval {
            return Err(format!(
                "the target of {:?} must be positive and not longer than the interval of {:?}",
                self.target, self.interval
            ));
        }
        Ok(())
    }
}

/// Since when somebody has been waiting without a break.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing(Option<Instant>);

impl Standing {
    pub(super) const EMPTY: Standing = Standing(None);

    pub(super) fn begin(&mut self, now: Instant) {
        self.0 = Some(now);
    }

    pub(super) fn end(&mut self) {
        self.0 = None;
    }

    pub(super) fn is_too_long(self, codel: &CoDel, now: Instant) -> bool {
        self.0.is_some_and(|since| now.micros_since(since) > micros(codel.interval))
    }

    pub(super) fn patience(self, codel: &CoDel, now: Instant) -> u64 {
        micros(if self.is_too_long(codel, now) { codel.target } else { codel.interval })
    }
}
