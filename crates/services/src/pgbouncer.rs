//! A PgBouncer in front of a [`Postgres`], since many a production database is reached through one.

use std::ffi::{OsStr, OsString};
use std::fmt;

use rustix::process::Signal;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use crate::binary::{Program, find};
use crate::error::Result;
use crate::port::Port;
use crate::postgres::Postgres;
use crate::process::Process;
use crate::url::with_port;

/// How long a client keeps a server connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolMode {
    /// Until the client disconnects.
    Session,
    /// Until its transaction ends. Session state (`set`, `listen`, named prepared statements before PgBouncer 1.21)
    /// does not survive from one transaction to the next.
    Transaction,
}

impl fmt::Display for PoolMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PoolMode::Session => "session",
            PoolMode::Transaction => "transaction",
        })
    }
}

/// A running PgBouncer: at most 20 server connections per database, 1,000 clients. Dropped, it is stopped.
#[derive(Debug)]
pub struct PgBouncer {
    process: Mutex<Process>,
    command: Vec<OsString>,
    port: Port,
    url: String,
}

impl PgBouncer {
    /// A PgBouncer before all databases of `postgres`.
    ///
    /// # Errors
    ///
    /// When it is not installed (says what to install), or did not come up within a minute (shows its log).
    pub async fn start(postgres: &Postgres, mode: PoolMode) -> Result<PgBouncer> {
        let binary = find(Program::PgBouncer)?;
        let port = Port::free()?;
        let process = Process::new("PgBouncer", "KILL")?;
        let password = postgres.password().map(|word| format!(" password={word}")).unwrap_or_default();
        // `auth_type = any` lets every client in as the user named with the database.
        let configuration = format!(
            "[databases]\n\
             * = host=127.0.0.1 port={} user=postgres{password}\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\n\
             listen_port = {}\n\
             unix_socket_dir =\n\
             auth_type = any\n\
             pool_mode = {mode}\n\
             max_client_conn = 1000\n\
             default_pool_size = 20\n\
             ignore_startup_parameters = extra_float_digits\n",
            postgres.port(),
            port.number(),
        );
        let configuration = process.write("pgbouncer.ini", configuration)?;
        let command = vec![binary.into_os_string(), configuration.into_os_string()];
        let url = with_port(&postgres.url(), port.number());
        let bouncer = PgBouncer { process: Mutex::new(process), command, port, url };
        bouncer.restart().await?;
        Ok(bouncer)
    }

    /// The database `postgres` through this PgBouncer.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// The database of this URL through this PgBouncer: `bouncer.url_for(&postgres.create_database().await?)`.
    pub fn url_for(&self, url: &str) -> String {
        with_port(url, self.port())
    }

    /// Its port on 127.0.0.1; the same for the life of this value.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Stops it at once (SIGTERM); clients lose their connections.
    ///
    /// # Errors
    ///
    /// When it is not running, or did not end within 30 s.
    pub async fn stop(&self) -> Result<()> {
        self.process.lock().await.stop(Signal::TERM).await
    }

    /// Kills it with SIGKILL.
    ///
    /// # Errors
    ///
    /// When it is not running.
    pub async fn kill(&self) -> Result<()> {
        self.process.lock().await.kill().await
    }

    /// Starts it again on its port; one that still runs is stopped first.
    ///
    /// # Errors
    ///
    /// When it did not end within 30 s or did not answer within a minute (shows its log).
    pub async fn restart(&self) -> Result<()> {
        let mut process = self.process.lock().await;
        if process.is_running() {
            process.stop(Signal::TERM).await?;
        }
        let command: Vec<&OsStr> = self.command.iter().map(OsString::as_os_str).collect();
        process.start(&command, async |_| TcpStream::connect(("127.0.0.1", self.port())).await.is_ok()).await
    }
}
