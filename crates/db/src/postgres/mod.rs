//! Postgres, on `tokio-postgres`.
//!
//! What this is: the way to one primary. What it is not: an ORM, a SQL parser, or a pooler for others.
//!
//! ```text
//!   Pool ── query, execute ── a Lease for one statement ─┐
//!     ├──── begin ── Session ── a Lease for a transaction ┼── Exclusive ── Connection ── Connector ── server
//!     └──── stream ── a Session until the last row ───────┘
//! ```
//!
//! Today every statement takes a connection of its own for as long as it runs. That is where the rest goes:
//! a second sort of pool, *shared* and pipelined, beside [`exclusive`], which [`Pool::query`] and [`Pool::execute`]
//! choose for statements alone (never to be cancelled there: a cancel request addresses the connection, and would hit
//! a neighbour's statement); replicas as further pools that `query` picks from when its class is `Read` and their
//! replayed position has reached `ctx.position()`; shards as a map from key to such a group.
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
mod holders;
mod outage;
mod session;
mod socket;
mod statements;
mod tls;
mod url;

use std::time::Duration;

use burgeon_core::{Ctx, Deadline, Position, Secret};
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;
use futures_util::{Stream, StreamExt, stream};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_postgres::{Error, Row};

pub(crate) use self::bind::called;
pub use self::config::Config;
pub(crate) use self::exchange::Exchange;
pub(crate) use self::fault::words;
pub(crate) use self::session::Session;

use self::connect::Connector;
use self::connection::{Answer, Connection};
use self::exclusive::{Exclusive, Lease, Limits, State};
use self::fault::Failure;
use self::url::Target;
use crate::stmt::{Class, Place, Text};
use crate::{Fault, Value, clock};

/// How much longer than its deadline a write may take that is being cancelled.
const GRACE: Duration = Duration::from_millis(250);

/// One server: where it is, what it may be, and what the pool's meters call it.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) url: Secret,
    pub(crate) role: Role,
    /// The label `server` of the pool's meters: `primary`, `replica-1`.
    pub(crate) name: String,
}

/// What a server may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It must take writes; a standby is refused.
    Primary,
    /// A standby will do.
    #[expect(dead_code, reason = "asked for by the routing between servers, which comes next")]
    Any,
}

/// What a pool is doing now, for routing and for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    /// Statements and transactions on their way or under way.
    pub(crate) in_flight: usize,
    /// Callers who wait for a place.
    pub(crate) waiting: usize,
    /// Statements that are kept off the shared connections because they are slow.
    pub(crate) slow: Vec<&'static str>,
}

/// The way to one server. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Pool {
    exclusive: Exclusive,
    statement_timeout: Duration,
    connect_timeout: Duration,
    causal: bool,
}

