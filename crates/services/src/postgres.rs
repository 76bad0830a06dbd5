//! A Postgres of one's own: a fresh cluster, a free port, the superuser `postgres` without a password.

use std::ffi::OsString;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use tokio::sync::OnceCell;

use crate::binary::{Program, find};
use crate::databases::Databases;
use crate::error::{Error, Result};
use crate::port::Port;
use crate::process::Process;
use crate::ready::Ready;
use crate::server::Server;
use crate::shared::Member;
use crate::template;

/// How a [`Postgres`] is started.
///
/// ```no_run
/// # async fn example() -> burgeon_services::Result<()> {
/// use burgeon_services::Postgres;
///
/// let durable = Postgres::options().fsync(true).max_connections(20).start().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Options {
    fsync: bool,
    max_connections: u16,
    pub(crate) password: Option<String>,
    tls: Option<(PathBuf, PathBuf)>,
    settings: Vec<(String, String)>,
}

/// A running Postgres; what it can do is in [`Server`]. After [`kill`](Server::kill) it recovers at its next start. Its
/// drop blocks for some milliseconds.
#[derive(Debug)]
pub struct Postgres {
    server: Server,
    databases: Databases,
}

impl Options {
    /// Whether a commit waits for the disk. Off by default, because tests measure answers and not disks; on for tests
    /// that kill the machine. [`kill`](Server::kill) loses nothing either way: the kernel keeps what was written.
    #[must_use]
    pub fn fsync(mut self, on: bool) -> Self {
        self.fsync = on;
        self
    }

    /// How many connections the server accepts. 200 by default, enough for any one test; at the
    /// limit Postgres refuses with `53300 too_many_connections`.
    #[must_use]
    pub fn max_connections(mut self, connections: u16) -> Self {
        self.max_connections = connections;
        self
    }

    /// Asks this password of `postgres` on TCP connections (SCRAM). None by default: each log-in would cost
    /// milliseconds of hashing.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Offers TLS with this certificate chain and key, both PEM; they are copied. Plain connections stay possible.
    #[must_use]
    pub fn tls(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.tls = Some((certificate.into(), key.into()));
        self
    }

    /// Any other line of `postgresql.conf`: `setting("wal_level", "logical")`. The latest one wins, over ours too.
    #[must_use]
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// Makes a cluster, starts it, and returns when it answers.
    ///
    /// # Errors
    ///
    /// When Postgres is not installed (says what to install), or did not come up within a minute (shows its log).
    pub async fn start(self) -> Result<Postgres> {
        let postgres = self.start_on(async |process, bin| template::cluster(process, bin).await).await?;
        postgres.ask_for_the_password().await?;
        Ok(postgres)
    }

    /// Starts it on the data directory that `make` fills: a fresh cluster, or the copy of another.
    pub(crate) async fn start_on(
        self,
        make: impl AsyncFnOnce(&mut Process, &Path) -> Result<()>,
    ) -> Result<Postgres> {
        let bin = Postgres::bin()?;
        let port = Port::free()?;
        let mut process = Process::new("Postgres", "QUIT")?;
        make(&mut process, &bin).await?;

        let socket = process.directory().to_owned();
        let data = socket.join("data");
        let mut settings: Vec<(String, String)> = [
            ("listen_addresses", "127.0.0.1".to_owned()),
            ("port", port.number().to_string()),
            ("unix_socket_directories", socket.display().to_string()),
            ("max_connections", self.max_connections.to_string()),
            ("fsync", if self.fsync { "on" } else { "off" }.to_owned()),
            ("full_page_writes", if self.fsync { "on" } else { "off" }.to_owned()),
            ("timezone", "UTC".to_owned()),
            // In files of its own directory: what lies in /dev/shm would outlive a server that was killed.
            ("dynamic_shared_memory_type", "mmap".to_owned()),
            // A replica that was frozen for a while finds what it missed.
            ("wal_keep_size", "512MB".to_owned()),
            // The name of a replica to its primary, known before it first speaks.
            ("cluster_name", format!("replica_{}", port.number())),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        if let Some((certificate, key)) = &self.tls {
            for (name, path) in [("ssl_cert_file", certificate), ("ssl_key_file", key)] {
                let pem = std::fs::read(path)
                    .map_err(|error| Error::io(format!("reading {}", path.display()), error))?;
                settings.push((name.to_owned(), process.write(name, pem)?.display().to_string()));
            }
            settings.push(("ssl".to_owned(), "on".to_owned()));
        }
        settings.extend(self.settings);

        let mut command = vec![bin.join("postgres").into_os_string(), "-D".into(), data.into_os_string()];
        for (name, value) in settings {
            command.extend(["-c".into(), OsString::from(format!("{name}={value}"))]);
        }
        let ready = Ready::Writes(socket.join("data/postmaster.pid"));
        let server = Server::start(process, command, port, Signal::INT, ready).await?;
        let databases = Databases::new(server.port(), bin, socket, self.password, "test_");
        Ok(Postgres { server, databases })
    }
}

impl Postgres {
    /// A Postgres as most tests want it: no `fsync`, 200 connections, no password, no TLS.
    ///
    /// # Errors
    ///
    /// As [`Options::start`].
    pub async fn start() -> Result<Postgres> {
        Self::options().start().await
    }

