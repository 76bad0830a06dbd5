//! Refreshes that go together: nobody waits for a refresh, so each may wait a moment for others, and all of them are one load.
//!
//! ```text
//!   refresh of 7 ── opens ─┐
//!   refresh of 9 ──────────┼── after `gather`, or a hundred ── one load of 7, 9, 12
//!   refresh of 12 ─────────┘
//! ```
//!
//! What this is not: a delay for readers. They are served meanwhile; who comes when there is nothing left to serve, or makes
//! something of it that is kept, sends the load on its way and waits for it.
//!
//! # Invariants
//! - A refresh that waits here is a flight like any other, boarded when it was asked for: an invalidation that comes while it waits
//!   keeps its value from being kept, and nobody joins it who has seen that invalidation.
//! - Whoever waits belongs to the task that will load. When that is aborted, their flights end as broken.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use burgeon_core::Ctx;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::flight::Landing;
use crate::inner::Inner;
use crate::loader::Loader;
use crate::sync::{Mutex, hold};

/// The way to the refreshes that wait, if any do.
pub(crate) type Gathering<K, V> = Mutex<Option<mpsc::Sender<Landing<K, V>>>>;

/// One load is for so many at most.
const MOST: usize = 100;

impl<K, V> Inner<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// How long a refresh waits for others; zero where it would wait for nothing.
    pub(crate) fn gathers(&self) -> Duration {
        match &self.loader {
            // Whose turn it is in the cluster is asked for each key alone.
            Some(Loader::Many(_)) if self.once_per_cluster.is_none() => {
                self.config.gather.min(self.config.ttl / 10)
            }
            _ => Duration::ZERO,
        }
    }

    /// Sends the refreshes that wait on their way: somebody waits for one of them now.
    pub(crate) fn hurry(&self) {
        // They go when nobody can come any more.
        drop(hold(&self.gathering).take());
    }

    /// Sends a refresh on its way with others.
    pub(crate) fn depart_in_company(self: &Arc<Self>, landing: Landing<K, V>, loader: Loader<K, V>) {
        let mut door = hold(&self.gathering);
        let first = match door.as_ref() {
            None => landing,
            Some(open) => match open.try_send(landing) {
                Ok(()) => return,
                // Full, or about to leave.
                Err(refused) => refused.into_inner(),
            },
        };
        let (open, mut others) = mpsc::channel(MOST - 1);
        *door = Some(open);
        drop(door);
        let (inner, until) = (self.clone(), Instant::now() + self.gathers());
        let flight = async move {
            let mut together = vec![first];
            while let Ok(Some(other)) = timeout_at(until, others.recv()).await {
                together.push(other);
            }
            // Who comes from here on opens another one; who was let in before goes along.
            others.close();
            while let Some(other) = others.recv().await {
                together.push(other);
            }
            inner.load_together(&Ctx::background(), together, loader).await;
        };
        drop(self.tasks.spawn("cache.load", flight));
    }
}
