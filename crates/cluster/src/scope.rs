//! Scope: how far what a primitive knows reaches.

use std::fmt;

use serde::Serialize;

/// How far a stateful primitive reaches, as it is configured.
///
/// With a second node a primitive that is [`Local`](Scope::Local) and should be [`Cluster`](Scope::Cluster) silently means
/// something else: a limit doubles, a cache disagrees with its neighbour. So each declares what it is, and a node on which
/// one would be wrong does not start beside others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// This process alone.
    Local,
    /// All nodes of the application.
    Cluster,
}

impl Scope {
    /// `local` or `cluster`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Cluster => "cluster",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
