//! The settings that only Postgres knows.

use std::time::Duration;

use burgeon_core::{Secret, units};
use serde::{Deserialize, Serialize};

use super::connect::Greetings;
use super::pooler::Pooler;

/// How long a statement may wait for a lock on a shared connection, where others wait behind it; then it is run again on
/// one of its own.
const SHARED_LOCK: Duration = Duration::from_millis(50);

/// Settings of the Postgres engine.
///
/// The address, TLS and credentials are in `database.url`; `sslmode` is `disable`, `prefer` (the default: encrypted
/// where the server offers it), `require` (encrypted, to whomever) or `verify-full` (encrypted, to the right one),
/// `sslrootcert` the file of the authority that `verify-full` trusts, the system's where it is missing.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How many connections this process holds at most for what needs one of its own: transactions, streams, and
    /// statements that are slow or not yet known. Default 0: twice the cores and one more. The shared ones come on top.
    /// All processes together should stay below the server's cores times two, or a little more; the server refuses
    /// beyond its `max_connections`.
    pub max_connections: usize,
    /// How many connections carry short statements of many requests at once, each statement sent without waiting for
    /// the answers before it. Default 0: as many as there are cores, 2 to 8.
    pub shared_connections: usize,
    /// Whether there are shared connections at all. Default on. Off, each statement takes a connection of its own for
    /// as long as it runs.
    pub pipelining: bool,
    /// How many statements may be under way on each shared connection. Default 128: who waits in the line is woken twice,
    /// which with 256 callers on two connections of 64 cost a third of the throughput; beyond, callers wait. It is also how
    /// many may stand behind one that turns out to be slow.
    pub in_flight: usize,
    /// How many callers may wait in that line. Default 1000; beyond, the least critical of them is refused.
    pub waiting: usize,
    /// How long a statement may run on a shared connection. Default 2 s. Past it the server ends it, and it is run again on
    /// a connection of its own, within `database.statement_timeout`.
    #[serde(with = "units::duration")]
    pub shared_timeout: Duration,
    /// From when on a statement is slow: one of which more than 5 % take longer is kept off the shared connections while there
    /// are others, and so is one above five times what is usual there (but never one below a quarter of this, nor one
    /// that takes less than twice what one in twenty takes there anyway). Default 20 ms.
    #[serde(with = "units::duration")]
    pub slow_statement: Duration,
    /// What stands between the program and the server: `none` (or a pooler in session mode), `transaction` (PgBouncer,
    /// PgDog and others in transaction mode), or `auto`, the default, which finds out at the first connection. Behind a
    /// transaction pooler nothing is prepared and no time limit is set on the connection: set `statement_timeout` and
    /// `timezone` with `alter role`.
    pub pooler: Pooler,
    /// The server itself, for what a transaction pooler cannot carry: migrations, `listen`. It may name several
    /// (`postgres://shop@db-1,db-2/shop`): the one that `database.url` leads to is used, with replicas the present
    /// primary; where none of them is that, it is refused. Default empty: `database.url`.
    pub direct_url: Secret,
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
    /// Whether each commit asks for its place in the write-ahead log, so that later reads can insist on it. Where this
    /// process has several servers it always does. Default off: switch it on in a process without replicas whose
    /// writes others read from replicas.
    pub causal_position: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_connections: 0,
            shared_connections: 0,
            pipelining: true,
            in_flight: 128,
            waiting: 1_000,
            shared_timeout: Duration::from_secs(2),
            slow_statement: Duration::from_millis(20),
            pooler: Pooler::Auto,
            direct_url: Secret::new(""),
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
            ("shared_timeout", self.shared_timeout),
            ("slow_statement", self.slow_statement),
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
        if self.shared_connections > 64 {
            return Err("`database.postgres.shared_connections` is above 64; each carries many statements at once, so \
                        one per core (0) is enough"
                .to_owned());
        }
        for (key, number, most) in
            [("in_flight", self.in_flight, 4_096), ("waiting", self.waiting, 1_000_000)]
        {
            if number == 0 || number > most {
                return Err(format!("`database.postgres.{key}` is {number}; write 1 to {most}"));
            }
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

    /// The number of shared connections, where 0 means by the machine.
    pub(super) fn shared(&self) -> usize {
        match self.shared_connections {
            0 => std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8),
            set => set,
        }
    }

    /// What is set first on each connection.
    pub(super) fn greetings(&self, statement_timeout: Duration) -> Greetings {
        let greeting = |statement: Duration, lock: Duration| {
            format!(
                "set statement_timeout = {}; set lock_timeout = {}; set idle_in_transaction_session_timeout = {}; \
                 set timezone = 'UTC'",
                millis(statement),
                millis(lock),
                millis(self.idle_in_transaction_timeout),
            )
        };
        Greetings {
            exclusive: greeting(statement_timeout, self.lock_timeout),
            shared: greeting(statement_timeout.min(self.shared_timeout), self.lock_timeout.min(SHARED_LOCK)),
        }
    }
}

/// Whole milliseconds, at least one: to Postgres, 0 means without limit.
pub(super) fn millis(duration: Duration) -> u128 {
    duration.as_millis().clamp(1, i32::MAX as u128)
}
