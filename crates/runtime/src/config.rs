//! How long starting and stopping may take.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Bounds of a [`Lifecycle`](crate::Lifecycle).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long one service may take until it says that it is ready. Default `60s`: enough for a cold database and a
    /// few migrations, short enough that a rollout notices. Afterwards the process stops and names the service.
    #[serde(with = "burgeon_core::units::duration")]
    pub start_timeout: Duration,

    /// How long all services together may take to drain. Default `30s`. What still runs then is aborted and named,
    /// and what is left to stop gets two more seconds each. The supervisor outside must wait longer than this before
    /// it kills: `terminationGracePeriodSeconds` (Kubernetes, 30 by default), `TimeoutStopSec` (systemd).
    #[serde(with = "burgeon_core::units::duration")]
    pub drain_timeout: Duration,

    /// How long the process goes on serving after it has said that it is not ready, so that load balancers stop
    /// sending before it stops accepting. Default `0s`, right for one machine; behind a balancer that polls, use one
    /// or two of its polling intervals (Kubernetes: `5s`). It comes before `drain_timeout` and is skipped when the
    /// process stops because a service died.
    #[serde(with = "burgeon_core::units::duration")]
    pub drain_delay: Duration,

    /// How many blocking closures run at once ([`Tasks::blocking`](crate::Tasks::blocking)). Default 64: they are
    /// for short system calls and password hashing; more threads only add switching.
    pub blocking_threads: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            start_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(30),
            drain_delay: Duration::ZERO,
            blocking_threads: 64,
        }
    }
}

impl Config {
    /// Whether the values make sense together.
    ///
    /// # Errors
    /// A sentence that names the key and the remedy.
    pub fn validate(&self) -> Result<(), String> {
        if self.start_timeout.is_zero() {
            return Err(
                "`start_timeout` is 0: no service could ever become ready; write for example \"60s\"".into(),
            );
        }
        if self.blocking_threads == 0 || self.blocking_threads > 500 {
            return Err(format!(
                "`blocking_threads` is {}: write a number between 1 and 500 (the runtime has 512 such threads)",
                self.blocking_threads
            ));
        }
        Ok(())
    }
}
