//! What only the owner of a protocol can say.

use std::time::Duration;

use crate::retry::{Call, Failed};
use crate::{Instant, Outcome};

/// What a request may be done with and what an answer means. The owner of a protocol implements it once.
pub trait Policy<Request, Response, E>: Send + Sync + 'static {
    /// Until when an answer is worth anything; `None`: for ever, but each try has its timeout.
    fn deadline(&self, request: &Request) -> Option<Instant>;

    /// What may be done with it.
    fn call(&self, request: &Request) -> Call;

    /// Whether it only reads, so that it may be hedged.
    fn is_read(&self, request: &Request) -> bool;

    /// The request once more. `None`: it cannot be sent again.
    fn again(&self, request: &Request) -> Option<Request>;

    /// Writes onto the request which try it is (from 1), and how much time is left: the *remaining time* travels, never a moment.
    fn stamp(&self, request: &mut Request, attempt: u32, remaining: Option<Duration>) {
        let _ = (request, attempt, remaining);
    }

    /// What an answer or an error means.
    fn judge(&self, result: Result<&Response, &E>) -> Verdict;

    /// Whether this process is at its own limit; then nothing is hedged.
    fn is_busy(&self) -> bool {
        false
    }
}

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// For breaker and throttle.
    pub outcome: Outcome,
    /// For the retry table; `None` when this is the answer.
    pub failed: Option<Failed>,
}

impl Verdict {
    /// An answer.
    pub const OK: Verdict = Verdict { outcome: Outcome::Ok, failed: None };

    /// Ill: the breaker counts it, the retry table decides.
    pub const fn fail(failed: Failed) -> Self {
        Self { outcome: Outcome::Fail, failed: Some(failed) }
    }

    /// Busy: no ill health, and no retry.
    pub const fn shed(hint: Option<Duration>) -> Self {
        let failed = Failed { reach: crate::retry::Reach::Untouched, cause: crate::retry::Cause::Shed, hint };
        Self { outcome: Outcome::Shed, failed: Some(failed) }
    }
}
