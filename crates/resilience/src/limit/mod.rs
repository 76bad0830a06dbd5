//! How much at a time: a concurrency limit that finds itself.
//!
//! What this is: Gradient2, the limit of Netflix's concurrency-limits (2018), in windows of 100 ms and with a probe of ours. It compares
//! the mean response time of a window with what calls take when nothing queues. As long as they are as fast as ever, the limit grows by about
//! the square root of itself; when they are slower, something queues below, and it shrinks by that ratio. No number has to be guessed, and
//! none goes out of date with the next release or the next machine. What it is not: a queue (what is above the limit is refused at once;
//! [`line`](crate::line) waits), a rate limit (it counts what is in flight, not what comes per second), or fair.
//!
//! ```text
//!   a window of >= 100 ms and >= 10 ended calls closes
//!       short = its mean response time
//!       limit not reached ────────────────> baseline += (short - baseline) * 2/601
//!       in flight < limit/2 ──────────────> no more than that: the load and not the limit ruled
//!       gradient = clamp(baseline/short, 0.5, 1)
//!       limit'   = 0.8 limit + 0.2 (gradient * limit + max(4, 1.5 sqrt limit))
//!       limit not reached ────────────────> limit' at most limit
//!       more than 5 % of calls shed below ─> limit' at most 0.9 limit
//!       limit    = clamp(limit', min, max)
//!   reached for 3 s, later for 10 s of windows ──> the probe: 0.7 limit until 200 calls that began under it have ended
//!       baseline += (their mean - baseline) * 0.75
//! ```
//!
//! **The probe.** While the limit is reached, every response time contains the queue that the limit allows. Where the baseline learns from those, the
//! queue becomes normal, the limit grows, and with it the queue: in the overload simulator Netflix's rule creeps from 16 to 140 within ten minutes at
//! twice the load, and then serves less than half of what it could. So what is reached teaches nothing, save a short look every ten seconds with three tenths
//! less in flight. (Envoy looks with three in flight, which refuses real traffic at half load. failsafe-go correlates what is in flight with
//! what is done; in the simulator that costs a tenth of the capacity.)
//!
//! # Invariants
//! - Never more permits out than the limit was when they were given. A limit that shrinks takes nothing back; it lets nothing in until
//!   enough have ended.
//! - It does not grow unless it is reached: an idle night does not raise it, and lets one that was raised sink to where it started.
//! - Calls of before a probe do not speak for it.
//! - A decision is one atomic read-modify-write. Every 100 ms one caller, and never two, does the arithmetic; nobody waits for him.
//!
//! # When it breaks
//! If every call is slow from the start, that is the baseline: it protects against getting worse, not against being bad. If calls differ
//! by orders of magnitude and the mix changes, the mean changes with it: give such routes a limit of their own. Calls whose
//! length says nothing about load (streams, long polls, WebSockets) must be settled [`Ignored`](crate::Outcome::Ignored) or not be admitted here.
//!
//! # When not to use it
//! Where the right number is known and fixed, as in a pool of connections. Below ten calls per second: a window then takes
//! longer than the trouble it should see.

mod gradient2;
#[cfg(test)]
mod tests;
mod window;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::gradient2::Gradient2;
use self::window::Window;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use crate::time::micros;
use crate::{Instant, Outcome, Refused, Why};

/// Where the limit begins and between which bounds it moves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The limit before anything was measured, and below which idleness does not let it sink. Default 20: enough not to refuse
    /// the first users of a cold process, few enough for a machine of two cores.
    pub initial: u32,
    /// The least it shrinks to. Default 4: it must go on measuring.
    pub min: u32,
    /// The most it grows to. Default 1,000.
    pub max: u32,
    /// For how long calls are gathered before it decides. Default 100 ms. Longer is slower to protect and no steadier.
    #[serde(with = "burgeon_core::units::duration")]
    pub window: Duration,
    /// How much slower than the baseline still counts as unloaded. Default 1.0; in the overload simulator 1.5 nearly doubled the 99th
    /// percentile and served nobody more.
    pub tolerance: f64,
    /// Whether it probes when it has been reached for long. Default on: without, the limit creeps up in a long overload, as the
    /// queue that it allows becomes what it knows as normal.
    pub probe: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            initial: 20,
            min: 4,
            max: 1_000,
            window: Duration::from_millis(100),
            tolerance: 1.0,
            probe: true,
        }
    }
}

