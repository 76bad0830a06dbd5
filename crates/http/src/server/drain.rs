//! How all connections hear that the server drains.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Raised once. Asking costs one load; hearing costs a wake-up per connection.
#[derive(Debug, Default)]
pub(super) struct Drain {
    began: AtomicBool,
    heard: Notify,
}

impl Drain {
    /// Tells every connection.
    pub(super) fn begin(&self) {
        self.began.store(true, Ordering::SeqCst);
        self.heard.notify_waiters();
    }

    /// Whether it has begun.
    pub(super) fn has_begun(&self) -> bool {
        self.began.load(Ordering::Relaxed)
    }

    /// Resolves when it begins. Make it first, ask [`has_begun`](Self::has_begun) then: so none is missed.
    pub(super) fn begun(&self) -> Notified<'_> {
        self.heard.notified()
    }
}
