//! How all connections hear that the server drains.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Context;

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

    /// Whether it has begun. `begun` is asked to wake this task when it does, once, which `waits` remembers: asking it
    /// every time would take a lock that all connections share. Only for one that is always polled by the same task.
    pub(super) fn is_heard(
        &self,
        begun: Pin<&mut Notified<'_>>,
        waits: &mut bool,
        cx: &mut Context<'_>,
    ) -> bool {
        let heard = !std::mem::replace(waits, true) && begun.poll(cx).is_ready();
        heard || self.has_begun()
    }

    /// Resolves when it begins. Make it first, ask [`has_begun`](Self::has_begun) then: so none is missed.
    pub(super) fn begun(&self) -> Notified<'_> {
        self.heard.notified()
    }
}
