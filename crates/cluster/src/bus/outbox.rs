//! What this node has said and not sent yet.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use super::delivery::Stamp;
use super::packet::{Frame, Said};
use crate::NodeId;

pub(super) struct Outbox {
    node: NodeId,
    capacity: usize,
    // Not a tokio mutex: nothing awaits under it. Numbers are given under it, so that their order is the queue's.
    inner: Mutex<Inner>,
    filled: Notify,
}

struct Inner {
    last: u64,
    /// Not yet heard by this node's own listeners.
    fresh: VecDeque<Frame>,
}

impl Outbox {
    pub(super) fn new(node: NodeId, capacity: usize) -> Self {
        Self {
            node,
            capacity,
            inner: Mutex::new(Inner { last: 0, fresh: VecDeque::new() }),
            filled: Notify::new(),
        }
    }

    /// Numbers a message and queues it. Answers its number, and how many older ones fell out.
    pub(super) fn push(&self, topic: Arc<str>, payload: Bytes) -> (u64, u64) {
        let mut inner = self.inner();
        inner.last += 1;
        let sequence = inner.last;
        let lost = u64::from(inner.fresh.len() >= self.capacity && inner.fresh.pop_front().is_some());
        let stamp = Stamp { node: self.node, sequence };
        inner.fresh.push_back(Frame { stamp, said: Said::Message { topic, payload } });
        drop(inner);
        self.filled.notify_one();
        (sequence, lost)
    }

    /// The number of the message that was said last; 0 before the first.
    pub(super) fn last(&self) -> u64 {
        self.inner().last
    }

    /// All that was said since the last time.
    pub(super) fn take(&self) -> VecDeque<Frame> {
        std::mem::take(&mut self.inner().fresh)
    }

    /// Makes the bus's task look, for whatever reason.
    pub(super) fn wake(&self) {
        self.filled.notify_one();
    }

    /// Resolves when there may be something to take. Cancel-safe.
    pub(super) async fn filled(&self) {
        self.filled.notified().await;
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
