//! How bad it is, in four words that handlers can act on.

use std::fmt;
use std::sync::PoisonError;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Instant;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use crate::time::micros;

/// What a service can still afford. Ordered: greater is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Level {
    /// Everything.
    #[default]
    Normal = 0,
    /// A stale answer is better than a computed one: caches serve what they have, prefetches and background refreshes rest.
    Busy = 1,
    /// Pages leave out what can be left out: recommendations, counters, previews. What only reads should not write.
    Lite = 2,
    /// The sheddable classes no longer queue: they get what is free at once, or one place in the line each.
    Shed = 3,
}

impl Level {
    /// Every level, best first.
    pub const ALL: [Level; 4] = [Level::Normal, Level::Busy, Level::Lite, Level::Shed];

    /// `normal`, `busy`, `lite`, `shed`.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Normal => "normal",
            Level::Busy => "busy",
            Level::Lite => "lite",
            Level::Shed => "shed",
        }
    }

    fn of(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or(Level::Shed)
    }

    fn worse(self) -> Self {
        Self::of(self as u8 + 1)
    }

    fn better(self) -> Self {
        Self::of((self as u8).saturating_sub(1))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// When it gets worse and when better.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// A second in which more than this share of requests was shed is a bad one. Default 0.01.
    pub bad: f64,
    /// A second in which at most this share was shed is a clean one; between the two the level stays. Default 0.001.
    pub clean: f64,
    /// After so many bad seconds in a row it gets one level worse. Default 3.
    pub worse_after: u32,
    /// After so many clean seconds in a row it gets one level better. Default 30: ten times slower, so that a load at the border does not
    /// make every page change its face.
    pub better_after: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { bad: 0.01, clean: 0.001, worse_after: 3, better_after: 30 }
    }
}

impl Config {
    pub(super) fn validate(&self) -> Result<(), String> {
        if !(0.0..1.0).contains(&self.clean) || !(self.clean..1.0).contains(&self.bad) {
            return Err(format!(
                "0 <= levels.clean <= levels.bad < 1 must hold, not {} and {}",
                self.clean, self.bad
            ));
        }
        if self.worse_after == 0 || self.better_after == 0 {
            return Err("levels.worse_after and levels.better_after must be positive".to_owned());
        }
        Ok(())
    }
}

/// Which level it is, from how much is being shed.
#[derive(Debug)]
pub(super) struct Levels {
    config: Config,
    second: AtomicU64,
    requests: AtomicU32,
    shed: AtomicU32,
    level: AtomicU8,
    /// A level that a person chose, or [`FREE`].
    pinned: AtomicU8,
    streaks: Mutex<Streaks>,
}

/// The rule itself: how many seconds of a kind came one after the other.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Streaks {
    level: Level,
    bad: u32,
    clean: u32,
}

const SECOND: u64 = micros(Duration::from_secs(1));
const FREE: u8 = u8::MAX;

impl Levels {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            second: AtomicU64::new(0),
            requests: AtomicU32::new(0),
            shed: AtomicU32::new(0),
            level: AtomicU8::new(Level::Normal as u8),
            pinned: AtomicU8::new(FREE),
            streaks: Mutex::new(Streaks::default()),
        }
    }

    /// A request was decided on. What the level itself refused must not be told: it would hold itself up for ever.
    pub(super) fn count(&self, now: Instant, shed: bool) {
        self.roll(now);
        self.requests.fetch_add(1, Relaxed);
        if shed {
            self.shed.fetch_add(1, Relaxed);
        }
    }

    /// One that was counted as not shed was shed after all.
    pub(super) fn late(&self, now: Instant) {
        self.roll(now);
        self.shed.fetch_add(1, Relaxed);
    }

    pub(super) fn level(&self, now: Instant) -> Level {
        self.roll(now);
        match self.pinned.load(Relaxed) {
            FREE => Level::of(self.level.load(Relaxed)),
            pinned => Level::of(pinned),
        }
    }

    pub(super) fn pin(&self, level: Option<Level>) {
        self.pinned.store(level.map_or(FREE, |level| level as u8), Relaxed);
    }

    pub(super) fn is_pinned(&self) -> bool {
        self.pinned.load(Relaxed) != FREE
    }

    /// Judges the second that is over, and the empty ones since.
    fn roll(&self, now: Instant) {
        if now.micros_since(Instant::from_micros(self.second.load(Relaxed))) >= SECOND {
            self.judge(now);
        }
    }

    #[cold]
    fn judge(&self, now: Instant) {
        // Not try_lock: who asks for the level after a quiet night must not hear yesterday's.
        let mut streaks = self.streaks.lock().unwrap_or_else(PoisonError::into_inner);
        let second = self.second.load(Relaxed);
        let over = now.micros_since(Instant::from_micros(second)) / SECOND;
        if over == 0 {
            return;
        }
        let requests = self.requests.swap(0, Relaxed);
        let shed = self.shed.swap(0, Relaxed);
        streaks.take_in(&self.config, requests, shed);
        streaks.rest(&self.config, over - 1);
        self.level.store(streaks.level as u8, Relaxed);
        self.second.store(second + over * SECOND, Relaxed);
    }
}

