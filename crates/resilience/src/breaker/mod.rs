//! A circuit breaker: stop asking an endpoint that is ill, and find out carefully when it is well again.
//!
//! ```text
//!              5 failures in a row, or half of 20 calls failed,
//!              or 80 % of 20 were slow
//!   +--------+ ----------------------------------------> +------+
//!   | closed |                                           | open | 5 s * 2^trips, at most 60 s, 25 % more or less
//!   +--------+                                           +------+
//!     ^   3 probes in a row are well                  |       ^
//!     |   (cold window, then a ramp of 10 s)          | time  | one probe is ill:
//!     |                                               v       | trips + 1
//!     |                                          +-----------+
//!     +----------------------------------------- | half-open | one probe at a time, given back
//!                                                +-----------+ when cancelled or lost
//! ```
//!
//! What this is: Nygard's circuit breaker ("Release It!", 2007) with exact counts over ten slots of a second, as in
//! resilience4j and linkerd, a run of failures as a second condition, and generations. What it is not: a judge of load.
//! 4xx and refusals for load say that somebody is there ([`Outcome::Ok`], [`Outcome::Shed`]); they do not open it.
//! One breaker per endpoint, never one over a mixed upstream: it would take the well ones away with the ill one.
//!
//! # When it opens
//! Judged whenever a call fails or is slow, in a closed state. Any of:
//! - **a run**: [`Config::consecutive`] failures in a row, and failures are at least half of the calls of this second and the
//!   one before, and so long a run is not chance: the share of failures over the window outside the run, to the power of
//!   its length, is at most one in a million. The second condition keeps one reset connection from opening a breaker
//!   under thousands of calls a second; the third keeps 30 % of random errors from opening it every minute.
//! - **a share**: of at least [`Config::calls`] calls in ten seconds, [`Config::fail_share`] failed.
//! - **slowness**: of as many, [`Config::slow_share`] were slow.
//!
//! # Invariants
//! - Half-open, exactly one call is admitted at a time. Its place comes back when it is settled, dropped, or lost for longer
//!   than [`Config::probe_timeout`].
//! - A result of an older generation changes nothing.
//! - All state is one word, changed by compare-and-swap, and a ring of counters ([`crate::Refused`] calls touch neither).
//!
//! # When not to use it
//! In front of a single endpoint without an alternative, where half an answer is better than none: use the
//! [client throttle](crate::throttle), which has no cliff. With a few calls a minute: it never sees enough to judge.

mod state;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::state::{Admission, Phase, Probed, Rules, Stage};
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::window::Window;
use crate::{Instant, Outcome, Refused, Why};

/// The numbers of a breaker. All starting values without precedent are marked with a star.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Failures in a row that open it, if they are also half of the last second or two and no chance. Default 5, as Envoy's
    /// outlier detection. 0 turns the condition off.
    pub consecutive: u32,

    /// The least number of calls in ten seconds before a share means anything. Default 20.
    pub calls: u32,

    /// The share of failures that opens it. Default 0.5, as resilience4j. Above 1 turns the condition off.
    pub fail_share: f64,

    /// The share of slow calls that opens it. Default 0.8\*. Above 1 turns the condition off.
    pub slow_share: f64,

    /// How long it stays open the first time; doubles with each failed probe. Default `5s`\*: long enough for a process to
    /// restart, short enough that nobody notices that it is back late.
    #[serde(with = "burgeon_core::units::duration")]
    pub open: Duration,

    /// The longest it stays open. Default `60s`\*.
    #[serde(with = "burgeon_core::units::duration")]
    pub open_cap: Duration,

    /// When a probe that has neither ended nor been dropped is given up and another may go. Default `10s`\*. Longer than the
    /// attempt's timeout, or a slow probe is joined by a second one.
    #[serde(with = "burgeon_core::units::duration")]
    pub probe_timeout: Duration,

    /// Probes in a row that must be well before it closes, 1 to 7. Default 3\*.
    pub successes: u32,

    /// After it closed, for how long only a share of the calls passes, growing from a tenth to all. Default `10s`\*: who has
    /// just come back has cold caches. Zero: all pass at once.
    #[serde(with = "burgeon_core::units::duration")]
    pub ramp: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            consecutive: 5,
            calls: 20,
            fail_share: 0.5,
            slow_share: 0.8,
            open: Duration::from_secs(5),
            open_cap: Duration::from_secs(60),
            probe_timeout: Duration::from_secs(10),
            successes: 3,
            ramp: Duration::from_secs(10),
        }
    }
}

