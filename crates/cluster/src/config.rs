//! The section `[cluster]`: what this node is called, what carries its bus, and where shared limits are counted.

use serde::{Deserialize, Serialize};

use crate::{bus, limits};

/// Settings of what makes many nodes one application.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What people call this node: in the list of members and where one node speaks of another. Default empty: the host's
    /// name and the process's number. Need not be unique.
    pub name: String,
    /// What carries the bus between nodes: `auto`, `process`, `postgres`, `redis` (see `[redis]`), `nats` (see `[nats]`). Default `auto`: Postgres where that is the
    /// database, and the process itself on SQLite. The same on all nodes: one on another link than the members that live
    /// already does not start. With `process` a second node does not start if anything needs to hear of the other.
    pub link: Carrier,
    /// Where shared limits are counted: `database`, or `redis` (see `[redis]`), where a decision costs less and a restart may
    /// forget it. Default `database`. The same on all nodes that count any: one that would count elsewhere than the members
    /// that live already does not start. What happens while it does not answer, each limit says itself (`when_lost`).
    pub limits: limits::Place,
    /// How the bus is kept.
    pub bus: bus::Config,
}

/// What carries the bus.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Carrier {
    /// What suits the database.
    #[default]
    Auto,
    /// Memory: this process hears nobody else.
    Process,
    /// `listen` and `notify` of the application's own database.
    Postgres,
    /// Publish and subscribe of Redis.
    Redis,
    /// Publish and subscribe of NATS.
    Nats,
}

impl Config {
    /// Whether the settings make sense.
    ///
    /// # Errors
    /// A sentence that names the key and the remedy.
    pub fn validate(&self) -> Result<(), String> {
        self.bus.validate()
    }
}

impl Carrier {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Process => "process",
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Nats => "nats",
        }
    }
}
