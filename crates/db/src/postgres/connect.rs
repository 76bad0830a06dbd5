//! Opening connections, and saying why one could not be opened.

use std::io;
use std::time::Duration;

use burgeon_core::units::format_duration;
use burgeon_meter::Gauge;
use burgeon_runtime::Tasks;
use burgeon_tls::TlsConnector;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::config::Host;
use tokio_postgres::error::SqlState;

use crate::Fault;

use super::Role;
use super::connection::Connection;
use super::exchange::Ear;
use super::socket::{Peer, Socket};
use super::tls::{self, Handshake};
use super::url::{Target, place};

/// Opens connections to one database.
pub(super) struct Connector {
    target: Target,
    role: Role,
    tls: Option<TlsConnector>,
    /// Sent first on every connection.
    greeting: String,
    /// Owns the tasks that drive the connections.
    tasks: Tasks,
    statements: usize,
    open: Gauge,
}

/// Why there is no connection.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    /// What happened and what to do.
    pub(super) why: String,
    /// Whether time alone may heal it: a server that starts is one, a wrong password is none.
    pub(super) passing: bool,
}

impl Refusal {
    pub(super) fn passing(why: String) -> Self {
        Self { why, passing: true }
    }

    /// To a statement under way it is all the same why: the database is not there.
    pub(super) fn into_fault(self) -> Fault {
        Fault::Unavailable { why: self.why }
    }

    fn lasting(why: String) -> Self {
        Self { why, passing: false }
    }
}

impl Connector {
    pub(super) fn new(
        target: Target,
        role: Role,
        greeting: String,
        statements: usize,
        tasks: Tasks,
        open: Gauge,
    ) -> Result<Self, String> {
        let tls = tls::connector(&target.tls)?;
        Ok(Self { target, role, tls, greeting, tasks, statements, open })
    }

    pub(super) fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Opens one connection, to the first server that accepts one.
    pub(super) async fn connect(&self, until: Instant) -> Result<Box<Connection>, Refusal> {
        self.connect_with(None, until).await
    }

    /// As [`connect`](Self::connect), with an ear for what the server pushes.
    pub(super) async fn connect_hearing(&self, ear: Ear, until: Instant) -> Result<Box<Connection>, Refusal> {
        self.connect_with(Some(ear), until).await
    }

    async fn connect_with(&self, ear: Option<Ear>, until: Instant) -> Result<Box<Connection>, Refusal> {
        let mut refusals = Vec::new();
        for (index, (host, port)) in self.target.servers().enumerate() {
            match self.connect_to(index, &host, port, ear.clone(), until).await {
                Ok(connection) => return Ok(connection),
                Err(refusal) => refusals.push(refusal),
            }
        }
        Err(Refusal {
            passing: refusals.iter().any(|refusal| refusal.passing),
            why: refusals.into_iter().map(|refusal| refusal.why).collect::<Vec<_>>().join("; "),
        })
    }

    async fn connect_to(
        &self,
        index: usize,
        host: &Host,
        port: u16,
        ear: Option<Ear>,
        until: Instant,
    ) -> Result<Box<Connection>, Refusal> {
        let place = place(host, port);
        let started = Instant::now();
        let late = || {
            let waited = format_duration(Duration::from_millis(started.elapsed().as_millis() as u64));
            Refusal::passing(format!(
                "{place} did not answer within {waited}; check host and port in `database.url`, and the firewall"
            ))
        };
        let opening = async {
            let peers = resolve(host, port, &place).await?;
            let (peer, socket) = reach(&peers, &place).await?;
            let name = self.target.certified_name(index);
            self.greet(socket, peer, name, &place, ear).await
        };
        // Boxed: a handshake's future is large, and rare beside the statements that would carry it.
        timeout_at(until, Box::pin(opening)).await.unwrap_or_else(|_| Err(late()))
    }

