//! Postgres, on `tokio-postgres`.
//!
//! What this is: the way to one server, and [`fleet`] the way to a primary and its replicas. What it is not: an ORM, a SQL parser, or a pooler for others.
//!
//! ```text
//!   Pool ── query, execute ──┬── Shared ── a place among many ─────────────┐
//!     │                      └── Exclusive ── a Lease for one statement ───┼── Connection ── Connector ── server
//!     ├──── begin ── Session ── a Lease for a transaction ─────────────────┤
//!     └──── stream ── a Session until the last row ────────────────────────┘
//! ```
//!
//! Short statements of many requests share a few connections and are sent without waiting for the answers before them
//! ([`shared`]); what is slow, or not yet known to be fast, and what needs a session, takes a connection of its own
//! ([`exclusive`]). The API's shape and the statement's record choose; SQL is never parsed for it.
//!
//! # Invariants
//! - Deadlines hold. A caller has its answer, or its error, at its deadline; a write that is being ended may take
//!   [`GRACE`] longer, because *it was not done* is worth the wait.
//! - A write that may have happened is never repeated and never called undone: its answer lost is
//!   [`Fault::OutcomeUnknown`]. A read whose connection broke is repeated once.
//! - Nothing half-done is handed on: see [`exclusive`].
//!
//! # When it breaks
//! Without a server, calls fail with [`Fault::Unavailable`] within the acquire timeout, later at once; when it is back
//! they succeed again, without a restart. What the server says is sorted in `fault`.

mod bind;
mod config;
mod connect;
mod connection;
mod exchange;
mod exclusive;
mod fault;
mod fleet;
mod holders;
mod outage;
mod places;
mod pooler;
mod session;
mod shared;
mod socket;
mod spelling;
mod statements;
mod tls;
mod url;

use std::sync::Arc;
use std::time::Duration;

use burgeon_core::{Ctx, Deadline, Position, Secret};
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_postgres::{Error, Row};

pub(crate) use self::bind::called;
pub use self::config::Config;
pub(crate) use self::connection::Connection;
pub(crate) use self::exchange::Exchange;
pub(crate) use self::fault::words;
pub use self::fleet::{Config as Routing, Server as ServerView};
pub(crate) use self::fleet::{Fleet, Standing};
pub use self::pooler::Pooler;
pub(crate) use self::session::Session;

use self::connect::{Connector, Refusal, Use};
use self::connection::Answer;
use self::exclusive::{Exclusive, Lease, State};
use self::fault::Failure;
use self::outage::Outage;
use self::pooler::Sessions;
use self::shared::{Outcome, Shared, Way};
use self::url::Target;
use crate::stmt::{Class, Place, Text};
use crate::{Fault, Value, clock};

/// How much longer than its deadline a write may take that is being cancelled.
const GRACE: Duration = Duration::from_millis(250);

/// One server: where it is, what it may be, and what the pool's meters call it.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) url: Secret,
    /// Of several servers in the URL only this one.
    pub(crate) only: Option<usize>,
    pub(crate) role: Role,
    /// The label `server` of the pool's meters: `primary`, `db-2:5432`.
    pub(crate) name: String,
    /// What is known of it, where it is one of several.
    pub(crate) standing: Option<Arc<Standing>>,
}

/// What a server may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It must take writes; a standby is refused.
    Primary,
    /// A standby will do.
    Any,
}

/// The way to one server. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Pool {
    shared: Option<Shared>,
    exclusive: Exclusive,
    connector: Arc<Connector>,
    direct: Option<Direct>,
    statement_timeout: Duration,
    connect_timeout: Duration,
    causal: bool,
}

/// The way past a transaction pooler. Of the servers that it names it leads to the one that `database.url` reaches: known
/// by its life, since the two ways have nothing else in common.
#[derive(Clone)]
struct Direct {
    connector: Arc<Connector>,
    standing: Arc<Standing>,
    /// Several servers are watched, and whoever is found to be the primary is confirmed in `standing`.
    follows: bool,
}