impl Streaks {
    fn take_in(&mut self, config: &Config, requests: u32, shed: u32) {
        let share = f64::from(shed) / f64::from(requests.max(1));
        self.bad = if share > config.bad { self.bad + 1 } else { 0 };
        self.clean = if share <= config.clean { self.clean + 1 } else { 0 };
        if self.bad >= config.worse_after {
            *self = Self { level: self.level.worse(), bad: 0, clean: 0 };
        } else if self.clean >= config.better_after {
            *self = Self { level: self.level.better(), bad: 0, clean: 0 };
        }
    }

    /// So many seconds without any request.
    fn rest(&mut self, config: &Config, seconds: u64) {
        // Beyond that the level is normal, and stays so.
        let enough = u64::from(config.better_after) * (Level::ALL.len() as u64 + 1);
        for _ in 0..seconds.min(enough) {
            self.take_in(config, 0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(number: u64) -> Instant {
        Instant::from_micros(number * SECOND)
    }

    /// So many seconds with 1,000 requests each, from the given one on.
    fn pass(levels: &Levels, from: u64, seconds: u64, shed: u32) -> u64 {
        for number in from..from + seconds {
            for request in 0..1_000 {
                levels.count(second(number).plus_micros(u64::from(request)), request < shed);
            }
        }
        from + seconds
    }

    #[test]
    fn three_bad_seconds_make_it_worse_and_thirty_clean_ones_better() {
        let levels = Levels::new(Config::default());
        let mut now = pass(&levels, 0, 2, 11);
        assert_eq!(levels.level(second(now)), Level::Normal);
        for level in [Level::Busy, Level::Lite, Level::Shed, Level::Shed] {
            now = pass(&levels, now, if level == Level::Busy { 1 } else { 3 }, 500);
            assert_eq!(levels.level(second(now)), level);
        }
        for level in [Level::Lite, Level::Busy, Level::Normal, Level::Normal] {
            now = pass(&levels, now, 29, 0);
            assert!(levels.level(second(now)) >= level);
            now = pass(&levels, now, 1, 1);
            assert_eq!(levels.level(second(now)), level, "one in a thousand is still clean");
        }
    }

    #[test]
    fn between_bad_and_clean_it_stays_where_it_is() {
        let levels = Levels::new(Config::default());
        let now = pass(&levels, 0, 3, 500);
        let now = pass(&levels, now, 300, 5);
        assert_eq!(levels.level(second(now)), Level::Busy);
    }

    #[test]
    fn one_good_second_breaks_a_streak() {
        let levels = Levels::new(Config::default());
        let mut now = 0;
        for _ in 0..20 {
            now = pass(&levels, now, 2, 500);
            now = pass(&levels, now, 1, 5);
        }
        assert_eq!(levels.level(second(now)), Level::Normal);
    }

    #[test]
    fn a_quiet_night_is_clean() {
        let levels = Levels::new(Config::default());
        let now = pass(&levels, 0, 9, 500);
        assert_eq!(levels.level(second(now)), Level::Shed);
        assert_eq!(levels.level(second(now + 89)), Level::Busy);
        assert_eq!(levels.level(second(now + 90)), Level::Normal);
        assert_eq!(levels.level(second(now + 1_000_000)), Level::Normal);
    }

    #[test]
    fn what_a_person_chose_stays_until_he_lets_go() {
        let levels = Levels::new(Config::default());
        levels.pin(Some(Level::Lite));
        let now = pass(&levels, 0, 30, 500);
        assert_eq!(levels.level(second(now)), Level::Lite);
        levels.pin(None);
        assert_eq!(levels.level(second(now)), Level::Shed, "it went on watching");
    }
}
