//! Rate limits: so many per period and key, with a burst, without a timer and without a queue.
//!
//! ```text
//!  tat: the moment at which this key's allowance is whole again          T = per / limit     tau = burst * T
//!
//!        now                tat              now + tau
//!  -------+------------------+-------------------+-------> time
//!         |<---- used ------>|<---- remaining -->|           a request moves tat by T; past now + tau it is refused
//! ```
//!
//! What this is: the generic cell rate algorithm (ITU-T I.371, 1996), which needs one number per key, over a table of fixed size.
//! What it is not: shared between nodes; what must hold for a cluster is kept by the cluster. The limit is a promise about rates, not
//! about how many run at once: for that there is the [bulkhead](crate::bulkhead).
//!
//! # Invariants
//! - In any time `t` a key gets at most `burst + t * limit / per`.
//! - A refusal changes nothing: who is refused does not wait longer for having asked.
//! - Memory never grows: [`Config::keys`] places of 18 bytes. A key that is whole again gives up its place and loses nothing by it. Only
//!   when all seven places that a key may have are taken by keys in use is the one nearest to whole forgotten, and may burst once more;
//!   [`View::forgotten`] counts that.
//!
//! # When not to use it
//! Against overload: a rate says nothing about what the service can bear today.

mod gcra;
mod table;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::gcra::Rule;
use self::table::Table;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::{Instant, Refused, Why};

/// How much of what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Requests per [`per`](Self::per). Default 100.
    pub limit: u32,

    /// The period. Default `60s`.
    #[serde(with = "burgeon_core::units::duration")]
    pub per: Duration,

    /// Requests at once, after a pause. Default 0: as many as the limit.
    pub burst: u32,

    /// Keys that are known at the same time. Default 65,536, 1.2 MB. Rounded up to a multiple of 7.
    pub keys: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { limit: 100, per: Duration::from_secs(60), burst: 0, keys: 65_536 }
    }
}

impl Config {
    /// What is wrong with these numbers, if something is.
    ///
    /// # Errors
    /// A sentence that names the field.
    pub fn validate(&self) -> Result<(), String> {
        if self.limit == 0 {
            return Err("rate.limit must be at least 1: a limit of nothing is a missing route".into());
        }
        if self.per.is_zero() || self.per > Duration::from_secs(366 * 24 * 3600) {
            return Err(format!("rate.per is {:?}, and must be above zero and at most a year", self.per));
        }
        if self.per.as_nanos() < u128::from(self.limit) {
            return Err("rate.limit is more than one per nanosecond".into());
        }
        if !(1..=1 << 28).contains(&self.keys) {
            return Err(format!("rate.keys is {}, and must be 1 to 268,435,456", self.keys));
        }
        Ok(())
    }
}

/// One limit over many keys. Clones share it.
///
/// ```
/// use std::time::Duration;
/// use burgeon_resilience::{Instant, rate::{Config, Limiter}};
///
/// let limiter = Limiter::new(Config { limit: 2, per: Duration::from_secs(1), ..Config::default() });
/// let now = Instant::from_micros(0);
/// assert_eq!(limiter.admit(now, 7, 1).unwrap().remaining, 1);
/// assert_eq!(limiter.admit(now, 7, 1).unwrap().remaining, 0);
/// let refused = limiter.admit(now, 7, 1).unwrap_err();
/// assert_eq!(refused.after, Some(Duration::from_millis(500)));
/// ```
#[derive(Clone)]
pub struct Limiter(Arc<Inner>);

struct Inner {
    rule: Rule,
    table: Table,
    refused: AtomicU64,
    config: Config,
}

/// What a key has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// How many more it may send at once.
    pub remaining: u32,
    /// After how long its allowance is whole again.
    pub reset: Duration,
}

/// What a person sees of a limiter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct View {
    /// Keys whose allowance is not whole. Read by walking the table.
    pub keys: usize,
    /// Keys that fit.
    pub capacity: usize,
    /// Requests refused since the start.
    pub refused: u64,
    /// Keys forgotten while in use, for want of room, since the start. Above zero: raise [`Config::keys`].
    pub forgotten: u64,
}

impl Limiter {
    /// A limiter that has seen nobody. Numbers that [`Config::validate`] refuses are bent to the nearest that work.
    pub fn new(config: Config) -> Self {
        let burst = if config.burst == 0 { config.limit } else { config.burst };
        Self(Arc::new(Inner {
            rule: Rule::new(config.limit, config.per, burst),
            table: Table::new(config.keys),
            refused: AtomicU64::new(0),
            config,
        }))
    }

    /// Whether `key` may send a request that costs as much as `cost` ordinary ones. The key is a hash of whoever is limited, keyed
    /// ([`std::hash::RandomState`]) so that nobody can choose to collide with somebody else.
    ///
    /// # Errors
    /// [`Why::Rate`], with the time after which exactly this request is admitted; without it when the cost is above the burst.
    pub fn admit(&self, now: Instant, key: u64, cost: u32) -> Result<Allowed, Refused> {
        self.0.table.admit(&self.0.rule, gcra::nanos(now), key, cost).map_err(|after| {
            self.0.refused.fetch_add(1, Ordering::Relaxed);
            Refused { why: Why::Rate, after }
        })
    }

    /// What a person sees.
    pub fn view(&self, now: Instant) -> View {
        View {
            keys: self.0.table.in_use(gcra::nanos(now)),
            capacity: self.0.table.capacity(),
            refused: self.0.refused.load(Ordering::Relaxed),
            forgotten: self.0.table.forgotten(),
        }
    }
}

/// One limit over everything: for what has no key. Clones share it.
#[derive(Clone)]
pub struct Single(Arc<(Rule, AtomicU64)>);

impl Single {
    /// A limiter that has seen nothing. [`Config::keys`] means nothing here.
    pub fn new(config: &Config) -> Self {
        let burst = if config.burst == 0 { config.limit } else { config.burst };
        Self(Arc::new((Rule::new(config.limit, config.per, burst), AtomicU64::new(0))))
    }

    /// As [`Limiter::admit`].
    ///
    /// # Errors
    /// As [`Limiter::admit`].
    pub fn admit(&self, now: Instant, cost: u32) -> Result<Allowed, Refused> {
        let (rule, tat) = &*self.0;
        let now = gcra::nanos(now);
        let mut seen = tat.load(Ordering::Relaxed);
        loop {
            let (next, allowed) =
                rule.next(seen, now, cost).map_err(|after| Refused { why: Why::Rate, after })?;
            match tat.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(allowed),
                Err(changed) => seen = changed,
            }
        }
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter").field("config", &self.0.config).finish_non_exhaustive()
    }
}

impl fmt::Debug for Single {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Single").field("rule", &self.0.0).finish_non_exhaustive()
    }
}
