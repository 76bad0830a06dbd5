//! Where the database is and how long anything may wait for it.

use std::path::PathBuf;
use std::time::Duration;

use burgeon_core::Secret;
use burgeon_core::units::{self, Size};
use serde::{Deserialize, Serialize};

use crate::Engine;

/// Settings of [`Db`](crate::Db).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST:PORT/NAME`. Default `sqlite:burgeon.db`: a file in the working
    /// directory, made at first start.
    pub url: Secret,
    /// Replicas of a Postgres database: URLs as above, one for each, with `?weight=2` for a larger share. Default none.
    /// Reads go to them, and see what their caller has written all the same. Which server is the primary is found out,
    /// also after a promotion, so it does not matter which of them `url` names.
    pub replicas: Vec<Secret>,
    /// How long one statement may run. Default 15 s: longer than any page, shorter than anybody's patience. The
    /// request's own deadline counts where it is stricter.
    #[serde(with = "units::duration")]
    pub statement_timeout: Duration,
    /// How long to wait for a connection, or for room in a queue. Default 2 s: fail fast, a queue that is full for
    /// longer does not get emptier by waiting.
    #[serde(with = "units::duration")]
    pub acquire_timeout: Duration,
    /// How long a transaction may stay open. Default 30 s. Past it the transaction is rolled back and its place in
    /// the source is logged.
    #[serde(with = "units::duration")]
    pub transaction_timeout: Duration,
    /// How long a streamed result may take to its end. Default 10 min. On SQLite a long reader keeps the write-ahead
    /// log from shrinking.
    #[serde(with = "units::duration")]
    pub stream_timeout: Duration,
    /// Settings that only SQLite knows.
    pub sqlite: Sqlite,
    /// Settings that only Postgres knows.
    pub postgres: crate::postgres::Config,
    /// How reads are spread over replicas.
    pub routing: crate::Routing,
}

/// Settings of the SQLite engine.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sqlite {
    /// Whether several processes may serve from the one file. Default `false`: what lives in a process (caches, the bus,
    /// the queue's wake-up calls) does not hear of what another process writes; a second one is refused at start. Commands
    /// run beside a serving process in either case.
    pub shared: bool,
    /// How many threads read at once. Default 0: as many as there are cores.
    pub readers: usize,
    /// What *acknowledged* means. Default `full`: the write survives a loss of power.
    pub synchronous: Synchronous,
    /// How many jobs may wait for the writer, and as many for the readers. Default 4096; a job beyond that waits for
    /// room and is refused after `acquire_timeout`.
    pub queue: usize,
    /// How many jobs one commit may cover. Default 500. The writer never waits for a group to fill.
    pub group: usize,
    /// Page cache of the writer, and of each reader. Default 8 MiB.
    pub cache: Size,
    /// How much of the file is mapped into memory. Default 128 MiB.
    pub mmap: Size,
    /// Above this the write-ahead log is reported as grown. Default 64 MiB, which is also what a finished log is cut
    /// back to.
    pub wal_limit: Size,
}

/// When SQLite waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Synchronous {
    /// At every commit: what was acknowledged survives a loss of power.
    Full,
    /// At checkpoints only: what was acknowledged survives a crash of the process; a loss of power may take the last
    /// commits, never the file's integrity.
    Normal,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            url: Secret::new("sqlite:burgeon.db"),
            replicas: Vec::new(),
            statement_timeout: Duration::from_secs(15),
            acquire_timeout: Duration::from_secs(2),
            transaction_timeout: Duration::from_secs(30),
            stream_timeout: Duration::from_secs(600),
            sqlite: Sqlite::default(),
            postgres: crate::postgres::Config::default(),
            routing: crate::Routing::default(),
        }
    }
}

impl Default for Sqlite {
    fn default() -> Self {
        Self {
            shared: false,
            readers: 0,
            synchronous: Synchronous::Full,
            queue: 4_096,
            group: 500,
            cache: Size::mib(8),
            mmap: Size::mib(128),
            wal_limit: Size::mib(64),
        }
    }
}

impl Config {
    /// The default settings for this database.
    pub fn at(url: impl Into<Secret>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }

    /// Which engine the URL names.
    ///
    /// # Errors
    /// A sentence, when it names none.
    pub fn engine(&self) -> Result<Engine, String> {
        let url = self.url.expose();
        match url.split_once(':').map_or(url, |(scheme, _)| scheme) {
            "sqlite" => Ok(Engine::Sqlite),
            "postgres" | "postgresql" => Ok(Engine::Postgres),
            "" => Err("`database.url` is empty; write sqlite:PATH or postgres://USER@HOST/NAME".to_owned()),
            // The rest of the URL may hold a password: only the scheme is repeated.
            scheme if url.contains("://") => {
                Err(format!("`database.url` has the scheme `{scheme}`; it must be sqlite: or postgres://"))
            }
            _ => Err("`database.url` must begin with sqlite: or postgres://".to_owned()),
        }
    }

    /// The file of a `sqlite:` URL.
    pub(crate) fn sqlite_path(&self) -> PathBuf {
        let url = self.url.expose();
        let path = url.strip_prefix("sqlite:").unwrap_or(url);
        PathBuf::from(path.strip_prefix("//").unwrap_or(path))
    }

    /// Whether the settings make sense.
    ///
    /// # Errors
    /// A sentence that names the key and the remedy.
    pub fn validate(&self) -> Result<(), String> {
        for (key, duration) in [
            ("statement_timeout", self.statement_timeout),
            ("acquire_timeout", self.acquire_timeout),
            ("transaction_timeout", self.transaction_timeout),
            ("stream_timeout", self.stream_timeout),
        ] {
            if duration.is_zero() {
                return Err(format!("`database.{key}` is 0, which leaves no time at all; write 2s or more"));
            }
        }
        match self.engine()? {
            Engine::Sqlite if !self.replicas.is_empty() => {
                Err("`database.replicas` is set, and `database.url` is a \
                SQLite file, which has no replicas; remove the one or name a Postgres with the other"
                    .to_owned())
            }
            Engine::Sqlite => self.validate_sqlite(),
            Engine::Postgres => self.postgres.validate().and_then(|()| self.routing.validate()),
        }
    }

    fn validate_sqlite(&self) -> Result<(), String> {
        let path = self.sqlite_path();
        if path.as_os_str().is_empty() || path.as_os_str() == ":memory:" {
            return Err(
                "`database.url` names no file; write sqlite:PATH (a database in memory cannot be shared by \
                        the writer and the readers: use a file in a temporary directory)"
                    .to_owned(),
            );
        }
        for (key, number) in [("queue", self.sqlite.queue), ("group", self.sqlite.group)] {
            if number == 0 {
                return Err(format!(
                    "`database.sqlite.{key}` is 0, so nothing could ever be written; write 1 or more"
                ));
            }
        }
        if self.sqlite.readers > 256 {
            return Err("`database.sqlite.readers` is above 256; as many as there are cores (0) serves best"
                .to_owned());
        }
        Ok(())
    }
}
