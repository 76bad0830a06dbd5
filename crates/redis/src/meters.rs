//! What is counted.

use burgeon_meter::{Counter, Gauge, Histogram, Meters};

#[derive(Clone)]
pub(crate) struct RedisMeters {
    pub(crate) answered: Counter,
    pub(crate) refused: Counter,
    pub(crate) late: Counter,
    pub(crate) lost: Counter,
    pub(crate) away: Counter,
    pub(crate) shed: Counter,
    pub(crate) took: Histogram,
    pub(crate) in_flight: Gauge,
    pub(crate) connected: Counter,
    pub(crate) broke: Counter,
    pub(crate) state: Gauge,
    pub(crate) generation: Gauge,
    pub(crate) unheard: Counter,
}

impl RedisMeters {
    pub(crate) fn new(meters: &Meters) -> Self {
        let calls = |outcome| {
            meters.counter("redis_calls_total", "Calls of Redis, by how they ended.", &[("outcome", outcome)])
        };
        let counter = |name, help| meters.counter(name, help, &[]);
        let gauge = |name, help| meters.gauge(name, help, &[]);
        Self {
            answered: calls("answered"),
            refused: calls("error"),
            late: calls("timeout"),
            lost: calls("lost"),
            away: calls("unavailable"),
            shed: calls("shed"),
            took: meters.histogram(
                "redis_call_seconds",
                "From asking Redis to its answer, errors included.",
                &[],
            ),
            in_flight: gauge("redis_in_flight", "Calls under way."),
            connected: counter("redis_connected_total", "Connections opened, the first one included."),
            broke: counter("redis_broken_total", "Connections that ended without being asked to."),
            state: gauge(
                "redis_state",
                "0: connected. 1: the first connection is being opened. 2: not connected.",
            ),
            generation: gauge(
                "redis_generation",
                "How often another, restarted or promoted server has answered.",
            ),
            unheard: counter(
                "redis_unheard_total",
                "Published messages that came faster than they were taken, and were dropped.",
            ),
        }
    }
}
