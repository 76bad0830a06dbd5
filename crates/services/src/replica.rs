//! Replicas: a copy of a running Postgres that streams from it, and what can befall the two.
//!
//! A replica is a [`Postgres`] like any other, with a data directory copied by `pg_basebackup`. It follows its primary
//! until it is [promoted](Postgres::promote) or told to [follow](Postgres::follow) another; what happens to it meanwhile
//! (kill, pause, restart) is what happens to any server.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::error::{Error, Result};
use crate::postgres::{Options, Postgres};
use crate::process::{Process, START};

/// How often a replica is asked how far it has come.
const TURN: Duration = Duration::from_millis(10);

impl Options {
    /// Makes a streaming replica of this primary, starts it, and returns when it answers reads.
    ///
    /// It takes over the primary's password; its own options are otherwise independent, but Postgres wants its
    /// `max_connections` at least as high as the primary's. For `synchronous_standby_names` its name is
    /// `replica_PORT`.
    ///
    /// # Errors
    ///
    /// When the primary is down, or the copy did not come up within a minute (shows its log).
    pub async fn replicate(mut self, primary: &Postgres) -> Result<Postgres> {
        self.password = primary.databases().password().map(str::to_owned);
        let connection = primary.conninfo();
        self.start_on(async |process, bin| copy(process, bin, &connection).await).await
    }
}

impl Postgres {
    /// A replica as most tests want it, of this primary.
    ///
    /// # Errors
    ///
    /// As [`Options::replicate`].
    pub async fn replica(&self) -> Result<Postgres> {
        Self::options().replicate(self).await
    }

    /// Makes this replica a primary, on a timeline of its own, and returns when it takes writes.
    ///
    /// # Errors
    ///
    /// When it is no replica, or did not end its recovery within a minute.
    pub async fn promote(&self) -> Result<()> {
        match self.psql("postgres", &format!("select pg_promote(true, {})", START.as_secs())).await?.as_str()
        {
            "t" => Ok(()),
            _ => Err(Error::new(format!("it did not end its recovery within {} s", START.as_secs()))),
        }
    }

    /// Has this replica stream from another primary from now on: after a promotion, from the promoted one.
    ///
    /// # Errors
    ///
    /// When it is down or refuses.
    pub async fn follow(&self, primary: &Postgres) -> Result<()> {
        self.set("primary_conninfo", &primary.conninfo()).await
    }

    /// Changes a setting while the server runs (`alter system`, then a reload): `set("recovery_min_apply_delay", "5s")`,
    /// `set("synchronous_standby_names", "ANY 1 (*)")`. It stays over restarts. What was given to
    /// [`Options::setting`] cannot be changed so.
    ///
    /// # Errors
    ///
    /// When the server is down or knows no such setting.
    pub async fn set(&self, name: &str, value: &str) -> Result<()> {
        let quoted = value.replace('\'', "''");
        self.psql("postgres", &format!("alter system set {name} = '{quoted}'")).await?;
        self.psql("postgres", "select pg_reload_conf()").await?;
        Ok(())
    }

    /// The replica receives on, and applies nothing (`pg_wal_replay_pause`): it serves what it had.
    ///
    /// # Errors
    ///
    /// When it is down or no replica.
    pub async fn pause_replay(&self) -> Result<()> {
        self.psql("postgres", "select pg_wal_replay_pause()").await?;
        // Asked for is not yet done: it pauses before the next record.
        self.until("select pg_get_wal_replay_pause_state() = 'paused'").await
    }

    /// Ends [`pause_replay`](Self::pause_replay).
    ///
    /// # Errors
    ///
    /// When it is down or no replica.
    pub async fn resume_replay(&self) -> Result<()> {
        self.psql("postgres", "select pg_wal_replay_resume()").await.map(drop)
    }

    /// Waits until this replica has applied all that the primary has written by now.
    ///
    /// # Errors
    ///
    /// When one of them is down, or it takes longer than a minute.
    pub async fn catch_up(&self, primary: &Postgres) -> Result<()> {
        let end = primary.psql("postgres", "select pg_current_wal_lsn()").await?;
        self.until(&format!("select pg_last_wal_replay_lsn() >= '{end}'")).await
    }

    /// How libpq reaches it.
    fn conninfo(&self) -> String {
        let password = self
            .databases()
            .password()
            .map(|password| format!(" password='{}'", password.replace('\\', "\\\\").replace('\'', "\\'")));
        format!("host=127.0.0.1 port={} user=postgres{}", self.port(), password.unwrap_or_default())
    }

    async fn until(&self, sql: &str) -> Result<()> {
        let deadline = Instant::now() + START;
        while self.psql("postgres", sql).await? != "t" {
            if Instant::now() >= deadline {
                return Err(Error::new(format!("not true within {} s: {sql}", START.as_secs())));
            }
            sleep(TURN).await;
        }
        Ok(())
    }
}

/// Copies the primary's data directory, and says in the copy whom it follows.
async fn copy(process: &mut Process, bin: &Path, connection: &str) -> Result<()> {
    let tool = bin.join("pg_basebackup");
    let data = process.directory().join("data");
    let options =
        ["--checkpoint=fast", "--wal-method=stream", "--no-sync", "--write-recovery-conf", "--dbname"];
    let mut command = vec![tool.as_os_str(), OsStr::new("--pgdata"), data.as_os_str()];
    command.extend(options.map(OsStr::new));
    command.push(OsStr::new(connection));
    process.prepare(&command).await
}
