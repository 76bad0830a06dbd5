//! The numbers of the second tier.

use std::time::Duration;

use burgeon_core::units::{self, Size};
use serde::{Deserialize, Serialize};

use crate::wire::Format;

/// Which store is the second tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// None: values live in the memory of each process alone.
    #[default]
    None,
    /// Tables in the application's own database. Nothing more to run; what it saves is the loading, not the asking.
    Database,
    /// Redis.
    Redis,
}

/// The second tier, which all nodes share. A cache takes part in it when it says [`Named::far`](crate::Named::far).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `none`, `database` or `redis`. Default `none`.
    pub store: Which,
    /// How values are written: `postcard` or `json`. Default `postcard`: short and fast. Take `json` where other programs read
    /// along, or for types that postcard cannot take (flattened, untagged, fields left out).
    pub format: Format,
    /// Values above this size are compressed (deflate, fastest). Default 1 KiB: below that it costs more than it saves.
    pub compress_above: Size,
    /// The largest value that is stored, before compression. Default 1 MiB. What is larger lives in memory alone, and is counted.
    pub payload_limit: Size,
    /// How long the second tier may take to answer while a stale value is at hand. Default 50 ms. Answers that take longer count as slow
    /// for the breaker.
    #[serde(with = "units::duration")]
    pub soft_timeout: Duration,
    /// How long it may take in any case: a read, a write, an invalidation that somebody waits for. Default 250 ms. After that the
    /// value is loaded as if there were no second tier.
    #[serde(with = "units::duration")]
    pub hard_timeout: Duration,
    /// How many loads of all caches may run at once while the second tier does not answer. Default 32: what it held back must not
    /// fall upon the database all at once. Beyond, stale values are served, and who has none waits for `wait_when_down`.
    pub loads_when_down: usize,
    /// How long a load waits for one of those places before it is refused. Default 1 s. At most 1,024 wait.
    #[serde(with = "units::duration")]
    pub wait_when_down: Duration,
    /// How many invalidations that the second tier has not confirmed are remembered, for each cache. Default 1,024; beyond, all of
    /// the cache is invalidated there instead.
    pub recovery: usize,
    /// How often they are tried again. Default 2 s.
    #[serde(with = "units::duration")]
    pub retry: Duration,
    /// The most that is kept in the database, all caches together. Default 256 MiB; beyond, what was stored longest ago leaves. Redis
    /// has its own `maxmemory`.
    pub size: Size,
    /// How often expired rows are removed from the database. Default 30 s.
    #[serde(with = "units::duration")]
    pub sweep: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            store: Which::None,
            format: Format::Postcard,
            compress_above: Size::kib(1),
            payload_limit: Size::mib(1),
            soft_timeout: Duration::from_millis(50),
            hard_timeout: Duration::from_millis(250),
            loads_when_down: 32,
            wait_when_down: Duration::from_secs(1),
            recovery: 1_024,
            retry: Duration::from_secs(2),
            size: Size::mib(256),
            sweep: Duration::from_secs(30),
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
            ("soft_timeout", self.soft_timeout),
            ("hard_timeout", self.hard_timeout),
            ("retry", self.retry),
            ("sweep", self.sweep),
        ];
        if let Some((name, _)) = positive.into_iter().find(|(_, value)| value.is_zero()) {
            return Err(format!("cache.far.{name} must be longer than zero"));
        }
        if self.soft_timeout > self.hard_timeout {
            return Err("cache.far.soft_timeout must not exceed cache.far.hard_timeout".to_owned());
        }
        if self.loads_when_down == 0 {
            return Err("cache.far.loads_when_down must be at least 1".to_owned());
        }
        if self.recovery == 0 {
            return Err("cache.far.recovery must be at least 1".to_owned());
        }
        if self.payload_limit > Size::mib(64) {
            return Err(
                "cache.far.payload_limit is above 64 MiB: such values belong into a file store".to_owned()
            );
        }
        if self.size < self.payload_limit {
            return Err("cache.far.size must hold one value of cache.far.payload_limit".to_owned());
        }
        Ok(())
    }
}
