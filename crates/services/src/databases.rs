//! The databases of a running Postgres, and what may be asked of them by a test whose server it is not.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::process::Command;
use tokio::time::timeout;

use crate::error::{Error, Result};
use crate::process::START;

/// A Postgres to make databases in. It can be asked for anything but its end: that is its owner's, the
/// [`Postgres`](crate::Postgres).
#[derive(Debug)]
pub struct Databases {
    port: u16,
    // Where `psql` is.
    bin: PathBuf,
    socket: PathBuf,
    password: Option<String>,
    prefix: String,
    created: AtomicU64,
}

impl Databases {
    /// Those of the server at this port, which has its socket in `socket`. Names begin with `prefix`.
    pub(crate) fn new(
        port: u16,
        bin: PathBuf,
        socket: PathBuf,
        password: Option<String>,
        prefix: impl Into<String>,
    ) -> Self {
        Self { port, bin, socket, password, prefix: prefix.into(), created: AtomicU64::new(0) }
    }

    /// The server's port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The database `postgres` as its superuser. Loopback, no TLS asked for.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// This database as the superuser, whether it exists or not.
    pub fn url_of(&self, database: &str) -> String {
        let password = self.password.as_ref().map(|password| format!(":{password}")).unwrap_or_default();
        format!("postgres://postgres{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// The directory of the server's Unix socket.
    pub fn socket_directory(&self) -> &Path {
        &self.socket
    }

    /// Creates an empty database and returns its URL.
    ///
    /// # Errors
    ///
    /// When the server is down or refuses.
    pub async fn create_database(&self) -> Result<String> {
        let name = format!("{}{}", self.prefix, self.created.fetch_add(1, Ordering::Relaxed));
        self.psql("postgres", &format!("create database {name}")).await?;
        Ok(self.url_of(&name))
    }

    /// Runs SQL through `psql`, outside of any driver under test, and returns its output: a line per row, columns
    /// separated by `|`. Good for oracles.
    ///
    /// # Errors
    ///
    /// What `psql` wrote to its standard error; the first failing statement ends the run.
    pub async fn psql(&self, database: &str, sql: &str) -> Result<String> {
        self.psql_each(database, &[sql]).await
    }

    /// The same, each in a transaction of its own.
    pub(crate) async fn psql_each(&self, database: &str, statements: &[&str]) -> Result<String> {
        let mut command = Command::new(self.bin.join("psql"));
        command
            .args(["--no-psqlrc", "--no-password", "--quiet", "--tuples-only", "--no-align"])
            .args(["--set=ON_ERROR_STOP=1", "--username=postgres", "--port", &self.port.to_string()])
            .args(["--dbname", database, "--host"])
            .arg(&self.socket)
            .args(statements.iter().flat_map(|sql| ["--command", sql]))
            .kill_on_drop(true);
        let output = timeout(START, command.output())
            .await
            .map_err(|_| {
                let asked = statements.join("; ");
                Error::new(format!("psql gave no answer within {} s to: {asked}", START.as_secs()))
            })?
            .map_err(|error| Error::io("running psql, which belongs beside postgres", error))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
        }
        Err(Error::new(format!("psql refused: {}", String::from_utf8_lossy(&output.stderr).trim())))
    }

    pub(crate) fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }
}

impl AsRef<Databases> for Databases {
    fn as_ref(&self) -> &Databases {
        self
    }
}
