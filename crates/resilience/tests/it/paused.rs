//! tokio's clock, which tests pause.

use burgeon_resilience::{Clock, Instant, Timer};

#[derive(Clone, Copy)]
pub(crate) struct Tokio(Clock);

impl Timer for Tokio {
    type Sleep = tokio::time::Sleep;

    fn now(&self) -> Instant {
        self.0.at(tokio::time::Instant::now().into_std())
    }

    fn sleep_until(&self, at: Instant) -> Self::Sleep {
        tokio::time::sleep_until(self.0.instant(at).into())
    }
}

/// Begins at the origin.
pub(crate) fn timer() -> Tokio {
    Tokio(Clock::starting_at(tokio::time::Instant::now().into_std()))
}
