//! Whether to try again, and when: a pure decision over what is known about the failure.
//!
//! What this is: one table, the same for the outbound client, the gateway and module calls. What it is not: the permission to send
//! more than the [budget](crate::budget) allows; ask that last, so that no token is spent on a retry that may not be.
//!
//! | what happened | any method | idempotent, or keyed |
//! |---|---|---|
//! | nothing of the request was written, or the server says it was not processed | again | again |
//! | connect error, reset or timeout before the response, 502, 504, 503 not marked as shed | stop | again |
//! | shed: 429, a 503 marked as shed, pushback | stop | stop |
//! | anything else, or a byte of the answer was handed on, or the request cannot be sent again | stop | stop |
//!
//! Retry at one layer only: five layers of three tries are 243 requests (Brooker, "Timeouts, retries, and backoff with jitter",
//! Amazon Builders' Library). The rules for what was not processed are those of RFC 9113 (REFUSED_STREAM, GOAWAY) and RFC 9110 §9.2.2.
//!
//! # Invariants
//! - Never more tries than [`Config::attempts`], never a wait that ends after the deadline or leaves less than the usual time.
//! - A shed is never retried: more load is no answer to load.
//!
//! # When not to use it
//! Where the user can press the button again, and sees more of the situation than we do.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::backoff::Backoff;

/// How often and how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Tries in all, the first included. Default 3. One means: never again.
    pub attempts: u32,

    /// The wait between tries. Default: inside a cluster, 25 to 250 ms.
    pub backoff: Backoff,

    /// The longest `Retry-After` that is waited for when there is no deadline to say so. Default `20s`. A longer one ends
    /// the tries.
    #[serde(with = "burgeon_core::units::duration")]
    pub hint_cap: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { attempts: 3, backoff: Backoff::inside(), hint_cap: Duration::from_secs(20) }
    }
}

/// What is known about the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Doing it twice is doing it once: GET, HEAD, OPTIONS, PUT, DELETE, or an idempotency key on a route that honours it.
    pub idempotent: bool,
    /// It can be sent again: the body is there, whole, within 64 KiB.
    pub replayable: bool,
    /// A byte of the answer has been handed on.
    pub answered: bool,
}

/// What is known about the failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed {
    /// Whether it can have had an effect.
    pub reach: Reach,
    /// What went wrong.
    pub cause: Cause,
    /// What the other side says about when to come back (`Retry-After`, pushback).
    pub hint: Option<Duration>,
}

/// How far a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Nothing of it was written, or the other side says that it did not process it (REFUSED_STREAM, GOAWAY below it).
    Untouched,
    /// It may have been processed.
    Perhaps,
}

/// Why a try failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// No connection.
    Connect,
    /// The connection broke before the head of the response.
    Reset,
    /// The attempt's time was over.
    Timeout,
    /// 502, 504, or a 503 that is not marked as shed.
    Gateway,
    /// 429, a 503 marked as shed, pushback: the other side is busy and says so.
    Shed,
    /// Everything else: another try would fail the same way.
    Final,
}

/// What to do after a failed try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Try again after this time, on another endpoint, if the budget has a token.
    Again(Duration),
    /// Hand the failure on.
    Stop(Stop),
}

/// Why there is no further try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// Another try would fail the same way.
    Final,
    /// The other side is busy.
    Shed,
    /// The caller has seen a part of the answer.
    Answered,
    /// The request is not there any more.
    NotReplayable,
    /// It may have had its effect, and may not have it twice.
    NotIdempotent,
    /// Tried often enough.
    Attempts,
    /// It could not be done in the time that is left.
    Deadline,
}

impl Config {
    /// What is wrong with these numbers, if something is.
    ///
    /// # Errors
    /// A sentence that names the field.
    pub fn validate(&self) -> Result<(), String> {
        if !(1..=10).contains(&self.attempts) {
            return Err(format!("retry.attempts is {}, and must be 1 to 10", self.attempts));
        }
        self.backoff.validate().map_err(|wrong| format!("retry.{wrong}"))
    }

