//! Until when an answer is worth anything.

use std::time::{Duration, Instant};

/// A moment after which nobody waits for the answer any more.
///
/// Holds a monotonic instant of this process; between processes the *remaining* time travels, never the instant,
/// so clocks that disagree cannot shorten or lengthen it. It takes "now" as an argument: it reads no clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline(Instant);

impl Deadline {
    /// The moment `budget` after `now`. A budget beyond what the clock can hold means a century.
    pub fn after(now: Instant, budget: Duration) -> Self {
        const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
        Self(now.checked_add(budget.min(CENTURY)).unwrap_or(now))
    }

    /// This very moment as a deadline.
    pub fn at(instant: Instant) -> Self {
        Self(instant)
    }

    /// The moment itself.
    pub fn instant(self) -> Instant {
        self.0
    }

    /// What is left; zero when it has passed.
    pub fn remaining(self, now: Instant) -> Duration {
        self.0.saturating_duration_since(now)
    }

    /// Whether it has passed.
    pub fn has_passed(self, now: Instant) -> bool {
        self.0 <= now
    }

    /// The stricter of the two.
    #[must_use]
    pub fn earlier(self, other: Deadline) -> Deadline {
        self.min(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do as an origin; no time passes here")]
    fn what_is_left_never_goes_below_zero() {
        let now = Instant::now();
        let deadline = Deadline::after(now, Duration::from_secs(1));
        assert_eq!(deadline.remaining(now), Duration::from_secs(1));
        assert_eq!(deadline.remaining(now + Duration::from_secs(2)), Duration::ZERO);
        assert!(deadline.has_passed(now + Duration::from_secs(1)));
        assert!(!Deadline::after(now, Duration::MAX).has_passed(now));
    }
}
