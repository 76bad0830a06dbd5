//! The algorithm: one number in, one number out.

use std::time::Duration;

use super::Allowed;
use crate::Instant;

/// Nanoseconds since the clock's origin: a period divided by a limit is rarely a whole number of microseconds.
pub(super) type Nanos = u64;

/// A limit, in the two numbers that the algorithm needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    /// What one request takes, rounded up, so that the limit is never exceeded.
    each: Nanos,
    /// What the whole burst takes.
    burst: Nanos,
}

pub(super) fn nanos(now: Instant) -> Nanos {
    now.as_micros().saturating_mul(1_000)
}

impl Rule {
    pub(super) fn new(limit: u32, per: Duration, burst: u32) -> Self {
        let per = u64::try_from(per.as_nanos()).unwrap_or(u64::MAX);
        let each = per.div_ceil(u64::from(limit.max(1))).max(1);
        Self { each, burst: each.saturating_mul(u64::from(burst.max(1))) }
    }

    /// Whether it may go, and then the new moment at which all is whole again. Otherwise after how long it may; `None`: never.
    pub(super) fn next(
        &self,
        tat: Nanos,
        now: Nanos,
        cost: u32,
    ) -> Result<(Nanos, Allowed), Option<Duration>> {
        let price = self.each.saturating_mul(u64::from(cost));
        if price > self.burst {
            return Err(None);
        }
        let used = tat.saturating_sub(now).saturating_add(price);
        if used > self.burst {
            return Err(Some(Duration::from_nanos(used - self.burst)));
        }
        let remaining = u32::try_from((self.burst - used) / self.each).unwrap_or(u32::MAX);
        Ok((now.saturating_add(used), Allowed { remaining, reset: Duration::from_nanos(used) }))
    }
}
