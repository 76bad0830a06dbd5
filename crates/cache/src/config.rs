//! What holds for every cache unless it says otherwise.

use std::time::Duration;

use burgeon_core::units::{self, Size};
use serde::{Deserialize, Serialize};

use crate::far;

/// Defaults of the caches of an application; each named cache may change its own copy.
///
/// The safe settings are the defaults: stale instead of down, jitter, every load bounded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether anything is cached at all. Default `true`. Without, every read runs its loader, nothing is kept and nothing
    /// shared: for measuring what the caches are worth, and for finding out whether one is to blame.
    pub enabled: bool,
    /// How many entries a cache holds that is not given bytes. Default 10,000; beyond, the least useful leave.
    pub entries: u64,
    /// How long a value is fresh. Default 30 s. A cache, or a loader for its value, may say otherwise.
    #[serde(with = "units::duration")]
    pub ttl: Duration,
    /// By which part lifetimes vary at random, either way. Default 0.05, so that what was stored together does not expire
    /// together. 0 is off; at most 0.5.
    pub jitter: f64,
    /// How long "not found" is believed, at most as long as `ttl`. Default 60 s.
    #[serde(with = "units::duration")]
    pub negative_ttl: Duration,
    /// How long a value is kept beyond its freshness, to be served when it cannot be loaded. Default 1 day; zero is off: choose that
    /// for permissions and logins.
    #[serde(with = "units::duration")]
    pub stale_max: Duration,
    /// After a failed load the stale value counts as fresh for this long, so that an origin in trouble is asked once per
    /// throttle and not once per request. Default 30 s.
    #[serde(with = "units::duration")]
    pub throttle: Duration,
    /// How long after its freshness a value is still served at once while one load goes on behind it. Default 0: callers
    /// wait for the new value (up to `soft_timeout`).
    #[serde(with = "units::duration")]
    pub revalidate: Duration,
    /// How long a refresh that nobody waits for waits for others, to be one load with them, of a hundred keys at most. Default 10 ms,
    /// and never more than a tenth of `ttl`; 0 is off. Only where the loader takes many keys; an early refresh is begun earlier by as
    /// much.
    #[serde(with = "units::duration")]
    pub gather: Duration,
    /// From which part of its life on a value may be refreshed early, so that nobody waits when it expires. Default
    /// 0.8; 1 is off. When within that part is decided by XFetch (Vattani, Chierichetti, Lowenstein, VLDB 2015), earlier by the time
    /// that the last load took.
    pub eager: f64,
    /// XFetch's haste: above 1 earlier, below later. Default 1.
    pub beta: f64,
    /// A caller with a stale value at hand waits for a load at most this long, and at most a quarter of its remaining
    /// time; then it takes the stale one and the load goes on. Default 500 ms.
    #[serde(with = "units::duration")]
    pub soft_timeout: Duration,
    /// The longest that a load may take. Default 10 s; a caller's own deadline may end its wait earlier.
    #[serde(with = "units::duration")]
    pub load_timeout: Duration,
    /// Whether a load is brought to its end when nobody waits for it any more. Default `true`: its value is as good.
    pub background_completion: bool,
    /// The largest weight that is stored, in caches measured in bytes. Default 1 MiB. What is larger is served, counted, and
    /// not kept.
    pub payload_limit: Size,
    /// Counters that invalidations of keys are told by; a power of two. Default 4,096 (128 KiB). Keys that share one cost each other
    /// a load now and then, never a stale value.
    pub stripes: usize,
    /// How old a value may be that is served while this node does not hear every other. Default 5 s. The state of the
    /// news says when that is ([`News::Aging`](crate::News::Aging)).
    #[serde(with = "units::duration")]
    pub age_unheard: Duration,
    /// How long a reader waits for the news of what it has itself changed on another node. Default 20 ms; then it
    /// loads.
    #[serde(with = "units::duration")]
    pub own_write_wait: Duration,
    /// Whether what a transaction invalidates is also written down in it, so that the other nodes learn of it though
    /// this process dies right after the commit. Default `false`: then they find out by this node's silence, and serve nothing older
    /// than `age_unheard`. It costs a row per invalidation.
    pub durable: bool,
    /// The second tier.
    pub far: far::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            entries: 10_000,
            ttl: Duration::from_secs(30),
            jitter: 0.05,
            negative_ttl: Duration::from_secs(60),
            stale_max: Duration::from_secs(24 * 60 * 60),
            throttle: Duration::from_secs(30),
            revalidate: Duration::ZERO,
            gather: Duration::from_millis(10),
            eager: 0.8,
            beta: 1.0,
            soft_timeout: Duration::from_millis(500),
            load_timeout: Duration::from_secs(10),
            background_completion: true,
            payload_limit: Size::mib(1),
            stripes: 4_096,
            age_unheard: Duration::from_secs(5),
            own_write_wait: Duration::from_millis(20),
            durable: false,
            far: far::Config::default(),
        }
    }
}

impl Config {
    /// Whether it makes sense.
    ///
    /// # Errors
    /// A sentence that names the setting.
    pub fn validate(&self) -> Result<(), String> {
        let positive = [
            ("ttl", self.ttl),
            ("load_timeout", self.load_timeout),
            ("throttle", self.throttle),
            ("age_unheard", self.age_unheard),
        ];
        if let Some((name, _)) = positive.into_iter().find(|(_, value)| value.is_zero()) {
            return Err(format!("cache.{name} must be longer than zero"));
        }
        if self.gather > self.load_timeout {
            return Err("cache.gather must not exceed cache.load_timeout".to_owned());
        }
        if self.entries == 0 {
            return Err("cache.entries must be at least 1".to_owned());
        }
        if !(0.0..=0.5).contains(&self.jitter) {
            return Err("cache.jitter is a part between 0 and 0.5".to_owned());
        }
        if !(self.eager > 0.0 && self.eager <= 1.0) {
            return Err("cache.eager is a part of the lifetime above 0; 1 is off".to_owned());
        }
        if !(self.beta > 0.0 && self.beta.is_finite()) {
            return Err("cache.beta must be above 0; 1 is usual".to_owned());
        }
        if !self.stripes.is_power_of_two() {
            return Err("cache.stripes must be a power of two".to_owned());
        }
        if !self.stale_max.is_zero() && self.revalidate > self.stale_max {
            return Err(
                "cache.revalidate must not exceed cache.stale_max, which values are kept for".to_owned()
            );
        }
        if self.stale_max.is_zero() && !self.revalidate.is_zero() {
            return Err("cache.revalidate serves stale values, which cache.stale_max = 0 forbids".to_owned());
        }
        self.far.validate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_make_sense_and_nonsense_is_named() {
        assert_eq!(Config::default().validate(), Ok(()));
        let refused = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.validate().unwrap_err()
        };
        assert!(refused(|config| config.ttl = Duration::ZERO).contains("cache.ttl"));
        assert!(refused(|config| config.gather = 2 * config.load_timeout).contains("cache.gather"));
        assert!(refused(|config| config.jitter = 0.9).contains("cache.jitter"));
        assert!(refused(|config| config.eager = 0.0).contains("cache.eager"));
        assert!(refused(|config| config.beta = f64::NAN).contains("cache.beta"));
        assert!(refused(|config| config.stripes = 100).contains("cache.stripes"));
        assert!(refused(|config| config.entries = 0).contains("cache.entries"));
        assert!(
            refused(|config| (config.stale_max, config.revalidate) = (Duration::ZERO, Duration::from_secs(1)))
                .contains("cache.revalidate")
        );
    }
}
