//! How requests were answered, one counter each; what the store itself did is counted by the cache's own meters.

use burgeon_meter::{Counter, Meters};

/// Handles, resolved when the cache is made.
pub(super) struct Answers {
    pub(super) hit: Counter,
    pub(super) stale: Counter,
    pub(super) fetched: Counter,
    pub(super) confirmed: Counter,
    pub(super) collapsed: Counter,
    pub(super) passed: Counter,
    pub(super) refused: Counter,
}

impl Answers {
    pub(super) fn new(meters: &Meters, cache: &str) -> Self {
        let by = |how| {
            meters.counter(
                "http_cache_answers_total",
                "Requests at a response cache, by how they were answered.",
                &[("cache", cache), ("how", how)],
            )
        };
        Self {
            hit: by("hit"),
            stale: by("stale"),
            fetched: by("fetched"),
            confirmed: by("confirmed"),
            collapsed: by("collapsed"),
            passed: by("passed"),
            refused: by("refused"),
        }
    }
}