impl Config {
    /// What is wrong with these numbers, if something is.
    ///
    /// # Errors
    /// A sentence that names the field.
    pub fn validate(&self) -> Result<(), String> {
        if self.calls == 0 {
            return Err("breaker.calls must be at least 1: a share of nothing has no meaning".into());
        }
        for (name, share) in [("fail_share", self.fail_share), ("slow_share", self.slow_share)] {
            if share.is_nan() || share <= 0.0 {
                return Err(format!("breaker.{name} must be above 0; above 1 turns the condition off"));
            }
        }
        if self.open.is_zero() || self.open > self.open_cap {
            return Err(format!(
                "breaker.open ({:?}) must be above zero and not above breaker.open_cap ({:?})",
                self.open, self.open_cap
            ));
        }
        if self.probe_timeout.is_zero() {
            return Err("breaker.probe_timeout must be above zero, or half-open admits everybody".into());
        }
        if !(1..=7).contains(&self.successes) {
            return Err(format!("breaker.successes is {}, and must be 1 to 7", self.successes));
        }
        Ok(())
    }
}

/// A breaker over one endpoint. Clones share it.
///
/// ```
/// use burgeon_resilience::breaker::{Breaker, Config, State};
/// use burgeon_resilience::{Instant, Outcome};
///
/// let breaker = Breaker::new(Config::default());
/// let now = Instant::from_micros(1);
/// for random in 0..5 {
///     breaker.admit(now, random).unwrap().settle(now, Outcome::Fail);
/// }
/// assert_eq!(breaker.view(now).state, State::Open);
/// assert!(breaker.admit(now, 0).is_err());
/// ```
#[derive(Clone)]
pub struct Breaker(Arc<Inner>);

struct Inner {
    state: AtomicU64,
    in_a_row: AtomicU32,
    window: Window<10>,
    opened: AtomicU64,
    refused: AtomicU64,
    rules: Rules,
    config: Config,
}

/// A call that was let through. Settle it, or drop it to say that it was cancelled.
#[must_use = "a permit that is dropped counts as cancelled"]
pub struct Permit {
    breaker: Breaker,
    /// Of the state that admitted it.
    generation: u32,
    probe: bool,
    settled: bool,
    random: u64,
}

/// What a breaker does at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// All pass.
    Closed,
    /// Closed again: a growing share passes.
    Ramp,
    /// None pass; when the time is over, the next call is the probe.
    Open,
    /// One passes at a time.
    HalfOpen,
}

/// What a person sees of a breaker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct View {
    /// What it does.
    pub state: State,
    /// Until that changes by itself: the rest of the open time, of the ramp, or of the probe's time.
    pub until: Option<Duration>,
    /// Calls of the last ten seconds that were well.
    pub ok: u32,
    /// Calls of the last ten seconds that failed.
    pub fail: u32,
    /// Calls of the last ten seconds that were slow.
    pub slow: u32,
    /// Failures since the last answer.
    pub in_a_row: u32,
    /// How often it has opened.
    pub opened: u64,
    /// How many calls it has refused.
    pub refused: u64,
}

const OK: usize = 0;
const FAIL: usize = 1;
const SLOW: usize = 2;
/// So long a run of failures by chance is rarer than this.
const CHANCE: f64 = 1e-6;

impl Breaker {
    /// A closed breaker. Numbers that [`Config::validate`] refuses are bent to the nearest that work.
    pub fn new(config: Config) -> Self {
        Self(Arc::new(Inner {
            state: AtomicU64::new(Stage::START.pack()),
            in_a_row: AtomicU32::new(0),
            window: Window::new(1_000_000),
            opened: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            rules: Rules::of(&config),
            config,
        }))
    }

    /// Whether a call may go. `random` is any number, every one equally likely: it decides in the ramp, and jitters the open
    /// time if this call's failure is the one too many.
    ///
    /// # Errors
    /// [`Why::Breaker`], with the rest of the open time where it is known.
    pub fn admit(&self, now: Instant, random: u64) -> Result<Permit, Refused> {
        let inner = &*self.0;
        let mut word = inner.state.load(Ordering::Acquire);
        loop {
            let stage = Stage::unpack(word);
            match stage.admit(millis(now), random, &inner.rules) {
                Admission::Pass => return Ok(self.permit(stage, false, random)),
                Admission::Probe(next) => match inner.change(word, next) {
                    Ok(()) => return Ok(self.permit(next, true, random)),
                    Err(seen) => word = seen,
                },
                Admission::Refuse(until) => {
                    inner.refused.fetch_add(1, Ordering::Relaxed);
                    let after = until.map(|until| Instant::from_micros(until * 1_000).since(now));
                    return Err(Refused { why: Why::Breaker, after });
                }
            }
        }
    }

    /// What a person sees.
    pub fn view(&self, now: Instant) -> View {
        let inner = &*self.0;
        let moment = millis(now);
        let (state, until) = match Stage::unpack(inner.state.load(Ordering::Acquire)).phase {
            Phase::Closed { ramp_end, .. } if ramp_end <= moment => (State::Closed, 0),
            Phase::Closed { ramp_end, .. } => (State::Ramp, ramp_end),
            Phase::Open { until, .. } => (State::Open, until),
            Phase::HalfOpen { probe_until, .. } => (State::HalfOpen, probe_until),
        };
        let [ok, fail, slow] = inner.window.sum(now);
        View {
            state,
            until: (until > moment).then(|| Instant::from_micros(until * 1_000).since(now)),
            ok,
            fail,
            slow,
            in_a_row: inner.in_a_row.load(Ordering::Relaxed),
            opened: inner.opened.load(Ordering::Relaxed),
            refused: inner.refused.load(Ordering::Relaxed),
        }
    }

