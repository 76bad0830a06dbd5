//! The one place where this crate reads the clock.
//!
//! The engine's own threads have no runtime whose paused clock they could read, and a deadline must mean the same
//! to the task that waits and to the thread that works.

use std::time::{Duration, Instant};

use burgeon_core::{Ctx, Deadline};

/// Now, monotonic.
#[expect(
    clippy::disallowed_methods,
    reason = "the engine's threads live outside the runtime and its pausable clock"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The stricter of the request's deadline and `limit` from now.
pub(crate) fn deadline(ctx: &Ctx, limit: Duration) -> Deadline {
    let own = Deadline::after(now(), limit);
    ctx.deadline().map_or(own, |request| request.earlier(own))
}
