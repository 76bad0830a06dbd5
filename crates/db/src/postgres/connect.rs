//! Opening connections, and saying why one could not be opened.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use burgeon_core::units::format_duration;
use burgeon_meter::Gauge;
use burgeon_runtime::{Task, Tasks};
use burgeon_tls::TlsConnector;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::config::Host;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::Fault;

use super::Role;
use super::config::Config;
use super::connection::{Connection, Memory};
use super::exchange::Ear;
use super::fleet::{self, Standing};
use super::pooler::{self, Pooler, Sessions};
use super::socket::{Peer, Socket};
use super::spelling::Spelling;
use super::statements::Statements;
use super::tls::{self, Handshake};
use super::url::{Target, place};

/// Opens connections to one database.
pub(super) struct Connector {
    /// The setting it was made from, for people.
    key: &'static str,
    target: Target,
    role: Role,
    /// What is known of the server where it is one of several.
    standing: Option<Arc<Standing>>,
    tls: Option<TlsConnector>,
    greetings: Greetings,
    /// Found out by the first connection.
    sessions: OnceCell<Sessions>,
    /// How statements are spelt where nothing can be prepared.
    spellings: Arc<Mutex<Statements<Spelling>>>,
    /// Owns the tasks that drive the connections.
    tasks: Tasks,
    statements: usize,
    open: Gauge,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// One user at a time.
    Exclusive,
    /// Short statements of many at once.
    Shared,
}

/// What is set first on a connection.
#[derive(Debug, Clone)]
pub(super) struct Greetings {
    pub(super) exclusive: String,
    pub(super) shared: String,
}

/// How many texts the spelling of which is remembered.
const SPELLINGS: usize = 4_096;
/// Asked first on every connection.
const WHO: &str = "\
select pg_is_in_recovery() as in_recovery, coalesce(pg_last_wal_replay_lsn(), '0/0') as replayed,
       (extract(epoch from pg_postmaster_start_time()) * 1000000)::bigint as life";

/// What a server says of itself first.
struct Greeted {
    in_recovery: bool,
    /// How far a standby has replayed.
    replayed: u64,
    /// When it was started, in microseconds of its own clock.
    life: i64,
}

impl Greeted {
    fn of(answer: &[SimpleQueryMessage]) -> Self {
        let row = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let text = |name| row.and_then(|row| row.get(name));
        Self {
            in_recovery: text("in_recovery") == Some("t"),
            replayed: fleet::lsn(text("replayed")).unwrap_or_default(),
            life: text("life").and_then(|life| life.parse().ok()).unwrap_or_default(),
        }
    }
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
    #[expect(clippy::too_many_arguments, reason = "made in one place, from as many things")]
    pub(super) fn new(
        key: &'static str,
        target: Target,
        role: Role,
        standing: Option<Arc<Standing>>,
        config: &Config,
        statement_timeout: Duration,
        tasks: Tasks,
        open: Gauge,
    ) -> Result<Self, String> {
        let tls = tls::connector(&target.tls)?;
        let sessions = match config.pooler {
            Pooler::Auto => OnceCell::new(),
            Pooler::None => OnceCell::new_with(Some(Sessions::Ours)),
            Pooler::Transaction => OnceCell::new_with(Some(Sessions::Pooled)),
        };
        let greetings = config.greetings(statement_timeout);
        let spellings = Arc::new(Mutex::new(Statements::new(SPELLINGS)));
        Ok(Self {
            key,
            target,
            role,
            standing,
            tls,
            greetings,
            sessions,
            spellings,
            tasks,
            statements: config.statements,
            open,
        })
    }

    pub(super) fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Opens one connection, to the first server that accepts one, and makes it ready for its use.
    pub(super) async fn connect(&self, until: Instant, purpose: Use) -> Result<Box<Connection>, Refusal> {
        let sessions = self.sessions(until).await?;
        let memory = match sessions {
            Sessions::Ours => Memory::Named(Mutex::new(Statements::new(self.statements))),
            Sessions::Pooled => Memory::Unnamed(self.spellings.clone()),
        };
        let connection = self.open(until, memory, None, true).await?;
        // A setting would stay with the pooler's connection, and trouble whoever gets it next.
        if sessions == Sessions::Ours {
            let greeting = match purpose {
                Use::Exclusive => &self.greetings.exclusive,
                Use::Shared => &self.greetings.shared,
            };
            let greeted = timeout_at(until, connection.client().batch_execute(greeting)).await;
            greeted.map_err(|_| self.silent())?.map_err(|error| self.explain(&error, "the database"))?;
        }
        Ok(connection)
    }