impl Pool {
    /// A pool that connects in its own time: for a server that may be away when the program starts.
    pub(crate) fn new(
        config: &crate::Config,
        server: &Server,
        tasks: &Tasks,
        meters: &Meters,
    ) -> Result<Self, Fault> {
        let unusable =
            |key: &'static str| move |why: String| Fault::Unusable { why: format!("`{key}`: {why}") };
        let own = &config.postgres;
        let labels = [("server", server.name.as_str())];
        let open = meters.gauge("db_pool_connections", "Connections to Postgres that are open.", &labels);
        let connector = |key, target, role, standing, own: &Config| -> Result<_, Fault> {
            let (timeout, tasks) = (config.statement_timeout, tasks.part());
            let connector = Connector::new(key, target, role, standing, own, timeout, tasks, open.clone());
            connector.map(Arc::new).map_err(unusable(key))
        };
        let direct = match own.direct_url.expose() {
            "" => None,
            _ => {
                let key = "database.postgres.direct_url";
                let target = Target::parse(&own.direct_url).map_err(unusable(key))?;
                let past = Config { pooler: Pooler::None, ..own.clone() };
                // Where there is one server, what it is known as is found out each time the way is taken.
                let standing = server.standing.clone().unwrap_or_default();
                let connector = connector(key, target, Role::Primary, Some(standing.clone()), &past)?;
                Some(Direct { connector, standing, follows: server.standing.is_some() })
            }
        };
        let key = "database.url";
        let target = Target::parse(&server.url).map_err(unusable(key))?.only(server.only);
        let connector = connector(key, target, server.role, server.standing.clone(), own)?;
        let outage = Arc::new(Outage::none());
        let limits = exclusive::Limits {
            connections: own.connections(),
            acquire: config.acquire_timeout,
            connect: own.connect_timeout,
            idle: own.idle_timeout,
            lifetime: own.max_lifetime,
        };
        let exclusive =
            Exclusive::new(connector.clone(), outage.clone(), limits, tasks, meters, &server.name);
        let limits = shared::Limits {
            connections: own.shared(),
            in_flight: own.in_flight,
            waiting: own.waiting,
            acquire: config.acquire_timeout,
            connect: own.connect_timeout,
            timeout: own.shared_timeout.min(config.statement_timeout),
            slow: own.slow_statement,
            lifetime: own.max_lifetime,
        };
        let shared = || Shared::new(connector.clone(), outage, limits, tasks, meters, &server.name);
        Ok(Self {
            shared: own.pipelining.then(shared),
            exclusive,
            connector,
            direct,
            statement_timeout: config.statement_timeout,
            connect_timeout: own.connect_timeout,
            causal: own.causal_position || server.standing.is_some(),
        })
    }

    /// Connects once, so that what is wrong with the settings is known now.
    pub(crate) async fn probe(&self) -> Result<(), Fault> {
        self.exclusive.probe(self.connect_timeout).await
    }

    /// Whether a pooler stands in between, so that the server may be restarted, or another, under an open connection.
    fn is_pooled(&self) -> bool {
        self.connector.is_pooled()
    }

    /// Whether commits ask for their place in the log.
    pub(crate) fn is_causal(&self) -> bool {
        self.causal
    }

    /// Opens connections to the server.
    fn connector(&self) -> &Connector {
        &self.connector
    }

    /// One statement, committed by itself; its rows.
    ///
    /// The class is the handle's. There is one server so far, and it answers both.
    pub(crate) async fn query(
        &self,
        ctx: &Ctx,
        text: &Text,
        params: &[Value],
        _: Class,
    ) -> Result<Vec<Row>, Fault> {
        self.alone(ctx, text, params).await.map(|answer| answer.rows)
    }

    /// One statement, committed by itself; how many rows it touched.
    pub(crate) async fn execute(&self, ctx: &Ctx, text: &Text, params: &[Value]) -> Result<u64, Fault> {
        self.alone(ctx, text, params).await.map(|answer| answer.touched)
    }

    /// One reading statement, if the server has replayed the log up to `position`; `None` if it has not, or is no
    /// standby any more. Both questions travel together on one connection, so a *yes* costs no round trip. Behind a
    /// pooler they travel as one transaction.
    pub(crate) async fn query_if_replayed(
        &self,
        ctx: &Ctx,
        text: &Text,
        params: &[Value],
        position: Position,
    ) -> Result<Option<Vec<Row>>, Fault> {
        let until = clock::deadline(ctx, self.statement_timeout).instant();
        let mut own = None;
        // A pooler may answer the two questions from two servers, unless they are one transaction; which nobody can have
        // on a connection that others use.
        if let Some(shared) = self.shared.as_ref().filter(|_| !self.is_pooled()) {
            match self.by_shared(shared, ctx, text, params, until, shared::Wants::Replayed(position)).await {
                Routed::Done(answered) => return answered.map(|answer| answer.map(|answer| answer.rows)),
                Routed::Own(lease) => own = lease,
            }
        }
        Box::pin(self.replayed_alone(ctx, own, text, params, position)).await
    }

