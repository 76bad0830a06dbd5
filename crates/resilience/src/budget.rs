//! How many more requests than its own a caller may send: one budget for retries and hedges.
//!
//! ```text
//!  request  --- deposit: 0.1 of a token, lives 10 s ---->  +--------+
//!                                                          | tokens |  --- 1 per retry or hedge --->  sent
//!  floor: 3 a second are free  ------------------------->  +--------+
//!                              and only while extras in flight <= max(3, 20 % of requests in flight)
//! ```
//!
//! What this is: Finagle's retry budget (tokens with a time to live and a floor) together with Envoy's cap on retries in
//! flight: the first bounds what is sent over seconds, the second what piles up when answers stop coming. What it is not: a
//! decision whether a retry is allowed or wise; that is [`retry`](crate::retry).
//!
//! Why: a service at 75 % of its capacity that is hit by a short spike never recovers when every caller tries three times; with 10 %
//! it does (the simulator shows both). One budget per upstream and process, shared by everybody who sends there.
//!
//! # Invariants
//! - In any ten seconds, extras sent are at most `ratio` of the requests of those seconds plus `floor` a second. Exact, but for
//!   calls that race each other over the border of a second: one more per thread.
//! - Extras in flight never exceed `max(in_flight_floor, in_flight_share * requests in flight)`.
//!
//! # When not to use it
//! For work that must be done whatever it costs (a job's attempts): that is bounded by its schedule, not by its neighbours.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::sync::atomic::{AtomicU64, Ordering};
use crate::window::Window;
use crate::{Instant, Refused, Why};

/// The numbers of a budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Tokens per request, 0 to 1. Default 0.1: at worst 1.1 times the load. Finagle has 0.2, SRE and AWS advise 0.1.
    pub ratio: f64,

    /// Extras per second that are free, for callers with little traffic. Default 3\* per process; Finagle has 10, which is too
    /// much for many small clients.
    pub floor: u32,

    /// Extras in flight that are always allowed. Default 3, as Envoy.
    pub in_flight_floor: u32,

    /// Extras in flight as a share of requests in flight. Default 0.2, as Envoy.
    pub in_flight_share: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { ratio: 0.1, floor: 3, in_flight_floor: 3, in_flight_share: 0.2 }
    }
}

impl Config {
    /// What is wrong with these numbers, if something is.
    ///
    /// # Errors
    /// A sentence that names the field.
    pub fn validate(&self) -> Result<(), String> {
        for (name, share) in [("ratio", self.ratio), ("in_flight_share", self.in_flight_share)] {
            if !(0.0..=1.0).contains(&share) {
                return Err(format!("budget.{name} is {share}, and must be 0 to 1"));
            }
        }
        Ok(())
    }
}

/// The budget of one upstream. Clones share it.
///
/// ```
/// use burgeon_resilience::{Instant, budget::{Budget, Config}};
///
/// let budget = Budget::new(Config { floor: 0, ..Config::default() });
/// let now = Instant::from_micros(0);
/// let requests: Vec<_> = (0..10).map(|_| budget.deposit(now)).collect();
/// let retry = budget.withdraw(now).unwrap();
/// assert!(budget.withdraw(now).is_err());
/// # drop((requests, retry));
/// ```
#[derive(Clone)]
pub struct Budget(Arc<Inner>);

struct Inner {
    window: Window<10>,
    /// Requests in the low half, extras in the high half: one word, so that the cap is never overrun.
    in_flight: AtomicU64,
    refused: AtomicU64,
    ratio_millis: u64,
    share_millis: u64,
    config: Config,
}

/// A request in flight, with all its tries. Dropped when the caller has its answer.
#[derive(Debug)]
#[must_use = "the request counts as in flight until this is dropped"]
pub struct Deposit(Budget);

/// A retry or hedge in flight. Dropped when it ended.
#[derive(Debug)]
#[must_use = "the extra counts as in flight until this is dropped"]
pub struct Withdrawal(Budget);