    /// As [`connect`](Self::connect), with an ear for what the server pushes.
    pub(super) async fn connect_hearing(&self, ear: Ear, until: Instant) -> Result<Box<Connection>, Refusal> {
        let memory = Memory::Named(Mutex::new(Statements::new(self.statements)));
        self.open(until, memory, Some(ear), true).await
    }

    /// Opens a connection to find out who is there, whoever that is.
    pub(super) async fn survey(&self, until: Instant) -> Result<Box<Connection>, Refusal> {
        self.open(until, Memory::Unnamed(self.spellings.clone()), None, false).await
    }

    /// Which life of the server is reached at present: when it was started.
    pub(super) async fn life(&self, until: Instant) -> Result<i64, Refusal> {
        let memory = Memory::Unnamed(self.spellings.clone());
        let connection = self.open(until, memory, None, true).await?;
        let answer = timeout_at(until, connection.client().simple_query(WHO)).await;
        let answer =
            answer.map_err(|_| self.silent())?.map_err(|error| self.explain(&error, "the database"))?;
        Ok(Greeted::of(&answer).life)
    }

    /// Whether sessions were found out to be a pooler's. Not before the first connection.
    pub(super) fn is_pooled(&self) -> bool {
        self.sessions.get() == Some(&Sessions::Pooled)
    }

    /// Whether sessions last; found out once.
    pub(super) async fn sessions(&self, until: Instant) -> Result<Sessions, Refusal> {
        let find_out = async || {
            let memory = || Memory::Unnamed(self.spellings.clone());
            let fresh = || self.open(until, memory(), None, true);
            let (one, other) = futures_util::future::join(fresh(), fresh()).await;
            // A server with room for one connection only is no reason to fail.
            let (one, Ok(other)) = (one?, other) else { return Ok(Sessions::Ours) };
            let found = timeout_at(until, pooler::detect(one.client(), other.client())).await;
            let found =
                found.map_err(|_| self.silent())?.map_err(|error| self.explain(&error, "the database"))?;
            if found == Sessions::Pooled {
                tracing::info!(
                    "the database is reached through a transaction pooler: statements are parsed anew each time, and \
                     time limits are the server's own"
                );
            }
            Ok(found)
        };
        self.sessions.get_or_try_init(find_out).await.copied()
    }

    fn silent(&self) -> Refusal {
        Refusal::passing("the database accepted a connection and did not answer on it".to_owned())
    }