impl Pool {
    /// Connects once, so that what is wrong with the settings is known now.
    pub(crate) async fn open(
        config: &crate::Config,
        server: &Server,
        tasks: &Tasks,
        meters: &Meters,
    ) -> Result<Self, Fault> {
        let unusable = |why: String| Fault::Unusable { why: format!("`database.url`: {why}") };
        let own = &config.postgres;
        let target = Target::parse(&server.url).map_err(unusable)?;
        let labels = [("server", server.name.as_str())];
        let open = meters.gauge("db_pool_connections", "Connections to Postgres that are open.", &labels);
        let greeting = own.greeting(config.statement_timeout);
        let connector = Connector::new(target, server.role, greeting, own.statements, tasks.part(), open)
            .map_err(unusable)?;
        let limits = Limits {
            connections: own.connections(),
            acquire: config.acquire_timeout,
            connect: own.connect_timeout,
            idle: own.idle_timeout,
            lifetime: own.max_lifetime,
        };
        let exclusive = Exclusive::new(connector, limits, tasks, meters, &server.name);
        exclusive.probe(own.connect_timeout).await?;
        Ok(Self {
            exclusive,
            statement_timeout: config.statement_timeout,
            connect_timeout: own.connect_timeout,
            causal: own.causal_position,
        })
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
    /// standby any more. Both questions travel together on one connection, so a *yes* costs no round trip.
    #[expect(dead_code, reason = "asked by the routing between servers, which comes next")]
    pub(crate) async fn query_if_replayed(
        &self,
        ctx: &Ctx,
        text: &Text,
        params: &[Value],
        position: Position,
    ) -> Result<Option<Vec<Row>>, Fault> {
        let started = clock::now();
        let until = Instant::from_std(clock::deadline(ctx, self.statement_timeout).instant());
        let mut again = true;
        loop {
            let mut lease = self.exclusive.acquire(ctx, text.name(), text.place()).await?;
            lease.mark(State::Busy);
            let connection = lease.connection();
            let asking = async {
                let statement = match connection.prepared(text) {
                    Some(statement) => statement,
                    None => connection.prepare(text, params).await?,
                };
                // Polled in this order, so sent in this order: what is replayed then is seen by the query behind it.
                let replayed = connection.has_replayed(position);
                let (replayed, answer) =
                    futures_util::future::join(replayed, connection.run(&statement, params)).await;
                if replayed? { answer.map(Some) } else { Ok(None) }
            };
            let error = match timeout_at(until, asking).await {
                Ok(Ok(answer)) => {
                    lease.mark(State::Clean);
                    return Ok(answer.map(|answer| answer.rows));
                }
                Ok(Err(error)) => error,
                Err(_) => return Err(timed_out(text, started)),
            };
            if again && fault::is_stale(&error) {
                lease.connection().forget(text);
                lease.mark(State::Clean);
                again = false;
                continue;
            }
            match fault::failure(error) {
                Failure::Answered(answer) => {
                    lease.mark(State::Clean);
                    return Err(fault::timed(answer, text, started));
                }
                Failure::Lost(_) if again => again = false,
                lost => return Err(lost.into_fault(Class::Read)),
            }
        }
    }

    /// What it is doing now.
    #[expect(dead_code, reason = "asked by the routing between servers, which comes next")]
    pub(crate) fn view(&self) -> View {
        let (in_flight, waiting) = self.exclusive.load();
        View { in_flight, waiting, slow: Vec::new() }
    }

    /// Rows while later ones are still to come. The connection is held until the last one, or until it is dropped.
    pub(crate) fn stream(
        &self,
        ctx: &Ctx,
        text: Text,
        params: Vec<Value>,
        deadline: Deadline,
    ) -> impl Stream<Item = Result<Row, Fault>> + Send + 'static {
        let (pool, ctx) = (self.clone(), ctx.clone());
        let started = async move {
            // A transaction, because its `set local` is how a statement gets a limit of its own.
            let session = pool.begin_as(&ctx, deadline, text.name(), text.place(), Class::Read).await?;
            session.stream(text, params).await
        };
        stream::once(started).flat_map(|started| match started {
            Ok(rows) => rows.left_stream(),
            Err(fault) => stream::once(std::future::ready(Err(fault))).right_stream(),
        })
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
        loop {
            let lease = self.exclusive.acquire(ctx, name, place).await?;
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
        let mut lease = self.exclusive.acquire(ctx, "health", place).await?;
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
        self.exclusive.close(Duration::from_secs(5)).await;
    }

    /// A connection outside the pool, for what takes long and must not stand in anybody's way: migrations.
    pub(crate) async fn direct(&self, until: Instant) -> Result<Box<Connection>, Fault> {
        let connection = self.exclusive.connector().connect(until).await;
        connection.map_err(|refusal| Fault::Unavailable { why: refusal.why })
    }

    /// How long opening a connection may take.
    pub(crate) fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    /// The walk of one statement alone.
    async fn alone(&self, ctx: &Ctx, text: &Text, params: &[Value]) -> Result<Answer, Fault> {
        let started = clock::now();
        let until = Instant::from_std(clock::deadline(ctx, self.statement_timeout).instant());
        let late = || timed_out(text, started);
        let mut again = true;
        loop {
            let mut lease = self.exclusive.acquire(ctx, text.name(), text.place()).await?;
            lease.mark(State::Busy);

            let statement = match lease.connection().prepared(text) {
                Some(statement) => statement,
                None => match timeout_at(until, lease.connection().prepare(text, params)).await {
                    Ok(Ok(statement)) => statement,
                    Ok(Err(error)) => match fault::failure(error) {
                        Failure::Answered(answer) => {
                            lease.mark(State::Clean);
                            return Err(fault::timed(answer, text, started));
                        }
                        // Preparing does nothing, so the class does not matter here.
                        Failure::Lost(_) if again => {
                            again = false;
                            continue;
                        }
                        lost => return Err(lost.into_fault(Class::Read)),
                    },
                    Err(_) => return Err(late()),
                },
            };

            let outcome = {
                let run = lease.connection().run(&statement, params);
                let position = self.causal && text.class() == Class::Write;
                within(&lease, until, text.class(), self.with_position(&lease, run, position)).await
            };
            let error = match outcome {
                Bounded::Answered(Ok((answer, position))) => {
                    lease.mark(State::Clean);
                    ctx.advance(position);
                    return Ok(answer);
                }
                Bounded::Answered(Err(error)) => error,
                // The lease is dropped as it is: somebody else's work to end it.
                Bounded::Late => return Err(late()),
                Bounded::Unknown => {
                    lease.mark(State::Doomed);
                    let why = format!("`{}` was not answered by its deadline", text.name());
                    return Err(Fault::OutcomeUnknown { why });
                }
            };
            if again && fault::is_stale(&error) {
                lease.connection().forget(text);
                lease.mark(State::Clean);
                again = false;
                continue;
            }
            match fault::failure(error) {
                Failure::Answered(answer) => {
                    lease.mark(State::Clean);
                    return Err(fault::timed(answer, text, started));
                }
                Failure::Lost(_) if again && text.class() == Class::Read => again = false,
                lost => return Err(lost.into_fault(text.class())),
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