    async fn greet(
        &self,
        socket: Socket,
        peer: Peer,
        name: String,
        place: &str,
        ear: Option<Ear>,
    ) -> Result<Box<Connection>, Refusal> {
        let handshake = self.handshake(name.clone());
        let (client, driving) = self
            .target
            .config
            .connect_raw(socket, handshake)
            .await
            .map_err(|error| self.explain(&error, place))?;
        let driver = self.tasks.spawn("db.connection", async move {
            match ear {
                Some(ear) => ear.drive(driving).await,
                // How it ended is told by the client's own errors.
                None => drop(driving.await),
            }
        });
        let connection = Box::new(Connection::new(client, driver, peer, name, self.statements, &self.open));
        let answer = connection.client().simple_query(&self.greeting).await;
        let answer = answer.map_err(|error| self.explain(&error, place))?;
        let in_recovery = answer.iter().any(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get("in_recovery") == Some("t"),
            _ => false,
        });
        if in_recovery && self.role == Role::Primary {
            // Passing: it may be promoted, and then it is the one.
            return Err(Refusal::passing(format!(
                "{place} is a standby in recovery, which takes no writes; name the primary in `database.url`"
            )));
        }
        Ok(connection)
    }

    /// A handshake with the server of this name; for connections and for cancel requests.
    pub(super) fn handshake(&self, name: String) -> Handshake {
        Handshake { connector: self.tls.clone(), name }
    }

    fn explain(&self, error: &tokio_postgres::Error, place: &str) -> Refusal {
        let user = self.target.user();
        if let Some(db) = error.as_db_error() {
            let said = db.message();
            return match db.code() {
                code if *code == SqlState::INVALID_PASSWORD => Refusal::lasting(format!(
                    "{place} refused the password of user `{user}`; check user and password in `database.url`"
                )),
                code if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION => Refusal::lasting(format!(
                    "{place} does not let user `{user}` in: {said}; check the user in `database.url`, and \
                     pg_hba.conf on the server"
                )),
                code if *code == SqlState::INVALID_CATALOG_NAME => Refusal::lasting(format!(
                    "{place} has no database `{0}`; create it (createdb {0}) or correct `database.url`",
                    self.target.database()
                )),
                code if *code == SqlState::CANNOT_CONNECT_NOW => {
                    Refusal::passing(format!("{place} is not ready: {said}; it is tried again"))
                }
                code if *code == SqlState::TOO_MANY_CONNECTIONS => Refusal::passing(format!(
                    "{place} has no connection left: {said}; lower `database.postgres.max_connections` (it counts \
                     for every instance of the application) or raise max_connections on the server"
                )),
                code => Refusal {
                    why: format!("{place} refused the connection: {said} ({})", code.code()),
                    passing: code.code().starts_with("57") || code.code().starts_with("08"),
                },
            };
        }
        let cause = chain(error);
        if cause.contains("server does not support TLS") {
            return Refusal::lasting(format!(
                "{place} offers no TLS, and `database.url` asks for it; switch on `ssl` on the server, or write \
                 sslmode=disable where the network is trusted"
            ));
        }
        if cause.contains("invalid peer certificate") {
            return Refusal::lasting(format!(
                "the certificate of {place} is not trusted: {cause}; name its authority with \
                 sslrootcert=/path/to/ca.pem in `database.url`, and the host as the certificate does"
            ));
        }
        if cause.contains("TLS handshake") {
            return Refusal::passing(format!("{place}: {cause}; is it Postgres that answers there?"));
        }
        if cause.contains("password missing") {
            return Refusal::lasting(format!(
                "{place} wants a password of user `{user}`, and `database.url` has none; write \
                 postgres://{user}:PASSWORD@..."
            ));
        }
        Refusal::passing(format!(
            "{place} broke the connection off: {cause}; is it Postgres that answers there?"
        ))
    }
}

async fn resolve(host: &Host, port: u16, place: &str) -> Result<Vec<Peer>, Refusal> {
    match host {
        Host::Tcp(name) => {
            let found = tokio::net::lookup_host((name.as_str(), port)).await;
            let peers = found.map(|found| found.map(Peer::Tcp).collect::<Vec<_>>());
            match peers {
                Ok(peers) if !peers.is_empty() => Ok(peers),
                Ok(_) => Err(Refusal::passing(format!("the host of {place} has no address"))),
                Err(error) => Err(Refusal::passing(format!(
                    "the host of {place} is not known ({error}); check the name in `database.url`"
                ))),
            }
        }
        #[cfg(unix)]
        Host::Unix(path) => Ok(vec![Peer::Unix(path.join(format!(".s.PGSQL.{port}")))]),
    }
}

async fn reach(peers: &[Peer], place: &str) -> Result<(Peer, Socket), Refusal> {
    let mut last = None;
    for peer in peers {
        match Socket::connect(peer).await {
            Ok(socket) => return Ok((peer.clone(), socket)),
            Err(error) => last = Some(error),
        }
    }
    let why = match last {
        Some(error) if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => {
            format!("nothing answers at {place} ({error}); is Postgres running there?")
        }
        Some(error) => format!("{place} cannot be reached: {error}"),
        None => format!("{place} has no address"),
    };
    Err(Refusal::passing(why))
}

/// An error and its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
