//! How much time there is, how much to pass on, and when it is too little to begin.
//!
//! ```text
//!  client    15 s  ->  edge            min(client, route, cap)
//!  edge      15 s  ->  service         remaining - elapsed - max(5 ms, 5 %)     on the wire: milliseconds, never a moment
//!  service         ->  database        what is left
//!                      refused at once when less is left than half of the answers take
//! ```
//!
//! What this is: the deadline propagation of Google's SRE book (ch. 22) and gRPC, with a refusal at the door. What it is not: a timer.
//! Work that is begun after its deadline is the first cause of an overload that does not end: the client has gone, and tries again.
//!
//! # When not to use it
//! The refusal at the door ([`Gate`]) suits routes whose times are alike. Where one route answers in 1 ms or in 10 s, its median says nothing.

use std::sync::Arc;
use std::time::Duration;

use crate::latency::Latency;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::{Instant, Refused, Why};

/// What a request without a deadline gets at the edge\*.
pub const DEFAULT: Duration = Duration::from_secs(15);

/// What no request may exceed\*.
pub const CAP: Duration = Duration::from_secs(60);

/// The time a request gets: what the client allows, what the route allows, and never more than the cap. A client can only
/// shorten it; one that says nothing gets [`DEFAULT`].
///
/// ```
/// use std::time::Duration;
/// use burgeon_resilience::deadline;
///
/// let route = Some(Duration::from_secs(2));
/// assert_eq!(deadline::allowed(Some(Duration::from_secs(99)), route, deadline::CAP), Duration::from_secs(2));
/// assert_eq!(deadline::allowed(None, None, deadline::CAP), deadline::DEFAULT);
/// ```
pub fn allowed(client: Option<Duration>, route: Option<Duration>, cap: Duration) -> Duration {
    let asked = client.into_iter().chain(route).min().unwrap_or(DEFAULT);
    asked.min(cap)
}

/// What to tell the next service: what is left, less what the way and our own answer take (5 ms or 5 %\*, whichever is more).
/// `remaining` is what we were given, `elapsed` the time since. Zero: do not call.
///
/// ```
/// use std::time::Duration;
/// use burgeon_resilience::deadline::outgoing;
///
/// let millis = Duration::from_millis;
/// assert_eq!(outgoing(millis(1_000), millis(200)), millis(750));
/// assert_eq!(outgoing(millis(20), millis(2)), millis(13));
/// assert_eq!(outgoing(millis(20), millis(16)), millis(0));
/// ```
pub fn outgoing(remaining: Duration, elapsed: Duration) -> Duration {
    let margin = (remaining / 20).max(Duration::from_millis(5));
    remaining.saturating_sub(elapsed).saturating_sub(margin)
}

/// The door of a route: who cannot be served in time is told so at once. Clones share it. Asked on arrival, and again when
/// a request leaves a queue.
///
/// # Invariants
/// - Nobody passes after the deadline.
/// - Before [`latency::ENOUGH`](crate::latency::ENOUGH) answers nobody else is refused.
/// - One passes each second even if the median says no: otherwise a route that was slow for a minute would refuse all short deadlines for
///   ever, because nobody would measure that it is fast again.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    latency: Latency,
    passed: AtomicU64,
    refused: AtomicU64,
}

/// What a person sees of a gate.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct View {
    /// What answers usually take, if enough is known.
    pub usual: Option<crate::latency::View>,
    /// How many were refused since the start.
    pub refused: u64,
}

/// How often somebody passes against the median.
const PASS_EVERY: u64 = 1_000_000;

impl Gate {
    /// A gate that judges by these times.
    pub fn new(latency: Latency) -> Self {
        Self(Arc::new(Inner { latency, passed: AtomicU64::new(0), refused: AtomicU64::new(0) }))
    }

    /// Whether to begin.
    ///
    /// # Errors
    /// [`Why::Deadline`].
    pub fn admit(&self, now: Instant, deadline: Option<Instant>) -> Result<(), Refused> {
        let Some(deadline) = deadline else { return Ok(()) };
        let remaining = deadline.since(now);
        let enough = |usual: crate::latency::View| remaining >= usual.p50;
        if !remaining.is_zero() && (self.0.latency.view(now).is_none_or(enough) || self.passes(now)) {
            return Ok(());
        }
        self.0.refused.fetch_add(1, Ordering::Relaxed);
        Err(Refused::new(Why::Deadline))
    }

    /// What a person sees.
    pub fn view(&self, now: Instant) -> View {
        View { usual: self.0.latency.view(now), refused: self.0.refused.load(Ordering::Relaxed) }
    }

    fn passes(&self, now: Instant) -> bool {
        let last = self.0.passed.load(Ordering::Relaxed);
        now.as_micros().saturating_sub(last) >= PASS_EVERY
            && self
                .0
                .passed
                .compare_exchange(last, now.as_micros(), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_passed_on_is_always_less_than_what_is_left(remaining in 0u64..100_000, elapsed in 0u64..100_000) {
            let (remaining, elapsed) = (Duration::from_millis(remaining), Duration::from_millis(elapsed));
            let out = outgoing(remaining, elapsed);
            prop_assert!(out.is_zero() || out + elapsed + Duration::from_millis(5) <= remaining);
            prop_assert!(out.is_zero() || out + elapsed + remaining / 20 <= remaining);
        }

        #[test]
        fn nobody_gets_more_than_anyone_allows(
            client in prop::option::of(0u64..100_000), route in prop::option::of(0u64..100_000), cap in 0u64..100_000,
        ) {
            let [client, route] = [client, route].map(|time| time.map(Duration::from_millis));
            let got = allowed(client, route, Duration::from_millis(cap));
            prop_assert!(got <= Duration::from_millis(cap));
            prop_assert!(client.is_none_or(|client| got <= client) && route.is_none_or(|route| got <= route));
        }
    }

    #[test]
    fn who_cannot_be_served_in_time_is_refused_and_one_a_second_still_measures() {
        let latency = Latency::new();
        let gate = Gate::new(latency.clone());
        let second = 1_000_000;
        let at = |micros: u64| Instant::from_micros(10 * second + micros);
        let soon = Some(at(20_000));
        assert!(gate.admit(at(0), soon).is_ok(), "nothing is known yet");
        (0..128).for_each(|_| latency.record(at(0), Duration::from_millis(100)));
        assert!(gate.admit(at(0), Some(at(second))).is_ok());
        assert!(gate.admit(at(0), None).is_ok());
        assert!(gate.admit(at(0), soon).is_ok(), "the first against the median measures");
        assert!((0..100).all(|n| gate.admit(at(n), soon).is_err()));
        assert!(gate.admit(at(second), Some(at(second + 20_000))).is_ok());
        assert_eq!(gate.view(at(0)).refused, 100);
    }

    #[test]
    fn nobody_passes_after_the_deadline() {
        let gate = Gate::new(Latency::new());
        let now = Instant::from_micros(5_000_000);
        assert!(gate.admit(now, Some(now)).is_err());
        assert!(gate.admit(now, Some(Instant::ORIGIN)).is_err());
    }
}