    /// Choices to make before the start.
    pub fn options() -> Options {
        Options { fsync: false, max_connections: 200, password: None, tls: None, settings: Vec::new() }
    }

    /// One server for all tests of a run, in whichever process they are: started by the first that asks, ended when
    /// the run is over. A run is what started the processes: `cargo nextest run`, `cargo test`, or a shell. Give each test
    /// a database of its own with [`create_database`](Databases::create_database), which is dropped after its process has
    /// ended; a test that stops, kills or configures its server starts its own.
    ///
    /// # Errors
    ///
    /// As [`Options::start`]; the next caller tries again.
    pub async fn shared() -> Result<&'static Databases> {
        // A static, which the rest of the house has not: a test process has no other owner that outlives its tests.
        // It is never dropped; the end of the process is what the supervising shell waits for.
        static SHARED: OnceCell<Member> = OnceCell::const_new();
        SHARED.get_or_try_init(Member::join).await.map(Member::databases)
    }

    /// Its databases, for whoever needs no more of it.
    pub fn databases(&self) -> &Databases {
        &self.databases
    }

    /// The database `postgres` as its superuser; see [`Databases::url`].
    pub fn url(&self) -> String {
        self.databases.url()
    }

    /// This database as the superuser; see [`Databases::url_of`].
    pub fn url_of(&self, database: &str) -> String {
        self.databases.url_of(database)
    }

    /// The directory of its Unix socket.
    pub fn socket_directory(&self) -> &Path {
        self.databases.socket_directory()
    }

    /// Creates an empty database and returns its URL; see [`Databases::create_database`].
    ///
    /// # Errors
    ///
    /// When the server is down or refuses.
    pub async fn create_database(&self) -> Result<String> {
        self.databases.create_database().await
    }

    /// Runs SQL through `psql`; see [`Databases::psql`].
    ///
    /// # Errors
    ///
    /// What `psql` wrote to its standard error.
    pub async fn psql(&self, database: &str, sql: &str) -> Result<String> {
        self.databases.psql(database, sql).await
    }

    /// The directory of `postgres`, `initdb` and `psql`.
    pub(crate) fn bin() -> Result<PathBuf> {
        // Resolved, because a link to it elsewhere has no `initdb` beside it.
        let postgres = find(Program::Postgres)?
            .canonicalize()
            .map_err(|error| Error::io("resolving the path of postgres", error))?;
        Ok(postgres.parent().map(Path::to_owned).unwrap_or_default())
    }

    async fn ask_for_the_password(&self) -> Result<()> {
        let Some(password) = self.databases.password() else { return Ok(()) };
        let quoted = password.replace('\'', "''");
        self.psql("postgres", &format!("alter role postgres password '{quoted}'")).await?;
        // The socket stays open to `psql` above.
        let rules = "local all all trust\nhost all,replication all 127.0.0.1/32 scram-sha-256\n";
        self.process().await.write("data/pg_hba.conf", rules)?;
        self.psql("postgres", "select pg_reload_conf()").await?;
        Ok(())
    }
}

impl AsRef<Databases> for Postgres {
    fn as_ref(&self) -> &Databases {
        &self.databases
    }
}

impl Deref for Postgres {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}
