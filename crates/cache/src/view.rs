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
        }
    }
}
