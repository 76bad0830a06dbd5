//! What stands at the door.

use burgeon_resilience::Instant;
use burgeon_resilience::admission::Priority;

/// A policy, as the simulated server sees it. An attempt is a number.
pub trait Policy {
    /// Somebody asks to be served.
    fn arrive(&mut self, now: Instant, attempt: u32, priority: Priority, deadline: Instant) -> Verdict;

    /// What was admitted has ended; `late` when its deadline had passed.
    fn end(&mut self, now: Instant, attempt: u32, late: bool);

    /// The verdict on somebody who waits, until there is none.
    fn next(&mut self, _now: Instant) -> Option<(u32, Verdict)> {
        None
    }

    /// He who waits has waited until the moment that the policy named.
    fn give_up(&mut self, _now: Instant, _attempt: u32) -> Option<Verdict> {
        None
    }

    /// The share of the processor that was used during the last 250 ms.
    fn cpu(&mut self, _now: Instant, _used: f64) {}

    /// How many it would let run, if it has such a number.
    fn limit(&self) -> Option<u32> {
        None
    }

    /// How many wait.
    fn waiting(&self) -> usize {
        0
    }
}

/// What becomes of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Start,
    /// To be called, at the latest at this moment.
    Wait(Option<Instant>),
    Refuse,
}
