//! Where the primary was when: what makes a replica's lag in bytes one in time.
//!
//! A replica's own clock of its last transaction (`pg_last_xact_replay_timestamp`) seems to lag ever more while the
//! primary has nothing to say, and compares the clocks of two machines. Here lag is how long ago the primary, by our own
//! clock, was first seen past the point where the replica is now: on an idle primary that is never, so zero.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// How many moments are remembered: at a check a second more than four minutes. A lag beyond that is at least so long.
const MOMENTS: usize = 256;

/// The primary's positions, oldest first, of one timeline.
#[derive(Debug, Default)]
pub(super) struct History(VecDeque<(Instant, u64)>);

impl History {
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }

    /// The primary was seen here. A position seen before is no news: what counts is when it was first seen.
    pub(super) fn seen(&mut self, at: Instant, lsn: u64) {
        if self.0.back().is_some_and(|(_, last)| *last >= lsn) {
            return;
        }
        if self.0.len() == MOMENTS {
            self.0.pop_front();
        }
        self.0.push_back((at, lsn));
    }

    /// How far behind in time a replica is that has replayed so much.
    pub(super) fn behind(&self, replayed: u64, now: Instant) -> Duration {
        let unseen = self.0.iter().find(|(_, lsn)| *lsn > replayed);
        unseen.map_or(Duration::ZERO, |(at, _)| now.saturating_duration_since(*at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lag_in_time_is_how_long_the_primary_has_been_ahead() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut history = History::default();
        history.seen(at(0), 100);
        history.seen(at(1), 200);
        history.seen(at(2), 300);
        assert_eq!(history.behind(300, at(2)), Duration::ZERO);
        assert_eq!(history.behind(250, at(2)), Duration::ZERO);
        assert_eq!(history.behind(150, at(2)), Duration::from_secs(1));
        assert_eq!(history.behind(0, at(9)), Duration::from_secs(9));
    }

    #[tokio::test]
    async fn on_an_idle_primary_nobody_lags_however_long_it_lasts() {
        let start = Instant::now();
        let mut history = History::default();
        for minute in 0..600 {
            history.seen(start + Duration::from_secs(60 * minute), 500);
            assert_eq!(history.behind(500, start + Duration::from_secs(60 * minute)), Duration::ZERO);
        }
        // And who is behind an idle primary has been so since that was first seen there.
        assert_eq!(history.behind(499, start + Duration::from_secs(36_000)), Duration::from_secs(36_000));
    }

    #[tokio::test]
    async fn what_is_remembered_is_bounded() {
        let start = Instant::now();
        let mut history = History::default();
        for second in 0..10_000 {
            history.seen(start + Duration::from_secs(second), second);
        }
        assert_eq!(history.0.len(), MOMENTS);
    }
}
