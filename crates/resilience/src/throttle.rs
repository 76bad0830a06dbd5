//! The client throttle: send less to who answers less.
//!
//! ```text
//! chance to be refused here
//!  0.9 |               ________________     P = clamp((requests - K * accepted) / (requests + 1), 0, 0.9)
//!      |             /
//!      |           /                        K = 2: while half of what is sent is accepted, nothing is refused
//!    0 |_________/____________________
//!      1        0.5                  0   share that the other side accepts
//! ```
//!
//! What this is: the adaptive throttling of Google's SRE book (ch. 21, "Handling Overload"), per upstream. What it is not: a
//! breaker. It has no states, no half-open herd and no cliff: it refuses just so much that the other side gets about
//! twice what it accepts.
//!
//! # Invariants
//! - Nothing is refused before [`Config::floor`] requests were counted, nor while at least `1/K` of them are accepted.
//! - Somebody passes every second, whatever the chance says: who nobody asks cannot say that it is well again.
//! - What is refused here counts as a request that was not accepted; what is cancelled or ignored counts as nothing.
//!
//! # When not to use it
//! Per endpoint behind a balancer: there a [breaker](crate::breaker) lets the others take over.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::sync::atomic::{AtomicU64, Ordering};
use crate::time::micros;
use crate::window::Window;
use crate::{Instant, Outcome, Refused, Why, random};

/// The numbers of a throttle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How many times what is accepted may be sent. Default 2, as the SRE book: lower refuses earlier, and sees later that the
    /// other side is well again. go-zero has 1.5.
    pub multiplier: f64,

    /// Over how long it counts. Default `30s`\*; the SRE book has two minutes, which is long after an outage of seconds.
    #[serde(with = "burgeon_core::units::duration")]
    pub window: Duration,

    /// Requests in the window before anything is refused. Default 5, as go-zero.
    pub floor: u32,

    /// The highest chance of a refusal. Default 0.9, as failsafe-go.
    pub cap: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { multiplier: 2.0, window: Duration::from_secs(30), floor: 5, cap: 0.9 }
    }
}

impl Config {
    /// What is wrong with these numbers, if something is.
    ///
    /// # Errors
    /// A sentence that names the field.
    pub fn validate(&self) -> Result<(), String> {
        if self.multiplier.is_nan() || self.multiplier < 1.0 {
            return Err("throttle.multiplier must be at least 1, or what is accepted is refused too".into());
        }
        if !(0.0..=1.0).contains(&self.cap) {
            return Err(format!("throttle.cap is {}, and must be 0 to 1", self.cap));
        }
        if self.window < Duration::from_millis(10) {
            return Err("throttle.window must be at least 10ms".into());
        }
        Ok(())
    }
}

/// A throttle in front of one upstream. Clones share it.
///
/// ```
/// use burgeon_resilience::throttle::{Config, Throttle};
/// use burgeon_resilience::{Instant, Outcome};
///
/// let throttle = Throttle::new(Config::default());
/// let now = Instant::from_micros(1);
/// for _ in 0..100 {
///     throttle.admit(now, u64::MAX).unwrap().settle(now, Outcome::Fail);
/// }
/// assert_eq!(throttle.view(now).chance, 0.9);
/// ```
#[derive(Clone)]
pub struct Throttle(Arc<Inner>);

struct Inner {
    window: Window<10>,
    /// When somebody last passed against the chance, in microseconds.
    passed: AtomicU64,
    refused: AtomicU64,
    config: Config,
}

/// A request that may be sent. Settle it, or drop it to say that it was cancelled.
#[derive(Debug)]
#[must_use = "a permit that is dropped counts as cancelled"]
pub struct Permit(Throttle);

/// What a person sees of a throttle.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct View {
    /// Requests in the window, those refused here included.
    pub requests: u32,
    /// How many of them the other side accepted.
    pub accepted: u32,
    /// The chance that the next one is refused here.
    pub chance: f64,
    /// How many were refused here since the start.
    pub refused: u64,
}

const ACCEPTED: usize = 0;
const DECLINED: usize = 1;
const REFUSED: usize = 2;
/// How often somebody passes against the chance.
const PASS_EVERY: u64 = 1_000_000;

impl Throttle {
    /// A throttle that has seen nothing.
    pub fn new(config: Config) -> Self {
        Self(Arc::new(Inner {
            window: Window::new(micros(config.window) / 10),
            passed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            config,
        }))
    }

    /// Whether a request may be sent; `random` is any number, every one equally likely.
    ///
    /// # Errors
    /// [`Why::Throttle`]. When another try is admitted is a matter of chance, so it is not said.
    pub fn admit(&self, now: Instant, random: u64) -> Result<Permit, Refused> {
        let inner = &*self.0;
        let chance = inner.chance(inner.window.sum(now));
        if chance <= 0.0 || random::unit(random) >= chance || inner.passes(now) {
            return Ok(Permit(self.clone()));
        }
        inner.window.add(now, REFUSED);
        inner.refused.fetch_add(1, Ordering::Relaxed);
        Err(Refused::new(Why::Throttle))
    }

    /// What a person sees.
    pub fn view(&self, now: Instant) -> View {
        let counts = self.0.window.sum(now);
        View {
            requests: counts.iter().sum(),
            accepted: counts[ACCEPTED],
            chance: self.0.chance(counts),
            refused: self.0.refused.load(Ordering::Relaxed),
        }
    }
}

impl Inner {
    fn chance(&self, counts: [u32; 3]) -> f64 {
        let requests: u32 = counts.iter().sum();
        if requests < self.config.floor {
            return 0.0;
        }
        let surplus = f64::from(requests) - self.config.multiplier * f64::from(counts[ACCEPTED]);
        (surplus / (f64::from(requests) + 1.0)).max(0.0).min(self.config.cap)
    }

    /// Whether it is time for somebody to pass against the chance; true for one caller each second.
    fn passes(&self, now: Instant) -> bool {
        let last = self.passed.load(Ordering::Relaxed);
        now.as_micros().saturating_sub(last) >= PASS_EVERY
            && self
                .passed
                .compare_exchange(last, now.as_micros(), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

impl Permit {
    /// Says how it ended: [`Outcome::Ok`] and [`Outcome::Slow`] were accepted, [`Outcome::Fail`] and [`Outcome::Shed`] were not.
    pub fn settle(self, now: Instant, outcome: Outcome) {
        match outcome {
            Outcome::Ok | Outcome::Slow => self.0.0.window.add(now, ACCEPTED),
            Outcome::Fail | Outcome::Shed => self.0.0.window.add(now, DECLINED),
            Outcome::Ignored => {}
        }
    }
}

impl fmt::Debug for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Throttle").field("config", &self.0.config).finish_non_exhaustive()
    }
}
