//! Which statements are fast enough to go where others wait behind them.
//!
//! ```text
//!            4 fast in a row               over the limit twice in 32             tenfold alone, ended by
//!   Unknown ────────────────> Fast ──────────────────────────────> Slow ─────────────────────────────> TooSlow
//!                              ^                                     │     the connection's own limit     │
//!                              └──── 32, 64, .. 1024 in a row below half the limit ───────────────────────┘
//! ```
//!
//! What is slow or unknown takes a connection of its own where one is free at once, else it goes with the others: when
//! the whole server is slow, everything is, and driving all of it onto a few connections would be worse than waiting in
//! one another's way. What is too slow never comes back before it has mended.
//!
//! More than one in 32 over the limit means that the 95th percentile is over it. The limit is what is set (20 ms), or less
//! where less is usual on that connection: five times the middle of what statements take there, but not less than twice
//! their 95th percentile, nor a quarter of what is set. A statement is slow when it holds up others more than they do each
//! other; on a busy machine every one has its share of long waits, and where all do the same there is nobody to protect.
//! The way back is longer than the way out, and doubles each time it was in vain.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::STATEMENTS;
use crate::stmt::Text;

const TIMES_MEDIAN: f32 = 5.0;
const TIMES_TAIL: f32 = 2.0;
/// So many fast ones in a row make an unknown statement a known one.
const PROVEN: u32 = 4;
/// The window, in executions.
const WINDOW: u32 = u32::BITS;
/// How many relapses the way back can get longer by.
const RELAPSES: u8 = 5;
/// How many names of statements made at run time are told apart. A name is written in the source, so a program has
/// some dozens.
const NAMES: usize = 1_024;

/// How a statement has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    Unknown,
    Fast,
    Slow,
    TooSlow,
}

/// How long statements are at the head of one connection, in microseconds: estimates that step towards what is seen, and
/// come to rest where as many steps lead up as down (Ma, Muthukrishnan, Sandler, *Frugal Streaming for Estimating
/// Quantiles*, 2013, with steps in proportion).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Usual {
    /// Half take longer.
    median: f32,
    /// One in twenty takes longer.
    tail: f32,
}

/// One statement's record.
#[derive(Debug)]
struct Pace {
    phase: AtomicU8,
    relapses: AtomicU8,
    /// Fast: one bit for each of the last executions, set where it was over the limit. Else: how many fast ones there
    /// were in a row.
    window: AtomicU32,
}

/// The records of all statements.
pub(super) struct Paces {
    limit: Duration,
    known: Vec<Pace>,
    made: Mutex<HashMap<&'static str, Arc<Pace>>>,
}

impl Usual {
    /// One took so long, in microseconds.
    pub(super) fn note(&mut self, took: u64) {
        let step = |estimate: f32, up: f32, down: f32| match took as f32 > estimate {
            true => (estimate * up).max(1.0),
            false => estimate * down,
        };
        self.median = step(self.median, 1.02, 0.98);
        self.tail = step(self.tail, 1.038, 0.998);
    }

    /// From when on one more is slow among these.
    fn slow(&self) -> Duration {
        Duration::from_micros((self.median * TIMES_MEDIAN).max(self.tail * TIMES_TAIL) as u64)
    }
}

impl Pace {
    fn new() -> Self {
        Self { phase: AtomicU8::new(0), relapses: AtomicU8::new(0), window: AtomicU32::new(0) }
    }

    fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Unknown,
            1 => Phase::Fast,
            2 => Phase::Slow,
            _ => Phase::TooSlow,
        }
    }

    /// It took so long at the head of a connection, `alone` there or among others. True when that makes it slow.
    fn took(&self, took: Duration, limit: Duration, alone: bool) -> bool {
        let phase = self.phase();
        if phase == Phase::Fast {
            return self.took_while_fast(took, limit);
        }
        let (fast_enough, needed) = match phase {
            Phase::Unknown => (limit, PROVEN),
            _ => (limit / 2, WINDOW << self.relapses.load(Ordering::Relaxed).saturating_sub(1)),
        };
        if took > limit * 10 && (alone || phase == Phase::Unknown) {
            return self.too_slow();
        }
        if took > fast_enough {
            self.window.store(0, Ordering::Relaxed);
        } else if self.window.fetch_add(1, Ordering::Relaxed) + 1 >= needed {
            self.enter(Phase::Fast);
        }
        false
    }

    fn took_while_fast(&self, took: Duration, limit: Duration) -> bool {
        let over = took > limit;
        let window = self.window.load(Ordering::Relaxed);
        // Nearly always: nothing to note, so nothing is written that another core would have to fetch.
        if !over && window == 0 {
            return false;
        }
        // Two at the same moment may count as one; the next will do.
        let window = window << 1 | u32::from(over);
        self.window.store(window, Ordering::Relaxed);
        // Tenfold is enough once, but who was fast until now only steps back: where a machine stalls, every connection's
        // head has waited long at the same time.
        if window.count_ones() > 1 || took > limit * 10 {
            self.relapse();
            self.enter(Phase::Slow);
            return true;
        }
        false
    }

    /// It was too slow beyond doubt. True when that is news.
    fn too_slow(&self) -> bool {
        let before = self.phase();
        if matches!(before, Phase::Unknown | Phase::Fast) {
            self.relapse();
        }
        self.enter(Phase::TooSlow);
        before != Phase::TooSlow
    }

    fn relapse(&self) {
        let relapses = self.relapses.load(Ordering::Relaxed);
        self.relapses.store((relapses + 1).min(RELAPSES + 1), Ordering::Relaxed);
    }

    fn enter(&self, phase: Phase) {
        self.window.store(0, Ordering::Relaxed);
        self.phase.store(phase as u8, Ordering::Relaxed);
    }
}