    /// Begins a transaction, which ends at `deadline` at the latest.
    pub(crate) async fn begin(
        &self,
        ctx: &Ctx,
        deadline: Deadline,
        place: Place,
        class: Class,
    ) -> Result<Session, Fault> {
        self.begin_as(ctx, deadline, "transaction", place, class).await
    }

    async fn begin_as(
        &self,
        ctx: &Ctx,
        deadline: Deadline,
        name: &'static str,
        place: Place,
        class: Class,
    ) -> Result<Session, Fault> {
        let mut again = true;
        let patience = self.exclusive.patience(ctx);
        loop {
            let lease = self.exclusive.acquire(patience, name, place).await?;
            match Session::begin(lease, self, deadline, class).await {
                // Nothing was done yet, so a connection that turns out to be dead may be replaced.
                Err(Failure::Lost(_)) if again => again = false,
                other => return other.map_err(|failure| failure.into_fault(Class::Read)),
            }
        }
    }

    /// Whether the server answers.
    pub(crate) async fn health(&self, ctx: &Ctx) -> Result<(), Fault> {
        let place = std::panic::Location::caller().into();
        // Refused in a flood, it would take a node out that serves.
        let patience = self.exclusive.patience(ctx).of_a_probe();
        let mut lease = self.exclusive.acquire(patience, "health", place).await?;
        lease.mark(State::Busy);
        let until = Instant::from_std(clock::deadline(ctx, self.statement_timeout).instant());
        match timeout_at(until, lease.connection().answers()).await {
            Ok(true) => {
                lease.mark(State::Clean);
                Ok(())
            }
            Ok(false) => Err(Fault::Unavailable { why: "the connection broke".to_owned() }),
            Err(_) => {
                Err(Fault::Timeout { whose: "asking the server".to_owned(), after: self.statement_timeout })
            }
        }
    }

    /// Gives no connection out any more, and waits for those in use.
    pub(crate) async fn close(&self) {
        const LIMIT: Duration = Duration::from_secs(5);
        if let Some(shared) = &self.shared {
            shared.close(LIMIT).await;
        }
        self.exclusive.close(LIMIT).await;
    }

    /// A connection outside the pool, for what takes long and needs a session of its own: migrations.
    pub(crate) async fn direct(&self, until: Instant) -> Result<Box<Connection>, Fault> {
        let connector = self.with_sessions("migrating", until).await?;
        connector.connect(until, Use::Exclusive).await.map_err(Refusal::into_fault)
    }

    /// The way to the server for what needs a session that lasts.
    async fn with_sessions(&self, what: &str, until: Instant) -> Result<&Connector, Fault> {
        let connector = match &self.direct {
            None => &self.connector,
            Some(direct) => {
                if !direct.follows {
                    direct.standing.confirm(self.connector.life(until).await.map_err(Refusal::into_fault)?);
                }
                &direct.connector
            }
        };
        if connector.sessions(until).await.map_err(Refusal::into_fault)? == Sessions::Pooled {
            return Err(Fault::Unusable {
                why: format!(
                    "{what} needs a session that lasts (an advisory lock, a subscription, settings), which the transaction \
                     pooler in `database.url` does not give; name the server itself in \
                     `database.postgres.direct_url`"
                ),
            });
        }
        Ok(connector)
    }

    /// How long opening a connection may take.
    pub(crate) fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    /// One statement alone, on the way that suits it.
    async fn alone(&self, ctx: &Ctx, text: &Text, params: &[Value]) -> Result<Answer, Fault> {
        let until = clock::deadline(ctx, self.statement_timeout).instant();
        let wants_position = self.causal && text.class() == Class::Write;
        let mut own = None;
        if let Some(shared) = &self.shared {
            let wants = if wants_position { shared::Wants::Position } else { shared::Wants::Nothing };
            match self.by_shared(shared, ctx, text, params, until, wants).await {
                Routed::Done(answered) => return answered?.ok_or(Fault::NoRow),
                Routed::Own(lease) => own = lease,
            }
        }
        // Boxed: the long way is large and rare, and every statement's future would carry it.
        Box::pin(self.on_its_own(ctx, own, text, params, until, wants_position)).await
    }

