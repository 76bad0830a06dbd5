//! What others do at the door, after their published formulas. For comparison in this model only.

mod envoy;
mod fifo;
mod go_zero;
mod gradient2;
mod limited;
mod vegas;

pub use envoy::Envoy;
pub use fifo::{Fifo, Late};
pub use go_zero::GoZero;
pub use gradient2::Gradient2;
pub use limited::Limited;
pub use vegas::Vegas;

use burgeon_resilience::Instant;
use burgeon_resilience::admission::Priority;

use super::policy::{Policy, Verdict};

/// Lets everybody in.
pub struct NoLimit;

impl Policy for NoLimit {
    fn arrive(&mut self, _now: Instant, _attempt: u32, _priority: Priority, _deadline: Instant) -> Verdict {
        Verdict::Start
    }

    fn end(&mut self, _now: Instant, _attempt: u32, _late: bool) {}
}

/// A number of slots that somebody guessed, without a queue.
pub struct Fixed {
    slots: u32,
    taken: u32,
}

impl Fixed {
    pub fn new(slots: u32) -> Self {
        Self { slots, taken: 0 }
    }
}

impl Policy for Fixed {
    fn arrive(&mut self, _now: Instant, _attempt: u32, _priority: Priority, _deadline: Instant) -> Verdict {
        if self.taken == self.slots {
            return Verdict::Refuse;
        }
        self.taken += 1;
        Verdict::Start
    }

    fn end(&mut self, _now: Instant, _attempt: u32, _late: bool) {
        self.taken -= 1;
    }

    fn limit(&self) -> Option<u32> {
        Some(self.slots)
    }
}
