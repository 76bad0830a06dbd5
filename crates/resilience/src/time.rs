//! Time as a number: microseconds since an origin that its reader chose.

use std::time::Duration;

use burgeon_core::Deadline;

/// A moment, in whole microseconds since the origin of the [`Clock`] that read it.
///
/// An integer, because it must fit into an atomic beside other things, and because an exact sum needs no tolerance in
/// a test. All users of one machine must read one clock (or clocks with one origin). 2^64 us are 584,000 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

impl Instant {
    /// The origin.
    pub const ORIGIN: Instant = Instant(0);

    /// So many microseconds after the origin.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the origin.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Microseconds since `earlier`; zero when that is not earlier.
    pub const fn micros_since(self, earlier: Instant) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The time since `earlier`; zero when that is not earlier.
    pub const fn since(self, earlier: Instant) -> Duration {
        Duration::from_micros(self.micros_since(earlier))
    }

    /// So many microseconds later; the end of time when there is no such moment.
    #[must_use]
    pub const fn plus_micros(self, micros: u64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// So much later; the end of time when there is no such moment.
    #[must_use]
    pub const fn plus(self, duration: Duration) -> Self {
        self.plus_micros(micros(duration))
    }
}

/// A duration in whole microseconds, rounded down; `u64::MAX` when it is longer than that.
pub(crate) const fn micros(duration: Duration) -> u64 {
    let micros = duration.as_micros();
    if micros > u64::MAX as u128 { u64::MAX } else { micros as u64 }
}

/// Turns instants of the process's monotonic clock into [`Instant`]s. It reads no clock itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    origin: std::time::Instant,
}

impl Clock {
    /// A clock with this origin. One origin per process is right: take "now" at start and hand the clock around.
    pub const fn starting_at(origin: std::time::Instant) -> Self {
        Self { origin }
    }

    /// The moment as a number; the origin for what came before it.
    pub fn at(&self, instant: std::time::Instant) -> Instant {
        Instant(0).plus(instant.saturating_duration_since(self.origin))
    }

    /// The moment of a deadline.
    pub fn of(&self, deadline: Deadline) -> Instant {
        self.at(deadline.instant())
    }

    /// Back again, for whoever sleeps until then.
    pub fn instant(&self, at: Instant) -> std::time::Instant {
        // A moment past what the clock can hold is no moment to sleep until; a century is.
        Deadline::after(self.origin, Duration::from_micros(at.0)).instant()
    }
}

/// A clock that also wakes up: what the tower layers are handed, because this crate knows no runtime.
///
/// With tokio:
/// ```
/// use burgeon_resilience::{Clock, Instant, Timer};
///
/// #[derive(Clone, Copy)]
/// struct Tokio(Clock);
///
/// impl Timer for Tokio {
///     type Sleep = tokio::time::Sleep;
///     fn now(&self) -> Instant {
///         self.0.at(tokio::time::Instant::now().into_std())
///     }
///     fn sleep_until(&self, at: Instant) -> Self::Sleep {
///         tokio::time::sleep_until(self.0.instant(at).into())
///     }
/// }
/// ```
pub trait Timer: Clone + Send + Sync + 'static {
    /// What resolves at the given moment.
    type Sleep: Future<Output = ()> + Send + 'static;

    /// Now.
    fn now(&self) -> Instant;

    /// A future that resolves at `at`, at once if that has passed.
    fn sleep_until(&self, at: Instant) -> Self::Sleep;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_before_the_origin_and_nothing_after_the_end() {
        let one = Instant::from_micros(1);
        assert_eq!(Instant::ORIGIN.micros_since(one), 0);
        assert_eq!(one.plus(Duration::MAX).as_micros(), u64::MAX);
        assert_eq!(one.plus(Duration::MAX).plus_micros(1).as_micros(), u64::MAX);
        assert_eq!(one.since(Instant::ORIGIN), Duration::from_micros(1));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do as an origin; no time passes here")]
    fn a_moment_survives_the_way_there_and_back() {
        let origin = std::time::Instant::now();
        let clock = Clock::starting_at(origin);
        let later = origin + Duration::from_micros(1_234_567);
        assert_eq!(clock.at(later).as_micros(), 1_234_567);
        assert_eq!(clock.instant(clock.at(later)), later);
        assert_eq!(clock.of(Deadline::at(later)), clock.at(later));
        assert_eq!(Clock::starting_at(later).at(origin), Instant::ORIGIN);
        assert!(clock.instant(Instant::from_micros(u64::MAX)) > later);
    }
}