    async fn open(
        &self,
        until: Instant,
        memory: Memory,
        ear: Option<Ear>,
        is_choosy: bool,
    ) -> Result<Box<Connection>, Refusal> {
        // All at once: one that swallows what it is sent shall not hold up the way to the others.
        let mut tries: FuturesUnordered<_> = self
            .target
            .servers()
            .map(|(index, host, port)| {
                let ear = ear.clone();
                async move {
                    let opened = self.connect_to(index, &host, port, ear, until).await?;
                    if is_choosy {
                        self.admit(&opened.greeted, &place(&host, port), until).await?;
                    }
                    Ok::<_, Refusal>(opened)
                }
            })
            .collect();
        let mut refusals = Vec::new();
        while let Some(tried) = tries.next().await {
            match tried {
                Ok(opened) => return Ok(Box::new(opened.into_connection(memory, &self.open))),
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
    ) -> Result<Opened, Refusal> {
        let (place, key) = (place(host, port), self.key);
        let started = Instant::now();
        let late = || {
            let waited = format_duration(Duration::from_millis(started.elapsed().as_millis() as u64));
            Refusal::passing(format!(
                "{place} did not answer within {waited}; check host and port in `{key}`, and the firewall"
            ))
        };
        let opening = async {
            let peers = resolve(host, port, &place, key).await?;
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
    ) -> Result<Opened, Refusal> {
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
        let answer = client.simple_query(WHO).await;
        let answer = answer.map_err(|error| self.explain(&error, place))?;
        let greeted = Greeted::of(&answer);
        if let (Some(standing), true, Role::Any) = (&self.standing, greeted.in_recovery, self.role) {
            // Before anybody may use it: it may have come back behind where it was.
            standing.replayed.born(greeted.replayed);
        }
        Ok(Opened { client, driver, peer, name, greeted })
    }

    /// Whether a server that answered so may be used.
    async fn admit(&self, greeted: &Greeted, place: &str, until: Instant) -> Result<(), Refusal> {
        if greeted.in_recovery {
            return match self.role {
                Role::Any => Ok(()),
                // Passing: it may be promoted, and then it is the one.
                Role::Primary => Err(Refusal::passing(format!(
                    "{place} is a standby in recovery, which takes no writes; name the primary in `{}`",
                    self.key
                ))),
            };
        }
        match &self.standing {
            Some(standing) if !standing.is_confirmed(greeted.life, until).await => {
                Err(Refusal::passing(format!(
                    "{place} takes writes, and is not known to be the present primary: it may have been left behind by \
                     a promotion, or `{}` names another database",
                    self.key
                )))
            }
            _ => Ok(()),
        }
    }

    /// A handshake with the server of this name; for connections and for cancel requests.
    pub(super) fn handshake(&self, name: String) -> Handshake {
        Handshake { connector: self.tls.clone(), name }
    }

    fn explain(&self, error: &tokio_postgres::Error, place: &str) -> Refusal {
        let (user, key) = (self.target.user(), self.key);
        if let Some(db) = error.as_db_error() {
            let said = db.message();
            return match db.code() {
                code if *code == SqlState::INVALID_PASSWORD => Refusal::lasting(format!(
                    "{place} refused the password of user `{user}`; check user and password in `{key}`"
                )),
                code if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION => Refusal::lasting(format!(
                    "{place} does not let user `{user}` in: {said}; check the user in `{key}`, and \
                     pg_hba.conf on the server"
                )),
                code if *code == SqlState::INVALID_CATALOG_NAME => Refusal::lasting(format!(
                    "{place} has no database `{0}`; create it (createdb {0}) or correct `{key}`",
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
                "{place} offers no TLS, and `{key}` asks for it; switch on `ssl` on the server, or write \
                 sslmode=disable where the network is trusted"
            ));
        }
        if cause.contains("invalid peer certificate") {
            return Refusal::lasting(format!(
                "the certificate of {place} is not trusted: {cause}; name its authority with \
                 sslrootcert=/path/to/ca.pem in `{key}`, and the host as the certificate does"
            ));
        }
        if cause.contains("TLS handshake") {
            return Refusal::passing(format!("{place}: {cause}; is it Postgres that answers there?"));
        }
        if cause.contains("password missing") {
            return Refusal::lasting(format!(
                "{place} wants a password of user `{user}`, and `{key}` has none; write \
                 postgres://{user}:PASSWORD@..."
            ));
        }
        Refusal::passing(format!(
            "{place} broke the connection off: {cause}; is it Postgres that answers there?"
        ))
    }
}

/// A connection on which nothing was done yet.
struct Opened {
    client: Client,
    driver: Task<()>,
    peer: Peer,
    name: String,
    greeted: Greeted,
}

impl Opened {
    fn into_connection(self, memory: Memory, open: &Gauge) -> Connection {
        Connection::new(self.client, self.driver, self.peer, self.name, memory, open)
    }
}

async fn resolve(host: &Host, port: u16, place: &str, key: &str) -> Result<Vec<Peer>, Refusal> {
    match host {
        Host::Tcp(name) => {
            let found = tokio::net::lookup_host((name.as_str(), port)).await;
            let peers = found.map(|found| found.map(Peer::Tcp).collect::<Vec<_>>());
            match peers {
                Ok(peers) if !peers.is_empty() => Ok(peers),
                Ok(_) => Err(Refusal::passing(format!("the host of {place} has no address"))),
                Err(error) => Err(Refusal::passing(format!(
                    "the host of {place} is not known ({error}); check the name in `{key}`"
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
