//! Which statements are so brief that handing them to another thread would cost more than running them.
//!
//! A hand-over costs two wake-ups, 10 to 30 us; a read by key costs 3. So a statement that has shown to be brief runs
//! where it is called, under a time limit, and one that turns out longer is run by a thread after all and from then on.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::STATEMENTS;
use crate::stmt::Text;

/// What takes less than this is run where it is called.
const BRIEF: u32 = 60_000;
/// What nobody has measured is taken for slow.
const UNKNOWN: u32 = 1_000_000;

/// How long each static statement takes by habit.
pub(super) struct Briefs(Vec<Habit>);

/// Nanoseconds.
struct Habit(AtomicU32);

impl Briefs {
    /// How long a statement may block the task's thread before it is interrupted and given to another.
    pub(super) const LIMIT: Duration = Duration::from_millis(1);

    pub(super) fn new() -> Self {
        Self(STATEMENTS.iter().map(|_| Habit::new()).collect())
    }

    /// Whether it is brief by habit. A dynamic statement never is: each text is a new one.
    pub(super) fn holds(&self, text: &Text) -> bool {
        self.habit(text).is_some_and(Habit::is_brief)
    }

    /// Learns from one run.
    pub(super) fn learn(&self, text: &Text, took: Duration) {
        if let Some(habit) = self.habit(text) {
            habit.learn(took);
        }
    }

    fn habit(&self, text: &Text) -> Option<&Habit> {
        text.id().and_then(|id| self.0.get(id))
    }
}

impl Habit {
    fn new() -> Self {
        Self(AtomicU32::new(UNKNOWN))
    }

    fn is_brief(&self) -> bool {
        self.0.load(Ordering::Relaxed) < BRIEF
    }

    /// Slowness is learnt at once, briefness slowly.
    fn learn(&self, took: Duration) {
        let took = u32::try_from(took.as_nanos()).unwrap_or(u32::MAX);
        // Two threads that learn at once may lose one lesson; there will be others.
        let before = self.0.load(Ordering::Relaxed);
        let after = if took > before { took.min(UNKNOWN) } else { before - (before - took) / 4 };
        if after != before {
            self.0.store(after, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn briefness_is_earned_slowly_and_lost_at_once() {
        let habit = Habit::new();
        assert!(!habit.is_brief());
        habit.learn(Duration::from_micros(5));
        assert!(!habit.is_brief(), "one run proves nothing");
        (0..20).for_each(|_| habit.learn(Duration::from_micros(5)));
        assert!(habit.is_brief());
        habit.learn(Duration::from_secs(9));
        assert!(!habit.is_brief());
        (0..20).for_each(|_| habit.learn(Duration::from_micros(5)));
        assert!(habit.is_brief(), "the slowest run is forgotten like any other");
    }
}
