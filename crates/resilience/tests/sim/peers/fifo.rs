//! A fixed number of slots and a queue in order of arrival: what most servers and pools do.

use std::collections::VecDeque;

use burgeon_resilience::Instant;
use burgeon_resilience::admission::Priority;

use crate::sim::policy::{Policy, Verdict};

pub struct Fifo {
    slots: u32,
    capacity: usize,
    late: Late,
    taken: u32,
    queue: VecDeque<(u32, Instant)>,
    out: VecDeque<(u32, Verdict)>,
}

/// What becomes of those whose deadline has passed when their turn comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Late {
    Served,
    Dropped,
}

impl Fifo {
    pub fn new(slots: u32, capacity: usize, late: Late) -> Self {
        Self { slots, capacity, late, taken: 0, queue: VecDeque::new(), out: VecDeque::new() }
    }
}

impl Policy for Fifo {
    fn arrive(&mut self, _now: Instant, attempt: u32, _priority: Priority, deadline: Instant) -> Verdict {
        if self.taken < self.slots {
            self.taken += 1;
            return Verdict::Start;
        }
        if self.queue.len() == self.capacity {
            return Verdict::Refuse;
        }
        self.queue.push_back((attempt, deadline));
        Verdict::Wait(None)
    }

    fn end(&mut self, now: Instant, _attempt: u32, _late: bool) {
        self.taken -= 1;
        while self.taken < self.slots
            && let Some((attempt, deadline)) = self.queue.pop_front()
        {
            if self.late == Late::Dropped && deadline <= now {
                self.out.push_back((attempt, Verdict::Refuse));
            } else {
                self.taken += 1;
                self.out.push_back((attempt, Verdict::Start));
            }
        }
    }

    fn next(&mut self, _now: Instant) -> Option<(u32, Verdict)> {
        self.out.pop_front()
    }

    fn limit(&self) -> Option<u32> {
        Some(self.slots)
    }

    fn waiting(&self) -> usize {
        self.queue.len()
    }
}