impl Config {
    /// A limit that stays where it is.
    pub fn fixed(limit: u32) -> Self {
        Self { initial: limit, min: limit, max: limit, ..Self::default() }
    }

    /// What is wrong with it, as a sentence that names the field.
    pub fn validate(&self) -> Result<(), String> {
        let Self { initial, min, max, .. } = *self;
        if min == 0 || min > initial || initial > max || max > MOST {
            return Err(format!(
                "1 <= min <= initial <= max <= {MOST} must hold, not {min}, {initial}, {max}"
            ));
        }
        if self.window.is_zero() {
            return Err("window must be positive".to_owned());
        }
        if !(0.5..=10.0).contains(&self.tolerance) {
            return Err(format!("tolerance must be between 0.5 and 10, not {}", self.tolerance));
        }
        Ok(())
    }
}

/// The limit; clones are handles to the same one. See the [module](self).
///
/// ```
/// use std::time::Duration;
///
/// use burgeon_resilience::limit::{Config, Limit};
/// use burgeon_resilience::{Instant, Outcome};
///
/// let limit = Limit::new(Config::default());
/// let now = Instant::ORIGIN;
/// let permit = limit.admit(now)?;
/// // ... the call ...
/// permit.settle(now.plus(Duration::from_millis(3)), Outcome::Ok);
/// # Ok::<(), burgeon_resilience::Refused>(())
/// ```
#[derive(Clone)]
pub struct Limit(Arc<Inner>);

/// The right to be in flight, until it is settled or dropped.
#[must_use = "a permit that is dropped was cancelled"]
pub struct Permit {
    /// `None` once settled.
    limit: Option<Limit>,
    since: Instant,
}

/// What a person sees.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct View {
    /// How many may be in flight.
    pub limit: u32,
    /// How many are.
    pub in_flight: u32,
    /// The mean response time that counts as unloaded; zero before anything was measured.
    #[serde(with = "burgeon_core::units::duration")]
    pub baseline: Duration,
}

/// Whether somebody else waits for what a permit gave back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freed {
    Unwanted,
    Wanted,
}

struct Inner {
    /// How many are in flight in the lower bits, [`WANTED`] above them. One word, so that who gives back and who begins to wait
    /// cannot miss each other.
    in_flight: AtomicU32,
    limit: AtomicU32,
    /// In microseconds.
    baseline: AtomicU64,
    /// Calls that began before this moment are no samples: another limit admitted them than the one that is being probed.
    fresh: AtomicU64,
    window: Window,
    gradient: Mutex<Gradient2>,
    window_micros: u64,
}

/// Set while somebody waits in a line for what will be given back; then nobody is admitted past it.
const WANTED: u32 = 1 << 31;
/// The greatest limit there can be.
const MOST: u32 = 1 << 20;
/// The fewest ended calls that are decided on.
const ENOUGH: u32 = 10;

impl Limit {
    /// A limit at its initial value.
    ///
    /// # Panics
    /// If the configuration does not [`validate`](Config::validate).
    #[track_caller]
    pub fn new(config: Config) -> Self {
        let valid = config.validate();
        assert!(valid.is_ok(), "a limit cannot be made of this: {valid:?}");
        Self(Arc::new(Inner {
            in_flight: AtomicU32::new(0),
            limit: AtomicU32::new(config.initial),
            baseline: AtomicU64::new(0),
            fresh: AtomicU64::new(0),
            window: Window::new(),
            window_micros: micros(config.window),
            gradient: Mutex::new(Gradient2::new(config)),
        }))
    }

    /// One more in flight, or a refusal when the limit is reached.
    pub fn admit(&self, now: Instant) -> Result<Permit, Refused> {
        self.enter(now, |word| word)
    }

