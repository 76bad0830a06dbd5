//! What the choice between servers costs, and what became of them.

use burgeon_meter::{Counter, Gauge, Histogram, Meters};

pub(super) struct FleetMeters {
    /// Reads on a replica that was known to be far enough.
    pub(super) known: Counter,
    /// Reads on a replica that had to be asked, and was.
    pub(super) asked: Counter,
    /// Reads on a replica that was waited for.
    pub(super) waited: Counter,
    /// Reads on the primary because no replica could answer.
    pub(super) fallback: Counter,
    /// Reads on the primary because their caller insisted.
    pub(super) chosen: Counter,
    /// Reads that were begun again on another server.
    pub(super) elsewhere: Counter,
    pub(super) wait: Histogram,
    pub(super) timeline: Gauge,
    pub(super) promotions: Counter,
    pub(super) primary_losses: Counter,
    pub(super) lost_bytes: Gauge,
}

impl FleetMeters {
    pub(super) fn new(meters: &Meters) -> Self {
        let reads = |target, how| {
            meters.counter(
                "db_reads_total",
                "Reads by the server that answered, and how it was chosen.",
                &[("target", target), ("how", how)],
            )
        };
        Self {
            known: reads("replica", "known"),
            asked: reads("replica", "asked"),
            waited: reads("replica", "waited"),
            fallback: reads("primary", "fallback"),
            chosen: reads("primary", "chosen"),
            elsewhere: meters.counter(
                "db_reads_repeated_total",
                "Reads that were begun again on another server because theirs went away.",
                &[],
            ),
            wait: meters.histogram(
                "db_replica_wait_seconds",
                "How long reads waited for a replica to come as far as they needed.",
                &[],
            ),
            timeline: meters.gauge("db_timeline", "The highest timeline of the database that is known.", &[]),
            promotions: meters.counter("db_promotions_total", "Promotions of a replica that were seen.", &[]),
            primary_losses: meters.counter(
                "db_primary_losses_total",
                "How often there was no primary any more.",
                &[],
            ),
            lost_bytes: meters.gauge(
                "db_lost_bytes",
                "Log that this process had acknowledged and that the last promotion did not have, at most.",
                &[],
            ),
        }
    }
}
