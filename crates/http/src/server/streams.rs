//! The streams of one HTTP/2 connection, run inside the connection's own task.
//!
//! hyper hands each stream to an executor. Ours gives it back to the connection, so a connection owns all that runs on
//! it: when it ends they end, and nothing is spawned.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, Stream as _};
use hyper::rt::Executor;
use tokio::time::Instant;

type Stream = Pin<Box<dyn Future<Output = ()> + Send>>;

/// hyper's executor: takes new streams in. Bounded by the connection's own limit on streams.
#[derive(Clone, Default)]
pub(super) struct Intake(Arc<Mutex<Vec<Stream>>>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Intake {
    fn execute(&self, stream: F) {
        // Not a tokio mutex: nothing awaits under it, and only this connection's task takes it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Box::pin(stream));
    }
}

/// The streams under way.
pub(super) struct Streams {
    intake: Intake,
    running: FuturesUnordered<Stream>,
}

impl Streams {
    pub(super) fn new(intake: Intake) -> Self {
        Self { intake, running: FuturesUnordered::new() }
    }

    /// Lets every stream that can do so move on.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) {
        self.running
            .extend(std::mem::take(&mut *self.intake.0.lock().unwrap_or_else(PoisonError::into_inner)));
        while let Poll::Ready(Some(())) = Pin::new(&mut self.running).poll_next(cx) {}
    }
}

/// Since when each response waits for its client. Cloning shares the list.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<Mutex<Waits>>);

#[derive(Default)]
struct Waits {
    since: Vec<Option<Instant>>,
    free: Vec<usize>,
}

/// Whose turn it is in one response: ours to make the next chunk, or the client's to take the last one.
pub(super) struct Turn {
    turns: Turns,
    slot: usize,
}

impl Turns {
    /// A response begins, and it is the client's turn.
    pub(super) fn begin(&self) -> Turn {
        let mut waits = self.lock();
        let now = Some(Instant::now());
        let slot = match waits.free.pop() {
            Some(slot) => {
                waits.since[slot] = now;
                slot
            }
            None => {
                waits.since.push(now);
                waits.since.len() - 1
            }
        };
        drop(waits);
        Turn { turns: self.clone(), slot }
    }

    /// Whether a client has taken nothing of some response for so long.
    pub(super) fn any_stalled(&self, limit: Duration) -> bool {
        let now = Instant::now();
        self.lock().since.iter().flatten().any(|since| now.duration_since(*since) >= limit)
    }

    fn lock(&self) -> MutexGuard<'_, Waits> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// The next chunk is being made.
    pub(super) fn ours(&self) {
        self.turns.lock().since[self.slot] = None;
    }

    /// A chunk was handed over.
    pub(super) fn theirs(&self) {
        self.turns.lock().since[self.slot] = Some(Instant::now());
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut waits = self.turns.lock();
        waits.since[self.slot] = None;
        waits.free.push(self.slot);
    }
}
