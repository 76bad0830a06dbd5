//! The settings that only Postgres knows.

use std::time::Duration;

use burgeon_core::units;
use serde::{Deserialize, Serialize};

/// Settings of the Postgres engine.
///
/// The address, TLS and credentials are in `database.url`; `sslmode` is `disable`, `prefer` (the default: encrypted
/// where the server offers it), `require` (encrypted, to whomever) or `verify-full` (encrypted, to the right one),
/// `sslrootcert` the file of the authority that `verify-full` trusts, the system's where it is missing.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How many connections this process holds at most. Default 0: twice the cores and one more. All processes
    /// together should stay below the server's cores times two, or a little more; the server refuses beyond its
    /// `max_connections`.
    pub max_connections: usize,
    /// How long opening a connection may take, and how long the first one is tried at start. Default 5 s.
    #[serde(with = "units::duration")]
    pub connect_timeout: Duration,
    /// How long a statement may wait for a lock that another transaction holds. Default 10 s.
    #[serde(with = "units::duration")]
    pub lock_timeout: Duration,
    /// How long a transaction may hold its connection without a statement. Default 10 s; past it the server ends it.
    #[serde(with = "units::duration")]
    pub idle_in_transaction_timeout: Duration,
    /// After how much rest a connection is closed. Default 10 min.
    #[serde(with = "units::duration")]
    pub idle_timeout: Duration,
    /// After how long a connection is closed at the latest, less up to a fifth, so that not all end at once. Default
    /// 30 min: a server's memory for a connection only grows, and an address that moved is found.
    #[serde(with = "units::duration")]
    pub max_lifetime: Duration,
    /// How many statements each connection keeps prepared. Default 256; beyond, the least recently used one is
    /// forgotten.
    pub statements: usize,
    /// Whether each commit asks for its place in the write-ahead log, so that later reads can insist on it. Default
    /// off: nothing reads from replicas yet.
    pub causal_position: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_connections: 0,
            connect_timeout: Duration::from_secs(5),
            lock_timeout: Duration::from_secs(10),
            idle_in_transaction_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(600),
            max_lifetime: Duration::from_secs(1_800),
            statements: 256,
            causal_position: false,
        }
    }
}

impl Config {
    /// Whether the settings make sense.
    ///
    /// # Errors
    /// A sentence that names the key and the remedy.
    pub fn validate(&self) -> Result<(), String> {
        for (key, duration) in [
            ("connect_timeout", self.connect_timeout),
            ("lock_timeout", self.lock_timeout),
            ("idle_in_transaction_timeout", self.idle_in_transaction_timeout),
            ("idle_timeout", self.idle_timeout),
            ("max_lifetime", self.max_lifetime),
        ] {
            if duration.is_zero() {
                return Err(format!(
                    "`database.postgres.{key}` is 0, which leaves no time at all; write 1s or more"
                ));
            }
        }
        if self.max_connections > 1_000 {
            return Err(
                "`database.postgres.max_connections` is above 1000; a server does its best with about twice \
                        its cores (0 takes twice the cores of this machine)"
                    .to_owned(),
            );
        }
        if self.statements == 0 {
            return Err(
                "`database.postgres.statements` is 0, so every statement would be prepared each time; write \
                        1 or more"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// The number of connections, where 0 means by the machine.
    pub(super) fn connections(&self) -> usize {
        match self.max_connections {
            0 => std::thread::available_parallelism().map_or(1, usize::from) * 2 + 1,
            set => set,
        }
    }

    /// What is sent first on each connection. Names what the pool wants to know of the server, too.
    pub(super) fn greeting(&self, statement_timeout: Duration) -> String {
        format!(
            "set statement_timeout = {}; set lock_timeout = {}; set idle_in_transaction_session_timeout = {}; \
             set timezone = 'UTC'; select pg_is_in_recovery() as in_recovery",
            millis(statement_timeout),
            millis(self.lock_timeout),
            millis(self.idle_in_transaction_timeout),
        )
    }
}

/// Whole milliseconds, at least one: to Postgres, 0 means without limit.
pub(super) fn millis(duration: Duration) -> u128 {
    duration.as_millis().clamp(1, i32::MAX as u128)
}