    /// Sends a statement to the shared connections, if they suit it.
    async fn by_shared(
        &self,
        shared: &Shared,
        ctx: &Ctx,
        text: &Text,
        params: &[Value],
        until: std::time::Instant,
        wants: shared::Wants,
    ) -> Routed {
        let way = shared.way(text);
        let mut patient = false;
        let mut ask = way == Way::Either;
        loop {
            if way == Way::Exclusive {
                return Routed::Own(None);
            }
            if ask {
                let patience = self.exclusive.patience(ctx);
                // Boxed: it may open a connection, which is large and rare.
                match Box::pin(self.exclusive.try_acquire(patience, text.name(), text.place())).await {
                    Some(Ok(lease)) => return Routed::Own(Some(lease)),
                    Some(Err(fault)) => return Routed::Done(Err(fault)),
                    None => {}
                }
            }
            match shared.run(ctx, text, params, until, wants, patient).await {
                Outcome::Answered(answer) => return Routed::Done(Ok(answer)),
                Outcome::Failed(fault) => return Routed::Done(Err(fault)),
                Outcome::TooLong => return Routed::Own(None),
                Outcome::Stalled => (ask, patient) = (true, true),
            }
        }
    }

    /// The walk of one statement on a connection of its own.
    async fn on_its_own(
        &self,
        ctx: &Ctx,
        mut own: Option<Lease>,
        text: &Text,
        params: &[Value],
        until: std::time::Instant,
        wants_position: bool,
    ) -> Result<Answer, Fault> {
        let started = clock::now();
        let until = Instant::from_std(until);
        let patience = self.exclusive.patience(ctx);
        let late = || timed_out(text, started);
        let (mut replays, mut lessons) = (1, 3);
        loop {
            let mut lease = match own.take() {
                Some(lease) => lease,
                None => self.exclusive.acquire(patience, text.name(), text.place()).await?,
            };
            lease.mark(State::Busy);

            let prepared = match lease.connection().prepared(text) {
                Some(prepared) => prepared,
                None => match timeout_at(until, lease.connection().prepare(text, params)).await {
                    Ok(Ok(prepared)) => prepared,
                    Ok(Err(error)) => match fault::failure(error) {
                        Failure::Answered(answer) => {
                            lease.mark(State::Clean);
                            return Err(fault::timed(answer, text, started));
                        }
                        // Preparing does nothing, so the class does not matter here.
                        Failure::Lost(_) if replays > 0 => {
                            replays -= 1;
                            continue;
                        }
                        lost => return Err(lost.into_fault(Class::Read)),
                    },
                    Err(_) => return Err(late()),
                },
            };

            let sent = clock::now();
            let outcome = {
                let run = lease.connection().run(text, &prepared, params);
                within(&lease, until, text.class(), self.with_position(&lease, run, wants_position)).await
            };
            let error = match outcome {
                Bounded::Answered(Ok((answer, position))) => {
                    lease.mark(State::Clean);
                    ctx.advance(position);
                    if let Some(shared) = &self.shared {
                        let took = clock::now().saturating_duration_since(sent);
                        shared.took_alone(text, sent.saturating_duration_since(started), took);
                    }
                    return Ok(answer);
                }
                Bounded::Answered(Err(error)) => error,
                // The lease is dropped as it is: somebody else's work to end it.
                Bounded::Late => {
                    self.outlived(text, sent);
                    return Err(late());
                }
                Bounded::Unknown => {
                    self.outlived(text, sent);
                    lease.mark(State::Doomed);
                    let why = format!("`{}` was not answered by its deadline", text.name());
                    return Err(Fault::OutcomeUnknown { why });
                }
            };
            if lessons > 0 && lease.connection().learn(text, &error) {
                lease.mark(State::Clean);
                lessons -= 1;
                own = Some(lease);
                continue;
            }
            match fault::failure(error) {
                Failure::Answered(answer) => {
                    lease.mark(State::Clean);
                    return Err(fault::timed(answer, text, started));
                }
                Failure::Lost(_) if replays > 0 && text.class() == Class::Read => replays -= 1,
                lost => return Err(lost.into_fault(text.class())),
            }
        }
    }