    /// What a person sees.
    pub fn view(&self) -> View {
        View {
            limit: self.current(),
            in_flight: self.in_flight(),
            baseline: Duration::from_micros(self.0.baseline.load(Relaxed)),
        }
    }

    /// How many may be in flight at this moment.
    pub fn current(&self) -> u32 {
        self.0.limit.load(Relaxed)
    }

    /// How many are.
    pub fn in_flight(&self) -> u32 {
        self.0.in_flight.load(Relaxed) & !WANTED
    }

    /// As [`admit`](Self::admit), for the one who stands at the head of the line.
    pub(crate) fn admit_waiting(&self, now: Instant) -> Result<Permit, Refused> {
        self.enter(now, |word| word & !WANTED)
    }

    /// From now on whoever gives a permit back hears that it is wanted, and nobody is admitted past those who wait.
    pub(crate) fn want(&self) {
        self.0.in_flight.fetch_or(WANTED, Relaxed);
    }

    /// Nobody waits any more.
    pub(crate) fn want_no_more(&self) {
        self.0.in_flight.fetch_and(!WANTED, Relaxed);
    }

    /// `count` turns the word into a number that is compared with the limit; [`WANTED`] left in it exceeds every limit.
    fn enter(&self, now: Instant, count: impl Fn(u32) -> u32) -> Result<Permit, Refused> {
        let limit = self.current();
        let room = |word: u32| (count(word) < limit).then_some(word + 1);
        match self.0.in_flight.fetch_update(Relaxed, Relaxed, room) {
            Ok(before) => {
                self.0.window.reached((before & !WANTED) + 1);
                Ok(Permit { limit: Some(self.clone()), since: now })
            }
            Err(_) => Err(Refused::new(Why::Limit)),
        }
    }

    fn take_in(&self, now: Instant, since: Instant, outcome: Outcome) {
        let inner = &*self.0;
        let took = now.micros_since(since);
        if since.as_micros() < inner.fresh.load(Relaxed) {
            return;
        }
        match outcome {
            Outcome::Ok | Outcome::Slow => inner.window.sample(took),
            // A fast failure says nothing about load; a timeout does.
            Outcome::Fail if took > inner.baseline.load(Relaxed) => inner.window.sample(took),
            Outcome::Shed => inner.window.shed(),
            Outcome::Fail | Outcome::Ignored => return,
        }
        if inner.window.is_due(now, inner.window_micros, ENOUGH) {
            self.decide(now);
        }
    }

    #[cold]
    fn decide(&self, now: Instant) {
        let inner = &*self.0;
        // Whoever is at it takes in ours as well.
        let Ok(mut gradient) = inner.gradient.try_lock() else { return };
        if !inner.window.is_due(now, inner.window_micros, ENOUGH) {
            return;
        }
        let probed = gradient.is_probing();
        gradient.learn(&inner.window.close(now, self.in_flight()));
        inner.limit.store(gradient.limit(), Relaxed);
        if gradient.is_probing() && !probed {
            inner.fresh.store(now.as_micros(), Relaxed);
        }
        inner.baseline.store(gradient.baseline() as u64, Relaxed);
    }

    fn leave(&self) -> Freed {
        let before = self.0.in_flight.fetch_sub(1, Relaxed);
        if before & WANTED == 0 { Freed::Unwanted } else { Freed::Wanted }
    }
}

impl Permit {
    /// It ended like this.
    pub fn settle(self, now: Instant, outcome: Outcome) {
        let _ = self.give_back(now, outcome);
    }

    /// As [`settle`](Self::settle); also says whether somebody waits for it.
    pub(crate) fn give_back(mut self, now: Instant, outcome: Outcome) -> Freed {
        let Some(limit) = self.limit.take() else { return Freed::Unwanted };
        limit.take_in(now, self.since, outcome);
        limit.leave()
    }

    /// As dropping it; also says whether somebody waits for it.
    pub(crate) fn abandon(mut self) -> Freed {
        self.limit.take().map_or(Freed::Unwanted, |limit| limit.leave())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(limit) = self.limit.take() {
            limit.leave();
        }
    }
}

impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Limit").field(&self.view()).finish()
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("since", &self.since).finish_non_exhaustive()
    }
}
