//! What is known about a server that cannot be reached, so that not every request finds out anew.
//!
//! A caller who needs a new connection waits for the next try, which comes after a random time below a bound that
//! doubles (full jitter: Brooker, "Exponential Backoff And Jitter", 2015). Once the outage is older than what a
//! caller would wait anyway, callers between tries are told at once: a queue in front of a dead server helps nobody.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use burgeon_resilience::backoff::Backoff;
use tokio::time::Instant;

/// How long to wait between tries: 50 ms, doubling; a server that is back is found within a second.
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(50), cap: Duration::from_secs(1) };

/// The state of the way to the server.
pub(super) struct Outage(Mutex<Option<Known>>);

#[derive(Debug, Clone)]
struct Known {
    since: Instant,
    failures: u32,
    next_try: Instant,
    why: String,
}

/// What a caller who needs a new connection does next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Try now.
    Try,
    /// Wait until then, and ask again.
    Wait(Instant),
    /// Give up: it has been down for longer than you would wait.
    GiveUp(String),
}

impl Outage {
    pub(super) fn none() -> Self {
        Self(Mutex::new(None))
    }

    /// What to do, for a caller who waits for at most `patience`.
    pub(super) fn next(&self, now: Instant, patience: Duration) -> Next {
        match &*self.known() {
            None => Next::Try,
            Some(known) if known.next_try <= now => Next::Try,
            Some(known) if now.saturating_duration_since(known.since) > patience => {
                Next::GiveUp(known.why.clone())
            }
            Some(known) => Next::Wait(known.next_try),
        }
    }

    /// Why, if it has been down for longer than `patience`.
    pub(super) fn lasts(&self, now: Instant, patience: Duration) -> Option<String> {
        let known = self.known();
        known
            .as_ref()
            .filter(|known| now.saturating_duration_since(known.since) > patience)
            .map(|it| it.why.clone())
    }

    /// A try failed.
    pub(super) fn failed(&self, now: Instant, why: &str) {
        let mut state = self.known();
        let (since, failures) = state.as_ref().map_or((now, 0), |known| (known.since, known.failures));
        let next_try = now + BACKOFF.delay(failures, random());
        *state = Some(Known { since, failures: failures + 1, next_try, why: why.to_owned() });
    }

    /// A try succeeded. True when that ends an outage.
    pub(super) fn over(&self) -> bool {
        self.known().take().is_some()
    }

    /// Why it is down, if it is.
    pub(super) fn why(&self) -> Option<String> {
        self.known().as_ref().map(|known| known.why.clone())
    }

    fn known(&self) -> MutexGuard<'_, Option<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Random enough for jitter: a keyed hash whose keys come from the system's generator.
pub(super) fn random() -> u64 {
    RandomState::new().hash_one(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn callers_wait_in_a_short_outage_and_are_told_at_once_in_a_long_one() {
        let outage = Outage::none();
        let patience = Duration::from_secs(2);
        let start = Instant::now();
        assert_eq!(outage.next(start, patience), Next::Try);
        let mut now = start;
        for _ in 0..20 {
            outage.failed(now, "refused");
            if let Next::Wait(at) = outage.next(now, patience) {
                assert!(at - now <= BACKOFF.cap);
            }
            now += Duration::from_millis(1);
        }
        let late = start + Duration::from_secs(3);
        outage.failed(late, "refused");
        match outage.next(late, patience) {
            Next::GiveUp(why) => assert_eq!(why, "refused"),
            Next::Try => {}
            Next::Wait(_) => panic!("nobody waits in a long outage"),
        }
        assert_eq!(outage.next(late + BACKOFF.cap, patience), Next::Try);
        assert!(outage.over());
        assert_eq!(outage.next(late, patience), Next::Try);
    }
}
