//! What a person sees of a cache.

use std::hash::Hash;

use crate::inner::{Inner, Measure};

/// A cache at one moment.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct View {
    /// Its name.
    pub name: String,
    /// How many values lie in memory, those included that died and have not left yet.
    pub entries: u64,
    /// What they weigh.
    pub weight: u64,
    /// The most they may weigh.
    pub capacity: u64,
    /// What is weighed: `entries` or `bytes`.
    pub unit: &'static str,
    /// By which rule values leave now, segment by segment: `queues`, `recency` or `frequency`.
    pub rules: Vec<&'static str>,
    /// Loads under way.
    pub loading: u64,
    /// Reads answered from memory, stale ones included.
    pub hits: u64,
    /// Reads that memory had no fresh answer to.
    pub misses: u64,
    /// Of those, reads that waited for somebody else's load.
    pub joined: u64,
    /// Its second tier, where it has one.
    pub far: Option<FarView>,
}

/// The second tier of a cache at one moment.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct FarView {
    /// `database` or `redis`.
    pub store: &'static str,
    /// Whether it is asked: not while it has failed too often just now. The same for all caches.
    pub breaker: burgeon_resilience::breaker::State,
    /// Keys that it had a fresh value for.
    pub hits: u64,
    /// Keys that it had nothing fresh for.
    pub misses: u64,
    /// Keys that it did not answer for, or was not asked for because it had not answered before.
    pub failed: u64,
    /// Invalidations that it has not confirmed yet.
    pub in_doubt: u64,
}

impl View {
    pub(crate) fn of<K, V>(inner: &Inner<K, V>) -> Self
    where
        K: Eq + Hash + Clone + Send + Sync + 'static,
        V: Send + Sync + 'static,
    {
        let (entries, weight) = inner.near.load();
        let unit = match inner.measure {
            Measure::Entries => "entries",
            Measure::Bytes(_) => "bytes",
        };
        Self {
            name: inner.name.to_string(),
            entries: entries as u64,
            weight,
            capacity: inner.near.capacity(),
            unit,
            rules: inner.near.rules().into_iter().map(crate::near::Rule::name).collect(),
            loading: inner.flights.len() as u64,
            hits: inner.meters.hits.get() + inner.meters.hits_stale.get(),
            misses: inner.meters.misses.get(),
            joined: inner.meters.joined.get(),
            far: inner.far.as_ref().map(|far| FarView {
                store: far.desk.remote.store.name(),
                breaker: far.desk.remote.state(),
                hits: far.desk.meters.hits.get(),
                misses: far.desk.meters.misses.get() + far.desk.meters.hits_stale.get(),
                failed: far.desk.meters.failed.get() + far.desk.meters.refused.get(),
                in_doubt: far.desk.doubts.len() as u64,
            }),
        }
    }
}
