//! How reads are spread over a primary and its replicas.

use std::time::Duration;

use burgeon_core::units::{self, Size};
use serde::{Deserialize, Serialize};

/// Settings of the routing between servers. They count where there is more than one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Routing {
    /// How long a read may wait for a replica to come as far as its caller has seen, before it goes to the primary.
    /// Default 50 ms: longer than a healthy replica is behind, shorter than a person notices. Zero asks at once.
    #[serde(with = "units::duration")]
    pub wait: Duration,
    /// A replica that is further behind than this for three checks is not asked until it has caught up. Default 8 MiB.
    pub max_lag_bytes: Size,
    /// The same in time. Default 10 s. On an idle primary nobody lags.
    #[serde(with = "units::duration")]
    pub max_lag: Duration,
    /// How often every server is asked who it is and how far it has come. Default 1 s; sooner when something broke.
    #[serde(with = "units::duration")]
    pub check: Duration,
    /// How many reads that no replica can answer may run on the primary at once, for each process. Default 0: as many
    /// as `database.postgres.max_connections`. Others wait, the critical first, and are refused with 503 when waiting
    /// is in vain, so that a fleet of lagging replicas cannot take the primary down with it.
    pub fallback: usize,
    /// How long a replica that comes back takes to its full share. Default 10 s: its caches are cold.
    #[serde(with = "units::duration")]
    pub slow_start: Duration,
}

impl Default for Routing {
    fn default() -> Self {
        Self {
            wait: Duration::from_millis(50),
            max_lag_bytes: Size::mib(8),
            max_lag: Duration::from_secs(10),
            check: Duration::from_secs(1),
            fallback: 0,
            slow_start: Duration::from_secs(10),
        }
    }
}

impl Routing {
    /// Whether the settings make sense.
    ///
    /// # Errors
    /// A sentence that names the key and the remedy.
    pub fn validate(&self) -> Result<(), String> {
        if self.check < Duration::from_millis(50) || self.check > Duration::from_secs(60) {
            return Err("`database.routing.check` must be between 50ms and 1m; 1s serves well".to_owned());
        }
        if self.wait > Duration::from_secs(1) {
            return Err(
                "`database.routing.wait` is above 1s; a read that waits longer than 50ms for a replica is \
                        better answered by the primary"
                    .to_owned(),
            );
        }
        if self.max_lag.is_zero() {
            return Err("`database.routing.max_lag` is 0, which no replica can keep; write 10s".to_owned());
        }
        Ok(())
    }
}
