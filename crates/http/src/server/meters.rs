//! What the server counts.
//!
//! | meter | labels | what |
//! |---|---|---|
//! | `http_connections` | | connections open, from their acceptance on |
//! | `http_connections_total` | `end`: `closed`, `idle`, `slow`, `refused`, `unopened`, `broken` | connections that ended, by why |
//! | `http_framing_refused_total` | `rule` | requests refused by the framing guard |

use burgeon_meter::{Counter, Gauge, Meters};

use super::guard::Refusal;

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// In good order, by the client or by us.
    Closed,
    /// It rested longer than `http.idle_timeout`.
    Idle,
    /// Its client sent its head, or took its answer, too slowly.
    Slow,
    /// It sent what has two readings.
    Refused,
    /// It ended before it said what it wanted: no byte, no whole TLS handshake.
    Unopened,
    /// In the middle of a message: reset, cut, or not HTTP.
    Broken,
}

/// Resolved once; cloning shares them.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    pub(super) open: Gauge,
    ended: [Counter; 6],
    refused: [Counter; Refusal::ALL.len()],
}

impl Counted {
    pub(super) fn new(meters: &Meters) -> Self {
        let ended = |end: End| {
            const HELP: &str = "Connections that ended, by why.";
            meters.counter("http_connections_total", HELP, &[("end", end.name())])
        };
        let refused = |refusal: Refusal| {
            const HELP: &str = "Requests refused because their framing has two readings.";
            meters.counter("http_framing_refused_total", HELP, &[("rule", refusal.rule())])
        };
        Self {
            open: meters.gauge("http_connections", "Connections open.", &[]),
            ended: End::ALL.map(ended),
            refused: Refusal::ALL.map(refused),
        }
    }

    /// The same meters through cells of its own, for one core.
    pub(super) fn part(&self) -> Self {
        Self {
            open: self.open.part(),
            ended: self.ended.each_ref().map(Counter::part),
            refused: self.refused.each_ref().map(Counter::part),
        }
    }

    pub(super) fn ended(&self, end: End) {
        self.ended[end as usize].increment();
    }

    pub(super) fn refused(&self, refusal: Refusal) {
        self.refused[refusal as usize].increment();
    }
}

impl End {
    /// In the order of their values, which are indices.
    const ALL: [Self; 6] =
        [Self::Closed, Self::Idle, Self::Slow, Self::Refused, Self::Unopened, Self::Broken];

    fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Idle => "idle",
            Self::Slow => "slow",
            Self::Refused => "refused",
            Self::Unopened => "unopened",
            Self::Broken => "broken",
        }
    }
}