    /// What to do after try number `attempt` (from 1) failed. `remaining` is the time until the deadline, `usual` the median
    /// time of an answer, where they are known; `random` is any number.
    ///
    /// ```
    /// use std::time::Duration;
    /// use burgeon_resilience::retry::{Call, Cause, Config, Decision, Failed, Reach, Stop};
    ///
    /// let get = Call { idempotent: true, replayable: true, answered: false };
    /// let reset = Failed { reach: Reach::Perhaps, cause: Cause::Reset, hint: None };
    /// let second = Some(Duration::from_secs(1));
    /// assert!(matches!(Config::default().decide(1, get, reset, second, None, 7), Decision::Again(_)));
    /// assert_eq!(Config::default().decide(3, get, reset, second, None, 7), Decision::Stop(Stop::Attempts));
    /// ```
    pub fn decide(
        &self,
        attempt: u32,
        call: Call,
        failed: Failed,
        remaining: Option<Duration>,
        usual: Option<Duration>,
        random: u64,
    ) -> Decision {
        if let Some(stop) = forbidden(call, failed) {
            return Decision::Stop(stop);
        }
        if attempt >= self.attempts {
            return Decision::Stop(Stop::Attempts);
        }
        let jitter = self.backoff.delay(attempt.saturating_sub(1), random);
        // What the server asks for is the least; all who were told the same must not come back in the same moment.
        let wait = failed.hint.unwrap_or_default().saturating_add(jitter);
        let fits = match remaining {
            Some(remaining) => wait.saturating_add(usual.unwrap_or_default()) < remaining,
            None => failed.hint.is_none_or(|hint| hint <= self.hint_cap),
        };
        if fits { Decision::Again(wait) } else { Decision::Stop(Stop::Deadline) }
    }
}

/// What no number of tries makes right.
fn forbidden(call: Call, failed: Failed) -> Option<Stop> {
    match failed.cause {
        Cause::Final => return Some(Stop::Final),
        Cause::Shed => return Some(Stop::Shed),
        Cause::Connect | Cause::Reset | Cause::Timeout | Cause::Gateway => {}
    }
    if call.answered {
        return Some(Stop::Answered);
    }
    if !call.replayable {
        return Some(Stop::NotReplayable);
    }
    (failed.reach == Reach::Perhaps && !call.idempotent).then_some(Stop::NotIdempotent)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAUSES: [Cause; 6] =
        [Cause::Connect, Cause::Reset, Cause::Timeout, Cause::Gateway, Cause::Shed, Cause::Final];

    /// Every combination, against the sentences of the module's table.
    #[test]
    fn every_row_of_the_table() {
        let config = Config::default();
        let times =
            [None, Some(Duration::ZERO), Some(Duration::from_millis(100)), Some(Duration::from_secs(60))];
        let mut again = 0;
        for bits in 0..16u32 {
            let call = Call { idempotent: bits & 1 != 0, replayable: bits & 2 != 0, answered: bits & 4 != 0 };
            let reach = if bits & 8 != 0 { Reach::Untouched } else { Reach::Perhaps };
            for (cause, attempt) in CAUSES.into_iter().flat_map(|cause| (1..=4).map(move |n| (cause, n))) {
                for (remaining, usual, hint) in times.into_iter().flat_map(|remaining| {
                    times.into_iter().flat_map(move |usual| times.map(|hint| (remaining, usual, hint)))
                }) {
                    for random in [0, u64::MAX] {
                        let failed = Failed { reach, cause, hint };
                        let decision = config.decide(attempt, call, failed, remaining, usual, random);
                        let may = !matches!(cause, Cause::Shed | Cause::Final)
                            && !call.answered
                            && call.replayable
                            && (call.idempotent || reach == Reach::Untouched)
                            && attempt < 3;
                        match decision {
                            Decision::Again(wait) => {
                                assert!(may, "{attempt} {call:?} {failed:?}");
                                assert!(wait >= hint.unwrap_or_default());
                                assert!(wait <= hint.unwrap_or_default() + Duration::from_millis(250));
                                if let Some(remaining) = remaining {
                                    assert!(wait + usual.unwrap_or_default() < remaining);
                                } else {
                                    assert!(hint.unwrap_or_default() <= config.hint_cap);
                                }
                                again += 1;
                            }
                            Decision::Stop(stop) => {
                                assert_eq!(may, stop == Stop::Deadline, "{attempt} {call:?} {failed:?}");
                            }
                        }
                    }
                }
            }
        }
        assert!(again > 500, "only {again} of the combinations lead to another try");
    }

    #[test]
    fn senseless_numbers_are_named() {
        assert!(Config { attempts: 0, ..Config::default() }.validate().is_err());
        let backoff = Backoff { base: Duration::ZERO, ..Backoff::inside() };
        let wrong = Config { backoff, ..Config::default() }.validate().unwrap_err();
        assert!(wrong.starts_with("retry.backoff.base"), "{wrong}");
        assert_eq!(Config::default().validate(), Ok(()));
    }
}