/// What a person sees of a budget.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct View {
    /// Requests of the last ten seconds.
    pub requests: u32,
    /// Retries and hedges of the last ten seconds.
    pub extras: u32,
    /// Tokens left.
    pub tokens: f64,
    /// Requests in flight.
    pub in_flight: u32,
    /// Retries and hedges in flight.
    pub extras_in_flight: u32,
    /// Retries and hedges that were not sent for want of a token or a place, since the start.
    pub refused: u64,
}

const REQUESTS: usize = 0;
const PAID: usize = 1;
const FREE: usize = 2;
const EXTRA: u64 = 1 << 32;

impl Budget {
    /// A budget without tokens.
    pub fn new(config: Config) -> Self {
        let millis = |share: f64| (share.clamp(0.0, 1.0) * 1_000.0).round() as u64;
        Self(Arc::new(Inner {
            window: Window::new(1_000_000),
            in_flight: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            ratio_millis: millis(config.ratio),
            share_millis: millis(config.in_flight_share),
            config,
        }))
    }

    /// A request begins: its share of a token is paid in, and it is in flight until the deposit is dropped.
    pub fn deposit(&self, now: Instant) -> Deposit {
        self.0.window.add(now, REQUESTS);
        self.0.in_flight.fetch_add(1, Ordering::Relaxed);
        Deposit(self.clone())
    }

    /// Asks for one retry or hedge.
    ///
    /// # Errors
    /// [`Why::Budget`] when no token is left, or too many extras are in flight.
    pub fn withdraw(&self, now: Instant) -> Result<Withdrawal, Refused> {
        let inner = &*self.0;
        if !inner.enter() {
            return Err(self.refuse());
        }
        // From here on the place is given back by drop.
        let withdrawal = Withdrawal(self.clone());
        let free = |slot: [u32; 3], _| slot[FREE] < inner.config.floor;
        let paid = |_, sum: [u32; 3]| {
            (u64::from(sum[PAID]) + 1) * 1_000 <= u64::from(sum[REQUESTS]) * inner.ratio_millis
        };
        if inner.window.add_if(now, FREE, free) || inner.window.add_if(now, PAID, paid) {
            Ok(withdrawal)
        } else {
            Err(self.refuse())
        }
    }

    /// What a person sees.
    pub fn view(&self, now: Instant) -> View {
        let [requests, paid, free] = self.0.window.sum(now);
        let in_flight = self.0.in_flight.load(Ordering::Relaxed);
        View {
            requests,
            extras: paid + free,
            tokens: (f64::from(requests) * self.0.ratio_millis as f64 / 1_000.0 - f64::from(paid)).max(0.0),
            in_flight: in_flight as u32,
            extras_in_flight: (in_flight >> 32) as u32,
            refused: self.0.refused.load(Ordering::Relaxed),
        }
    }

    fn refuse(&self) -> Refused {
        self.0.refused.fetch_add(1, Ordering::Relaxed);
        Refused::new(Why::Budget)
    }
}

impl Inner {
    /// Takes a place among the extras in flight, if there is one.
    fn enter(&self) -> bool {
        let mut word = self.in_flight.load(Ordering::Relaxed);
        loop {
            let (requests, extras) = (word & (EXTRA - 1), word >> 32);
            let most = u64::from(self.config.in_flight_floor).max(requests * self.share_millis / 1_000);
            if extras >= most {
                return false;
            }
            let next = word + EXTRA;
            match self.in_flight.compare_exchange_weak(word, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(seen) => word = seen,
            }
        }
    }
}

impl Drop for Deposit {
    fn drop(&mut self) {
        self.0.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Withdrawal {
    fn drop(&mut self) {
        self.0.0.in_flight.fetch_sub(EXTRA, Ordering::Relaxed);
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("config", &self.0.config).finish_non_exhaustive()
    }
}
