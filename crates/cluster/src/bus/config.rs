//! How often a node is heard, and how much it holds back while nobody hears it.

use std::time::Duration;

use burgeon_core::units;
use serde::{Deserialize, Serialize};

/// Settings of the [`Bus`](super::Bus).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How often a node says that it is there, and how far it has come. Default 1 s. A link that is dead, and a node
    /// that is silent, are noticed after three of these; all nodes must have the same.
    #[serde(with = "units::duration")]
    pub heartbeat: Duration,
    /// How many messages wait for the link. Default 4096; beyond that the oldest is dropped, which the other nodes
    /// notice as a gap.
    pub outbox: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { heartbeat: Duration::from_secs(1), outbox: 4_096 }
    }
}

impl Config {
    /// Whether the settings make sense.
    ///
    /// # Errors
    /// A sentence that names the key and the remedy.
    pub fn validate(&self) -> Result<(), String> {
        if self.heartbeat < Duration::from_millis(10) {
            return Err(
                "`cluster.bus.heartbeat` is below 10ms, so nodes would do little else; write 1s".to_owned()
            );
        }
        if self.outbox == 0 {
            return Err(
                "`cluster.bus.outbox` is 0, so nothing could ever be said; write 1 or more".to_owned()
            );
        }
        Ok(())
    }

    /// After so long without a heartbeat somebody is silent.
    pub(super) fn silence(&self) -> Duration {
        self.heartbeat * 3
    }
}
