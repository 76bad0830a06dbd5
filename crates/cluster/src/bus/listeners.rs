//! Who listens to what.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::delivery::{Delivery, Gap, Message};

type Hear = dyn Fn(Delivery<'_>) + Send + Sync;

#[derive(Default)]
pub(super) struct Listeners(Arc<Inner>);

#[derive(Default)]
struct Inner {
    // Not a tokio mutex: nothing awaits under it, and nobody is called under it.
    topics: Mutex<HashMap<Arc<str>, Vec<Listener>>>,
    next: AtomicU64,
}

#[derive(Clone)]
struct Listener {
    id: u64,
    hear: Arc<Hear>,
}

/// Somebody listens; dropped, they do not any more. A call that is under way at that moment comes to its end.
#[must_use = "who drops it stops listening"]
pub struct Listening {
    id: u64,
    topic: Arc<str>,
    inner: Weak<Inner>,
}

impl Listeners {
    pub(super) fn add(
        &self,
        topic: Arc<str>,
        hear: impl Fn(Delivery<'_>) + Send + Sync + 'static,
    ) -> Listening {
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        let listener = Listener { id, hear: Arc::new(hear) };
        self.0.topics().entry(topic.clone()).or_default().push(listener);
        Listening { id, topic, inner: Arc::downgrade(&self.0) }
    }

    pub(super) fn message(&self, message: &Message) {
        let listeners = self.0.topics().get(&message.topic).cloned().unwrap_or_default();
        for listener in listeners {
            listener.call(&message.topic, Delivery::Message(message));
        }
    }

    pub(super) fn gap(&self, gap: Gap) {
        let topics: Vec<_> =
            self.0.topics().iter().map(|(topic, listeners)| (topic.clone(), listeners.clone())).collect();
        for (topic, listeners) in topics {
            for listener in listeners {
                listener.call(&topic, Delivery::Gap(gap));
            }
        }
    }
}

impl Listener {
    fn call(&self, topic: &str, delivery: Delivery<'_>) {
        // What it left half-done is its own matter; the bus and the other listeners go on.
        if catch_unwind(AssertUnwindSafe(|| (self.hear)(delivery))).is_err() {
            tracing::error!(topic, "a listener on the bus panicked");
        }
    }
}

impl Inner {
    fn topics(&self) -> MutexGuard<'_, HashMap<Arc<str>, Vec<Listener>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let Some(inner) = self.inner.upgrade() else { return };
        let mut topics = inner.topics();
        if let Some(listeners) = topics.get_mut(&self.topic) {
            listeners.retain(|listener| listener.id != self.id);
            if listeners.is_empty() {
                topics.remove(&self.topic);
            }
        }
    }
}