impl Paces {
    /// `limit` is what is slow whatever is usual.
    pub(super) fn new(limit: Duration) -> Self {
        let known = STATEMENTS.iter().map(|_| Pace::new()).collect();
        Self { limit, known, made: Mutex::default() }
    }

    pub(super) fn phase(&self, text: &Text) -> Phase {
        self.of(text, Pace::phase)
    }

    /// It took so long at the head of a connection, and this is usual there; `None` if it was there alone. True when that
    /// makes it slow.
    pub(super) fn took(&self, text: &Text, took: Duration, usual: Option<Usual>) -> bool {
        let limit = usual.map_or(self.limit, |usual| usual.slow().clamp(self.limit / 4, self.limit));
        self.of(text, |pace| pace.took(took, limit, usual.is_none()))
    }

    /// It was ended by the limit of the connection. True when that is news.
    pub(super) fn too_slow(&self, text: &Text) -> bool {
        self.of(text, Pace::too_slow)
    }

    /// Runs `with` on the statement's record. Statements made at run time share one by their name.
    fn of<T>(&self, text: &Text, with: impl FnOnce(&Pace) -> T) -> T {
        if let Some(pace) = text.id().and_then(|id| self.known.get(id)) {
            return with(pace);
        }
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let name = if made.len() < NAMES || made.contains_key(text.name()) { text.name() } else { "" };
        let pace = made.entry(name).or_insert_with(|| Arc::new(Pace::new())).clone();
        drop(made);
        with(&pace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(20);
    const FAST: Duration = Duration::from_millis(1);
    const OVER: Duration = Duration::from_millis(30);

    fn known() -> Pace {
        let pace = Pace::new();
        for _ in 0..PROVEN {
            assert_eq!(pace.phase(), Phase::Unknown);
            assert!(!pace.took(FAST, LIMIT, false));
        }
        assert_eq!(pace.phase(), Phase::Fast);
        pace
    }

    /// What is usual where every `nth` of 20,000 takes `rare` microseconds and the others 50.
    fn usual(nth: u32, rare: u64) -> Usual {
        let mut usual = Usual::default();
        (0..20_000).for_each(|turn| usual.note(if turn % nth == 0 { rare } else { 50 }));
        usual
    }

    #[test]
    fn where_one_in_a_hundred_is_long_it_is_slow_and_where_one_in_ten_is_it_is_usual() {
        let rare = Duration::from_millis(7);
        assert!(usual(100, 7_000).slow() < Duration::from_millis(1), "{:?}", usual(100, 7_000));
        assert!(usual(10, 7_000).slow() > rare, "{:?}", usual(10, 7_000));
    }

    #[test]
    fn an_unknown_statement_proves_itself_in_a_row() {
        let pace = Pace::new();
        for _ in 0..3 {
            pace.took(FAST, LIMIT, false);
        }
        pace.took(OVER, LIMIT, false);
        for _ in 0..3 {
            pace.took(FAST, LIMIT, false);
            assert_eq!(pace.phase(), Phase::Unknown);
        }
        pace.took(FAST, LIMIT, false);
        assert_eq!(pace.phase(), Phase::Fast);
    }

    #[test]
    fn one_in_forty_over_the_limit_is_forgiven_and_two_in_thirty_are_not() {
        let pace = known();
        for _ in 0..10 {
            assert!(!pace.took(OVER, LIMIT, false));
            for _ in 0..39 {
                assert!(!pace.took(FAST, LIMIT, false));
            }
        }
        assert_eq!(pace.phase(), Phase::Fast);
        assert!(!pace.took(OVER, LIMIT, false));
        for _ in 0..29 {
            pace.took(FAST, LIMIT, false);
        }
        assert!(pace.took(OVER, LIMIT, false));
        assert_eq!(pace.phase(), Phase::Slow);
    }

    #[test]
    fn tenfold_is_once_too_often() {
        let pace = known();
        let second = Duration::from_secs(1);
        assert!(pace.took(second, LIMIT, false));
        assert_eq!(pace.phase(), Phase::Slow, "it has been fast until now");
        // The head of every other connection has waited as long in the same stall.
        assert!(!pace.took(second, LIMIT, false));
        assert_eq!(pace.phase(), Phase::Slow);
        assert!(pace.took(second, LIMIT, true), "nobody else was there to wait for");
        assert_eq!(pace.phase(), Phase::TooSlow);
        assert!(!pace.too_slow(), "that is no news any more");
        let unknown = Pace::new();
        assert!(unknown.took(Duration::from_secs(1), LIMIT, false));
        assert_eq!(unknown.phase(), Phase::TooSlow);
    }

    #[test]
    fn the_way_back_is_longer_than_the_way_out_and_doubles_when_it_was_in_vain() {
        let pace = known();
        let mut back = Vec::new();
        for _ in 0..8 {
            pace.too_slow();
            let mut count = 0;
            while pace.phase() != Phase::Fast {
                pace.took(FAST, LIMIT, false);
                count += 1;
            }
            back.push(count);
        }
        assert_eq!(back, [32, 64, 128, 256, 512, 1024, 1024, 1024]);
        // What is fast enough for a newcomer is not for one who comes back.
        pace.too_slow();
        for _ in 0..2_000 {
            pace.took(Duration::from_millis(11), LIMIT, false);
        }
        assert_eq!(pace.phase(), Phase::TooSlow);
    }
}
