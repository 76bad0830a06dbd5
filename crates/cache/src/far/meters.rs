//! What is counted of a cache's second tier.

use burgeon_meter::{Counter, Gauge, Histogram, Meters};

use crate::wire::Unreadable;

/// Handles, resolved when the cache is made.
pub(crate) struct FarMeters {
    pub(crate) hits: Counter,
    pub(crate) hits_stale: Counter,
    pub(crate) misses: Counter,
    pub(crate) passed_over: Counter,
    pub(crate) failed: Counter,
    pub(crate) refused: Counter,
    pub(crate) written: Counter,
    pub(crate) fenced: Counter,
    pub(crate) write_failed: Counter,
    pub(crate) unfit: Counter,
    unreadable: [(Unreadable, Counter); 3],
    pub(crate) read_time: Histogram,
    pub(crate) write_time: Histogram,
    pub(crate) read_bytes: Counter,
    pub(crate) written_bytes: Counter,
    pub(crate) doubts: Gauge,
    pub(crate) overflows: Counter,
    pub(crate) cap_waited: Counter,
    pub(crate) cap_refused: Counter,
}

impl FarMeters {
    pub(crate) fn new(meters: &Meters, cache: &str) -> Self {
        let of = [("cache", cache)];
        let by = |name, help, label: Option<(&'static str, &'static str)>| {
            let mut labels = of.to_vec();
            labels.extend(label);
            meters.counter(name, help, &labels)
        };
        let reads = |outcome| {
            by(
                "cache_far_reads_total",
                "Keys asked of the second tier, by what came of it.",
                Some(("outcome", outcome)),
            )
        };
        let writes = |outcome| {
            by(
                "cache_far_writes_total",
                "Values offered to the second tier, by what came of it; fenced: an invalidation came first.",
                Some(("outcome", outcome)),
            )
        };
        let unreadable = |why: Unreadable| {
            let counter = by(
                "cache_far_unreadable_total",
                "Entries of the second tier that were no value of this program's, by why.",
                Some(("why", why.name())),
            );
            (why, counter)
        };
        let bytes = |direction| {
            by(
                "cache_far_bytes_total",
                "Bytes of entries, as they travelled.",
                Some(("direction", direction)),
            )
        };
        let cap = |outcome| {
            by(
                "cache_far_capped_loads_total",
                "Loads that found no place at once while the second tier was out of reach.",
                Some(("outcome", outcome)),
            )
        };
        Self {
            hits: reads("hit"),
            hits_stale: reads("stale"),
            misses: reads("miss"),
            passed_over: reads("in_doubt"),
            failed: reads("failed"),
            refused: reads("refused"),
            written: writes("written"),
            fenced: writes("fenced"),
            write_failed: writes("failed"),
            unfit: writes("unfit"),
            unreadable: [Unreadable::Version, Unreadable::Damaged, Unreadable::Shape].map(unreadable),
            read_time: meters.histogram(
                "cache_far_read_seconds",
                "How long the second tier took to answer.",
                &of,
            ),
            write_time: meters.histogram(
                "cache_far_write_seconds",
                "How long the second tier took to take a value.",
                &of,
            ),
            read_bytes: bytes("read"),
            written_bytes: bytes("written"),
            doubts: meters.gauge(
                "cache_far_doubts",
                "Invalidations that the second tier has not confirmed.",
                &of,
            ),
            overflows: by(
                "cache_far_doubts_overflowed_total",
                "How often they were too many and all of the cache was invalidated.",
                None,
            ),
            cap_waited: cap("waited"),
            cap_refused: cap("refused"),
        }
    }

    pub(crate) fn unreadable(&self, why: Unreadable) {
        if let Some((_, counter)) = self.unreadable.iter().find(|(known, _)| *known == why) {
            counter.increment();
        }
    }
}
