//! What is counted of each cache.

use burgeon_meter::{Counter, Gauge, Histogram, Meters};

/// Handles, resolved when the cache is made.
pub(crate) struct CacheMeters {
    pub(crate) hits: Counter,
    hit_parts: Box<[Counter]>,
    pub(crate) hits_stale: Counter,
    pub(crate) misses: Counter,
    pub(crate) joined: Counter,
    pub(crate) loads: Loads,
    pub(crate) load_time: Histogram,
    pub(crate) stale_failed: Counter,
    pub(crate) stale_slow: Counter,
    pub(crate) stale_revalidating: Counter,
    pub(crate) made_of_stale: Counter,
    pub(crate) refreshed_early: Counter,
    pub(crate) discarded_generation: Counter,
    pub(crate) discarded_oversize: Counter,
    pub(crate) evicted: Counter,
    pub(crate) invalidated_key: Counter,
    pub(crate) invalidated_tag: Counter,
    pub(crate) invalidated_all: Counter,
    pub(crate) written: Counter,
    pub(crate) unheard: Counter,
    pub(crate) waited_for_node: Counter,
    pub(crate) entries: Gauge,
    pub(crate) weight: Gauge,
    pub(crate) loading: Gauge,
}

/// Hits are counted in so many cells: more than one would be fought over before anything else.
const HIT_PARTS: usize = 16;

/// How loads ended.
pub(crate) struct Loads {
    pub(crate) value: Counter,
    pub(crate) not_found: Counter,
    pub(crate) not_modified: Counter,
    pub(crate) failed: Counter,
    pub(crate) timed_out: Counter,
    pub(crate) broken: Counter,
}

impl CacheMeters {
    /// Counts a fresh hit of the key with this hash, beside the lock that it has just held.
    #[inline]
    pub(crate) fn hit(&self, hash: u64) {
        self.hit_parts[(hash >> 40) as usize & (HIT_PARTS - 1)].increment();
    }

    pub(crate) fn new(meters: &Meters, cache: &str) -> Self {
        let by = |name, help, label: Option<(&'static str, &'static str)>| {
            let mut labels = vec![("cache", cache)];
            labels.extend(label);
            meters.counter(name, help, &labels)
        };
        let hits = |stale| {
            by(
                "cache_hits_total",
                "Reads answered from memory; stale: kept after a failed load, or made of what was.",
                Some(("stale", stale)),
            )
        };
        let loads =
            |outcome| by("cache_loads_total", "Loads, by how they ended.", Some(("outcome", outcome)));
        let stale = |why| {
            by(
                "cache_stale_served_total",
                "Stale values served, by why nothing fresher was.",
                Some(("why", why)),
            )
        };
        let discarded = |why| {
            by("cache_discarded_total", "Loaded values that were not kept, by why.", Some(("why", why)))
        };
        let invalidated =
            |what| by("cache_invalidations_total", "Invalidations, by what was named.", Some(("what", what)));
        let of = [("cache", cache)];
        let fresh = hits("no");
        Self {
            hit_parts: (0..HIT_PARTS).map(|_| fresh.part()).collect(),
            hits: fresh,
            hits_stale: hits("yes"),
            misses: by("cache_misses_total", "Reads that memory had no fresh answer to.", None),
            joined: by("cache_joined_total", "Reads that waited for somebody else's load.", None),
            loads: Loads {
                value: loads("value"),
                not_found: loads("not_found"),
                not_modified: loads("not_modified"),
                failed: loads("failed"),
                timed_out: loads("timed_out"),
                broken: loads("broken"),
            },
            load_time: meters.histogram("cache_load_seconds", "How long loads took.", &of),
            stale_failed: stale("load_failed"),
            stale_slow: stale("load_slow"),
            stale_revalidating: stale("revalidating"),
            made_of_stale: by(
                "cache_made_of_stale_total",
                "Loads whose value was made of something stale in another cache, and is kept no longer than that.",
                None,
            ),
            refreshed_early: by("cache_early_refreshes_total", "Loads begun before the value expired.", None),
            discarded_generation: discarded("invalidated"),
            discarded_oversize: discarded("oversize"),
            evicted: by("cache_evictions_total", "Entries that left for want of room.", None),
            invalidated_key: invalidated("key"),
            invalidated_tag: invalidated("tag"),
            invalidated_all: invalidated("all"),
            written: by("cache_writes_total", "Values put in by `set`.", None),
            waited_for_node: by(
                "cache_waited_for_node_total",
                "Turns that loads waited for another node's load of the same key.",
                None,
            ),
            unheard: by(
                "cache_unheard_total",
                "Readers who had changed something on another node that this one had not heard of in time.",
                None,
            ),
            entries: meters.gauge(
                "cache_entries",
                "Entries in memory, dead ones included until they leave.",
                &of,
            ),
            weight: meters.gauge(
                "cache_weight",
                "What they weigh: entries, or bytes where the cache counts bytes.",
                &of,
            ),
            loading: meters.gauge("cache_loading", "Loads under way.", &of),
        }
    }
}
