//! What one connection is doing, as its timers see it.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use super::guard::Refusal;

/// Shared by the socket, the exchanges and the timer of one connection. One task touches them at a time; they are
/// atomics because a connection is `Send`, relaxed because nothing is ordered by them, and loaded and stored rather than
/// added to, which would lock the bus for nobody.
#[derive(Debug, Default)]
pub(super) struct Progress {
    in_flight: AtomicU32,
    begun: AtomicU32,
    arriving: AtomicBool,
    stalled: AtomicBool,
    written: AtomicU32,
    many: bool,
    unread: AtomicBool,
    tunnel: AtomicBool,
    refused: OnceLock<(u32, Refusal)>,
}

/// What a connection waits for. Two equal values mean that nothing moved in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activity {
    /// The next request; so many have been.
    Idle(u32),
    /// The rest of a head that has begun to arrive.
    Head(u32),
    /// Our own work: the handler's deadline bounds it, and its body has timers of its own.
    Serving,
    /// The client, which takes nothing of what is written.
    Writing(u32),
}

/// A request under way, until its response's last byte is handed to the connection. Says so when dropped.
#[derive(Debug)]
pub(super) struct Exchange(Arc<Progress>);

impl Progress {
    /// Of a connection that carries many requests at once. Its bytes need not belong to a request, so they do not
    /// begin a head.
    pub(super) fn of_many() -> Self {
        Self { many: true, ..Self::default() }
    }

    /// A request's head is complete.
    pub(super) fn begin(self: &Arc<Self>) -> Exchange {
        step(&self.in_flight, 1);
        step(&self.begun, 1);
        self.arriving.store(false, Relaxed);
        Exchange(self.clone())
    }

    /// A body was dropped before its end: the client may still be sending it.
    pub(super) fn leave_unread(&self) {
        self.unread.store(true, Relaxed);
    }

    /// Whether some body was not read to its end.
    pub(super) fn left_unread(&self) -> bool {
        self.unread.load(Relaxed)
    }

    /// The request with this number, counted from 1, is refused for its framing. It is the connection's last.
    pub(super) fn refuse(&self, request: u32, refusal: Refusal) {
        // A second one cannot be: nothing is read after the first.
        let _ = self.refused.set((request, refusal));
        self.leave_unread();
    }

    /// Why the request that began last is refused, if it is.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        let (request, refusal) = self.refused.get()?;
        (*request == self.begun.load(Relaxed)).then_some(*refusal)
    }

    /// From here on the bytes are another protocol's.
    pub(super) fn become_tunnel(&self) {
        self.tunnel.store(true, Relaxed);
    }

    /// Whether they are.
    pub(super) fn is_tunnel(&self) -> bool {
        self.tunnel.load(Relaxed)
    }

    /// Bytes came in.
    pub(super) fn arrived(&self) {
        self.arriving.store(!self.many, Relaxed);
    }

    /// Bytes went out.
    pub(super) fn wrote(&self) {
        step(&self.written, 1);
        self.stalled.store(false, Relaxed);
    }

    /// The kernel takes no more bytes: the client does not read.
    pub(super) fn stall(&self) {
        self.stalled.store(true, Relaxed);
    }

    /// What is awaited now.
    pub(super) fn activity(&self) -> Activity {
        if self.stalled.load(Relaxed) {
            Activity::Writing(self.written.load(Relaxed))
        } else if self.in_flight.load(Relaxed) > 0 {
            Activity::Serving
        } else if self.arriving.load(Relaxed) {
            Activity::Head(self.begun.load(Relaxed))
        } else {
            Activity::Idle(self.begun.load(Relaxed))
        }
    }
}

/// Adds, round the end of the number: `u32::MAX` takes one away.
fn step(number: &AtomicU32, by: u32) {
    number.store(number.load(Relaxed).wrapping_add(by), Relaxed);
}

impl Drop for Exchange {
    fn drop(&mut self) {
        step(&self.0.in_flight, u32::MAX);
        // What came in during the exchange was its body.
        self.0.arriving.store(false, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_waits_for_one_thing_at_a_time() {
        let progress = Arc::new(Progress::default());
        assert_eq!(progress.activity(), Activity::Idle(0));
        progress.arrived();
        assert_eq!(progress.activity(), Activity::Head(0));
        let exchange = progress.begin();
        assert_eq!(progress.activity(), Activity::Serving);
        progress.arrived();
        progress.stall();
        assert_eq!(progress.activity(), Activity::Writing(0));
        progress.wrote();
        assert_eq!(progress.activity(), Activity::Serving);
        drop(exchange);
        assert_eq!(progress.activity(), Activity::Idle(1), "the bytes of its body are not a new head");
    }
}