    /// A caller left; what is known of the statement's pace is that it was sent then.
    fn outlived(&self, text: &Text, sent: std::time::Instant) {
        if let Some(shared) = &self.shared {
            shared.outlived(text, clock::now().saturating_duration_since(sent));
        }
    }

    /// A read that insists on a position, on a connection of its own.
    async fn replayed_alone(
        &self,
        ctx: &Ctx,
        mut own: Option<Lease>,
        text: &Text,
        params: &[Value],
        position: Position,
    ) -> Result<Option<Vec<Row>>, Fault> {
        let started = clock::now();
        let until = Instant::from_std(clock::deadline(ctx, self.statement_timeout).instant());
        let patience = self.exclusive.patience(ctx);
        let (mut replays, mut lessons) = (1, 3);
        loop {
            let mut lease = match own.take() {
                Some(lease) => lease,
                None => self.exclusive.acquire(patience, text.name(), text.place()).await?,
            };
            lease.mark(State::InTransaction);
            let error =
                match timeout_at(until, lease.connection().run_if_replayed(text, params, position)).await {
                    Ok(Ok(answer)) => {
                        lease.mark(State::Clean);
                        return Ok(answer.map(|answer| answer.rows));
                    }
                    Ok(Err(error)) => error,
                    Err(_) => return Err(timed_out(text, started)),
                };
            if lessons > 0 && lease.connection().learn(text, &error) {
                lease.mark(State::Clean);
                lessons -= 1;
                own = Some(lease);
                continue;
            }
            match fault::failure(error) {
                Failure::Answered(answer) => {
                    lease.mark(State::Clean);
                    return Err(fault::timed(answer, text, started));
                }
                Failure::Lost(_) if replays > 0 => replays -= 1,
                lost => return Err(lost.into_fault(Class::Read)),
            }
        }
    }

    /// Runs the statement, and asks for the log's position right behind it.
    async fn with_position(
        &self,
        lease: &Lease,
        run: impl Future<Output = Result<Answer, Error>>,
        wanted: bool,
    ) -> Result<(Answer, Position), Error> {
        if !wanted {
            return run.await.map(|answer| (answer, Position::START));
        }
        let (answer, position) = futures_util::future::join(run, lease.connection().position()).await;
        Ok((answer?, position))
    }
}

/// What became of a statement that was offered to the shared connections.
enum Routed {
    /// It was answered; `None` where the server had not come as far as was asked for.
    Done(Result<Option<Answer>, Fault>),
    /// It is to go on a connection of its own, for which one may be held already.
    Own(Option<Lease>),
}

/// How a piece of work that was given a deadline ended.
enum Bounded<T> {
    /// The server answered.
    Answered(Result<T, Error>),
    /// The deadline passed, and nothing can have been done.
    Late,
    /// The deadline passed, and the server did not say what became of it.
    Unknown,
}

/// Awaits work on a connection until the deadline. A read is left there and then; of a write the server is asked to
/// end it and to say what became of it.
async fn within<T>(
    lease: &Lease,
    until: Instant,
    class: Class,
    work: impl Future<Output = Result<T, Error>>,
) -> Bounded<T> {
    let mut work = std::pin::pin!(work);
    if let Ok(answered) = timeout_at(until, &mut work).await {
        return Bounded::Answered(answered);
    }
    if class == Class::Read {
        return Bounded::Late;
    }
    let ending = async {
        lease.connection().cancel(lease.connector()).await;
        // The rest of the grace: the answer to the cancelled statement is on its way.
        sleep(GRACE).await;
    };
    tokio::select! {
        biased;
        answered = &mut work => Bounded::Answered(answered),
        () = ending => Bounded::Unknown,
        () = sleep(GRACE) => Bounded::Unknown,
    }
}

fn timed_out(text: &Text, started: std::time::Instant) -> Fault {
    Fault::Timeout {
        whose: format!("the statement `{}`", text.name()),
        after: clock::now().saturating_duration_since(started),
    }
}