    fn permit(&self, stage: Stage, probe: bool, random: u64) -> Permit {
        Permit { breaker: self.clone(), generation: stage.generation, probe, settled: false, random }
    }
}

impl Permit {
    /// Says how the call ended. [`Outcome::Ignored`] counts as nothing; in half-open it lets another probe go.
    /// [`Outcome::Shed`] counts as nothing when closed, and fails a probe: who is busy is not ready for all.
    pub fn settle(mut self, now: Instant, outcome: Outcome) {
        self.settled = true;
        if self.probe {
            self.probed(
                millis(now),
                match outcome {
                    Outcome::Ok => Probed::Well,
                    Outcome::Fail | Outcome::Slow | Outcome::Shed => Probed::Ill,
                    Outcome::Ignored => Probed::Unknown,
                },
            );
        } else {
            self.counted(now, outcome);
        }
    }

    fn counted(&self, now: Instant, outcome: Outcome) {
        let inner = &*self.breaker.0;
        let word = inner.state.load(Ordering::Acquire);
        let stage = Stage::unpack(word);
        if stage.generation != self.generation {
            return;
        }
        match outcome {
            Outcome::Shed | Outcome::Ignored => return,
            Outcome::Ok | Outcome::Slow => {
                inner.window.add(now, if outcome == Outcome::Ok { OK } else { SLOW });
                // A store by every call would take the line from every other core.
                if inner.in_a_row.load(Ordering::Relaxed) != 0 {
                    inner.in_a_row.store(0, Ordering::Relaxed);
                }
            }
            Outcome::Fail => {
                inner.window.add(now, FAIL);
                inner.in_a_row.fetch_add(1, Ordering::Relaxed);
            }
        }
        if outcome != Outcome::Ok
            && inner.is_ill(now)
            && let Some(open) = stage.trip(millis(now), self.random, &inner.rules)
            // Somebody else's failure was the one too many.
            && inner.change(word, open).is_ok()
        {
            inner.opened.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn probed(&self, now: u64, how: Probed) {
        let inner = &*self.breaker.0;
        let mut word = inner.state.load(Ordering::Acquire);
        loop {
            let stage = Stage::unpack(word);
            // Given up as lost meanwhile, or never closed: not ours to judge any more.
            if stage.generation != self.generation {
                return;
            }
            let Some(next) = stage.probed(how, now, self.random, &inner.rules) else { return };
            if matches!(next.phase, Phase::Closed { .. }) {
                // Before it closes: half-open, nobody counts.
                inner.window.clear();
                inner.in_a_row.store(0, Ordering::Relaxed);
            }
            match inner.change(word, next) {
                Ok(()) => {
                    if matches!(next.phase, Phase::Open { .. }) {
                        inner.opened.fetch_add(1, Ordering::Relaxed);
                    }
                    return;
                }
                Err(seen) => word = seen,
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.probe && !self.settled {
            self.probed(0, Probed::Unknown);
        }
    }
}

impl Inner {
    fn change(&self, from: u64, to: Stage) -> Result<(), u64> {
        self.state.compare_exchange(from, to.pack(), Ordering::AcqRel, Ordering::Acquire).map(drop)
    }

    fn is_ill(&self, now: Instant) -> bool {
        let config = &self.config;
        let [ok, fail, slow] = self.window.sum(now);
        let calls = ok + fail + slow;
        let enough = calls >= config.calls.max(1);
        enough && (share(fail, calls) >= config.fail_share || share(slow, calls) >= config.slow_share)
            || self.is_a_run(now, fail, calls)
    }

    fn is_a_run(&self, now: Instant, fail: u32, calls: u32) -> bool {
        let run = self.in_a_row.load(Ordering::Relaxed);
        if self.config.consecutive == 0 || run < self.config.consecutive {
            return false;
        }
        let [ok, recent, slow] = self.window.latest(now, 2);
        let before = share(fail.saturating_sub(run), calls.saturating_sub(run));
        recent * 2 >= ok + recent + slow && before.powi(run.min(1_000) as i32) <= CHANCE
    }
}

fn share(part: u32, whole: u32) -> f64 {
    f64::from(part) / f64::from(whole.max(1))
}

fn millis(now: Instant) -> u64 {
    now.as_micros() / 1_000
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = Stage::unpack(self.0.state.load(Ordering::Relaxed));
        f.debug_struct("Breaker").field("stage", &stage).finish_non_exhaustive()
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("generation", &self.generation).field("probe", &self.probe).finish()
    }
}
