//! What the bus counts.

use burgeon_meter::{Counter, Gauge, Histogram, Meters};

pub(super) struct BusMeters {
    pub(super) published: Counter,
    pub(super) received: Counter,
    pub(super) skipped: Counter,
    pub(super) repeated: Counter,
    pub(super) overflowed: Counter,
    pub(super) missed: Counter,
    pub(super) reconnected: Counter,
    pub(super) packets: Counter,
    pub(super) state: Gauge,
    pub(super) round_trip: Histogram,
}

impl BusMeters {
    pub(super) fn new(meters: &Meters, link: &'static str) -> Self {
        let counter = |name, help| meters.counter(name, help, &[("link", link)]);
        let gap = |why| {
            meters.counter(
                "bus_gaps_total",
                "Times listeners were told that messages were lost.",
                &[("link", link), ("why", why)],
            )
        };
        Self {
            published: counter("bus_published_total", "Messages this node has said."),
            received: counter("bus_received_total", "Messages of other nodes that were heard."),
            skipped: counter("bus_skipped_total", "Frames of an unknown version or kind."),
            repeated: counter("bus_repeated_total", "Messages that were heard, or given up, before."),
            overflowed: counter("bus_overflowed_total", "Messages that fell out of the outbox unsent."),
            missed: gap("missed"),
            reconnected: gap("reconnected"),
            packets: counter("bus_packets_total", "Packets sent; each carries all that waited."),
            state: meters.gauge(
                "bus_state",
                "0: every node is heard. 1: one has fallen silent. 2: the link is down.",
                &[("link", link)],
            ),
            round_trip: meters.histogram(
                "bus_round_trip_seconds",
                "From saying a heartbeat to hearing it.",
                &[("link", link)],
            ),
        }
    }
}
