//! A PgBouncer in front of a [`Postgres`](crate::Postgres), since many a production database is reached through one.

use std::fmt;
use std::ops::Deref;

use rustix::process::Signal;

use crate::binary::{Program, find};
use crate::databases::Databases;
use crate::error::Result;
use crate::port::Port;
use crate::process::Process;
use crate::ready::Ready;
use crate::server::Server;
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

/// A running PgBouncer; what it can do is in [`Server`]. At most 20 server connections per database, 1,000 clients. It looks
/// for a server that is away five times a second, where it would wait for 15 s left to itself.
#[derive(Debug)]
pub struct PgBouncer {
    server: Server,
    url: String,
}

impl PgBouncer {
    /// A PgBouncer before all databases of `postgres`, one's own or the shared one.
    ///
    /// # Errors
    ///
    /// When it is not installed (says what to install), or did not come up within a minute (shows its log).
    pub async fn start(postgres: &impl AsRef<Databases>, mode: PoolMode) -> Result<PgBouncer> {
        let postgres = postgres.as_ref();
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
             server_login_retry = 0.2\n\
             ignore_startup_parameters = extra_float_digits\n",
            postgres.port(),
            port.number(),
        );
        let configuration = process.write("pgbouncer.ini", configuration)?;
        let command = vec![binary.into_os_string(), configuration.into_os_string()];
        let url = with_port(&postgres.url(), port.number());
        let ready = Ready::Says { asked: "".into(), answer: "".into() };
        Ok(PgBouncer { server: Server::start(process, command, port, Signal::TERM, ready).await?, url })
    }

    /// The database `postgres` through this PgBouncer.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// The database of this URL through this PgBouncer: `bouncer.url_for(&postgres.create_database().await?)`.
    pub fn url_for(&self, url: &str) -> String {
        with_port(url, self.port())
    }
}

impl Deref for PgBouncer {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}
