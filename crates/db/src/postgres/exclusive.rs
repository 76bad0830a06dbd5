//! The exclusive pool: one connection, one user at a time.
//!
//! Bounded, and quick to fail: who gets no connection in time is told who holds them, where in the program and for how
//! long. The more critical go first, within a class whoever came first; where the line is full, what can be shed makes
//! room for what matters (see [`places`]).
//!
//! # Invariants
//! - There are never more connections than places: a place is given back only after its connection rests in the pool or
//!   is closed.
//! - A connection that comes back is clean. What was dropped half-way (a statement in flight, an open transaction) is
//!   cleaned in the background before anybody else gets the connection, or closed.
//! - No wait is longer than the acquire timeout or the request's deadline, whichever is shorter; the queue is
//!   bounded too.
//!
//! # When it breaks
//! A server that went away is tried again with growing, random pauses (see `outage`); its dead connections are
//! noticed by the tasks that drive them, or by a check before one is used that has long been idle. A request that
//! takes a second connection while it holds one may wait for itself when the pool is dry: it fails after the acquire
//! timeout, and the message shows both places.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use burgeon_core::{Criticality, Ctx, Result as CoreResult};
use burgeon_meter::{Counter, Histogram, Meters};
use burgeon_runtime::{Restart, Tasks};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::connect::{Connector, Refusal, Use};
use super::connection::Connection;
use super::holders::Holders;
use super::outage::{Next, Outage};
use super::places::{Place as Permit, Places, Refusal as NoPlace};
use crate::Fault;
use crate::stmt::Place;

/// After this much rest a connection is asked whether it still lives, before it is used.
const CHECK_AFTER: Duration = Duration::from_secs(15);
/// How long that answer may take.
const CHECK_LIMIT: Duration = Duration::from_millis(500);
/// How many may wait per connection; beyond, the least critical of them is refused at once.
const WAITING_PER_CONNECTION: usize = 128;
/// How long something dropped half-way may go on by itself before it is cancelled.
const PATIENCE: Duration = Duration::from_millis(10);
/// How long cleaning may take altogether before the connection is closed.
const CLEANING_LIMIT: Duration = Duration::from_millis(1_500);

/// What the pool is set to.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    pub(super) connections: usize,
    pub(super) acquire: Duration,
    pub(super) connect: Duration,
    pub(super) idle: Duration,
    pub(super) lifetime: Duration,
}

/// The pool. Cloning shares it.
#[derive(Clone)]
pub(super) struct Exclusive(Arc<Inner>);

struct Inner {
    connector: Arc<Connector>,
    limits: Limits,
    places: Places,
    // The last one in is the first one out, so that what is not needed grows old and is closed.
    #[expect(clippy::vec_box, reason = "a connection is moved by its box from here to its user and back")]
    idle: Mutex<Vec<Box<Connection>>>,
    holders: Holders,
    outage: Arc<Outage>,
    meters: PoolMeters,
}

struct PoolMeters {
    wait: Histogram,
    refused: Counter,
    opened: Counter,
    failed: Counter,
    abandoned: Counter,
    discarded: Counter,
}

/// For how long, and how urgently, somebody waits for a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    until: Instant,
    criticality: Criticality,
}

/// A connection, for as long as one holds this.
pub(super) struct Lease {
    connection: Option<Box<Connection>>,
    seat: Option<Seat>,
    pool: Exclusive,
    state: State,
}

/// What would have to be done before somebody else may have the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing.
    Clean,
    /// A statement may be in flight.
    Busy,
    /// A transaction may be open, and a statement in flight.
    InTransaction,
    /// It cannot be cleaned.
    Doomed,
}

/// A place and the name under which it is held.
struct Seat {
    number: usize,
    pool: Exclusive,
    _permit: Permit,
}

impl Patience {
    /// As urgent as can be, whoever asks.
    pub(super) fn of_a_probe(self) -> Self {
        Self { criticality: Criticality::CriticalPlus, ..self }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.pool.0.holders.stand(self.number);
    }
}

impl Exclusive {
    pub(super) fn new(
        connector: Arc<Connector>,
        outage: Arc<Outage>,
        limits: Limits,
        tasks: &Tasks,
        meters: &Meters,
        server: &str,
    ) -> Self {
        let waiting =
            meters.gauge("db_pool_waiting", "Callers that wait for a connection.", &[("server", server)]);
        let pool = Self(Arc::new(Inner {
            places: Places::new(limits.connections, limits.connections * WAITING_PER_CONNECTION, waiting),
            idle: Mutex::new(Vec::with_capacity(limits.connections)),
            holders: Holders::new(limits.connections),
            outage,
            meters: PoolMeters::new(meters, server),
            connector,
            limits,
        }));
        pool.keep(tasks);
        pool
    }

    /// How long somebody who asks now waits for a connection, and how urgent it is.
    pub(super) fn patience(&self, ctx: &Ctx) -> Patience {
        let own = Instant::now() + self.0.limits.acquire;
        let until = ctx.deadline().map_or(own, |deadline| own.min(Instant::from_std(deadline.instant())));
        Patience { until, criticality: ctx.criticality() }
    }

    /// A connection for exclusive use, named after who uses it.
    pub(super) async fn acquire(
        &self,
        patience: Patience,
        name: &'static str,
        place: Place,
    ) -> Result<Lease, Fault> {
        let started = Instant::now();
        if patience.until <= started {
            return Err(too_late());
        }
        let permit = match self.0.places.take(patience.criticality, patience.until).await {
            Ok(permit) => permit,
            Err(NoPlace::Shut) => return Err(closed()),
            Err(NoPlace::Dry) => {
                self.0.meters.refused.increment();
                return Err(self.dry(started.elapsed()));
            }
        };
        self.lend(permit, started, patience.until, name, place).await
    }

    /// As [`acquire`](Self::acquire), unless all are in use.
    pub(super) async fn try_acquire(
        &self,
        patience: Patience,
        name: &'static str,
        place: Place,
    ) -> Option<Result<Lease, Fault>> {
        let permit = self.0.places.try_take()?;
        let started = Instant::now();
        if patience.until <= started {
            return Some(Err(too_late()));
        }
        Some(self.lend(permit, started, patience.until, name, place).await)
    }

    async fn lend(
        &self,
        permit: Permit,
        started: Instant,
        until: Instant,
        name: &'static str,
        place: Place,
    ) -> Result<Lease, Fault> {
        let seat = Seat { number: self.0.holders.sit(name, place), pool: self.clone(), _permit: permit };
        let connection = match self.rested(until).await {
            Some(connection) => connection,
            None => self.open(until, self.0.limits.acquire).await.map_err(Refusal::into_fault)?,
        };
        self.0.meters.wait.record(started.elapsed());
        Ok(Lease { connection: Some(connection), seat: Some(seat), pool: self.clone(), state: State::Clean })
    }

    /// A resting connection that is known to live.
    async fn rested(&self, until: Instant) -> Option<Box<Connection>> {
        loop {
            let connection = self.idle().pop()?;
            if !connection.is_open() || connection.is_old(self.0.limits.lifetime) {
                self.discard(connection);
                continue;
            }
            if connection.idle() < CHECK_AFTER {
                return Some(connection);
            }
            let limit = until.min(Instant::now() + CHECK_LIMIT);
            match timeout_at(limit, connection.answers()).await {
                Ok(true) => return Some(connection),
                _ => self.discard(connection),
            }
        }
    }

    /// A new connection, for a caller who is told at once where the server has been away for longer than `patience`.
    async fn open(&self, until: Instant, patience: Duration) -> Result<Box<Connection>, Refusal> {
        let inner = &*self.0;
        loop {
            match inner.outage.next(Instant::now(), patience) {
                Next::Try => {}
                Next::Wait(at) if at < until => {
                    sleep_until(at).await;
                    // Somebody else may have found the server meanwhile, and be done with his connection.
                    if let Some(connection) = self.rested(until).await {
                        return Ok(connection);
                    }
                    continue;
                }
                Next::Wait(_) => {
                    return Err(Refusal::passing(inner.outage.why().unwrap_or_default()));
                }
                Next::GiveUp(why) => return Err(Refusal::passing(why)),
            }
            let limit = until.min(Instant::now() + inner.limits.connect);
            match inner.connector.connect(limit, Use::Exclusive).await {
                Ok(connection) => {
                    if inner.outage.over() {
                        tracing::info!("the database answers again");
                    }
                    inner.meters.opened.increment();
                    return Ok(connection);
                }
                Err(refusal) => {
                    inner.meters.failed.increment();
                    let now = Instant::now();
                    if inner.outage.why().is_none() {
                        tracing::warn!(why = refusal.why, "no connection to the database");
                    }
                    inner.outage.failed(now, &refusal.why);
                    if !refusal.passing || now >= until {
                        return Err(refusal);
                    }
                }
            }
        }
    }

    /// Opens a first connection, so that a wrong password is found at start and not by the first request.
    pub(super) async fn probe(&self, limit: Duration) -> Result<(), Fault> {
        let opened = self.open(Instant::now() + limit, limit).await;
        let connection = opened.map_err(|refusal| match refusal.passing {
            true => refusal.into_fault(),
            // Waiting mends no password; who starts the application shall read it now.
            false => Fault::Unusable { why: refusal.why },
        })?;
        self.give_back(connection);
        Ok(())
    }

    /// What the pool says of itself when it is dry.
    fn dry(&self, waited: Duration) -> Fault {
        // With the server away, it is not the holders' fault.
        if let Some(why) = self.0.outage.why() {
            return Fault::Unavailable { why };
        }
        let holders = self.0.holders.longest();
        let named: Vec<_> = holders.iter().take(5).map(ToString::to_string).collect();
        let waited = burgeon_core::units::format_duration(Duration::from_millis(waited.as_millis() as u64));
        Fault::Overloaded {
            what: format!(
                "no connection within {waited}: {} of {} in use, {} waiting; longest held: {}",
                holders.len(),
                self.0.limits.connections,
                self.0.places.waiting(),
                if named.is_empty() { "none".to_owned() } else { named.join(", ") }
            ),
        }
    }

    fn give_back(&self, mut connection: Box<Connection>) {
        if self.is_closed() || !connection.is_open() || connection.is_old(self.0.limits.lifetime) {
            return self.discard(connection);
        }
        connection.rest();
        self.idle().push(connection);
    }

    fn discard(&self, connection: Box<Connection>) {
        self.0.meters.discarded.increment();
        connection.abandon();
    }

    /// Cleans what was dropped half-way, or closes it. The seat is given up only then.
    fn clean(&self, connection: Box<Connection>, seat: Seat, state: State) {
        self.0.meters.abandoned.increment();
        self.0.holders.change(seat.number, |holder| holder.leaving = true);
        let pool = self.clone();
        let cleaning = async move {
            let clean = timeout(CLEANING_LIMIT, cleanse(&connection, &pool.0.connector, state)).await;
            if clean == Ok(true) {
                pool.give_back(connection);
            } else {
                pool.discard(connection);
            }
            drop(seat);
        };
        drop(self.0.connector.tasks().spawn("db.cleaning", cleaning));
    }

    #[expect(clippy::vec_box, reason = "a connection is moved by its box from here to its user and back")]
    fn idle(&self) -> MutexGuard<'_, Vec<Box<Connection>>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The task that closes what rests for too long, and everything at the end.
    fn keep(&self, tasks: &Tasks) {
        let weak = Arc::downgrade(&self.0);
        let turn = (self.0.limits.idle / 2).clamp(Duration::from_secs(1), Duration::from_secs(60));
        let stopping = tasks.stopping();
        drop(tasks.supervise("db.pool", Restart::default(), move || {
            let (weak, stopping) = (weak.clone(), stopping.clone());
            async move {
                loop {
                    tokio::select! {
                        () = stopping.cancelled() => {
                            if let Some(inner) = weak.upgrade() {
                                Exclusive(inner).shut();
                            }
                            return CoreResult::Ok(());
                        }
                        () = sleep(turn) => {}
                    }
                    let Some(pool) = weak.upgrade().map(Exclusive) else { return Ok(()) };
                    pool.reap();
                }
            }
        }));
    }

    fn reap(&self) {
        let done: Vec<_> = {
            let mut idle = self.idle();
            let limit = self.0.limits.idle;
            let (done, kept) = idle.drain(..).partition(|connection| {
                !connection.is_open()
                    || connection.idle() >= limit
                    || connection.is_old(self.0.limits.lifetime)
            });
            *idle = kept;
            done
        };
        for connection in done {
            self.discard(connection);
        }
    }

    fn is_closed(&self) -> bool {
        self.0.places.is_shut()
    }

    /// No connection is given out any more; those that rest are closed, those in use when they come back.
    fn shut(&self) {
        self.0.places.shut();
        for connection in std::mem::take(&mut *self.idle()) {
            self.discard(connection);
        }
    }

    /// Shuts, and waits until all connections have come back, for at most `limit`.
    pub(super) async fn close(&self, limit: Duration) {
        self.shut();
        // Who still holds one then is cut off when the owner of the tasks stops.
        if timeout(limit, self.0.places.emptied()).await.is_err() {
            let held: Vec<_> = self.0.holders.longest().iter().map(ToString::to_string).collect();
            tracing::warn!(
                held = held.join(", "),
                "connections were still in use when the database was closed"
            );
        }
        self.shut();
    }
}

impl Lease {
    pub(super) fn connection(&self) -> &Connection {
        match &self.connection {
            Some(connection) => connection,
            // Taken only by drop.
            None => unreachable!("a lease holds its connection until it is dropped"),
        }
    }

    pub(super) fn connector(&self) -> &Connector {
        &self.pool.0.connector
    }

    /// What must happen to the connection if this lease is dropped now.
    pub(super) fn mark(&mut self, state: State) {
        self.state = state;
    }

    /// Names the statement that runs in a transaction.
    pub(super) fn runs(&self, name: &'static str) {
        if let Some(seat) = &self.seat {
            self.pool.0.holders.change(seat.number, |holder| holder.last = Some(name));
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let (Some(connection), Some(seat)) = (self.connection.take(), self.seat.take()) else { return };
        match self.state {
            State::Clean => self.pool.give_back(connection),
            State::Doomed => self.pool.discard(connection),
            State::Busy | State::InTransaction if !connection.is_open() => self.pool.discard(connection),
            state => return self.pool.clean(connection, seat, state),
        }
        // Only now may the next one come: the connection rests, or is closed.
        drop(seat);
    }
}

/// Ends whatever the connection was doing. True when it is as new.
async fn cleanse(connection: &Connection, connector: &Connector, state: State) -> bool {
    let end = if state == State::InTransaction { "rollback" } else { "" };
    // It waits behind what is in flight.
    let mut ending = std::pin::pin!(connection.client().batch_execute(end));
    if let Ok(ended) = timeout(PATIENCE, &mut ending).await {
        return ended.is_ok();
    }
    if !connection.keeps_sessions() {
        return ending.await.is_ok();
    }
    if !connection.cancel(connector).await {
        return false;
    }
    let again = if ending.await.is_ok() { "" } else { end };
    // This answer also means that the cancel request is spent.
    connection.client().batch_execute(again).await.is_ok()
}

fn too_late() -> Fault {
    Fault::Timeout { whose: "the request, before it got a connection,".to_owned(), after: Duration::ZERO }
}

pub(super) fn closed() -> Fault {
    Fault::Unavailable { why: "the database was closed by this program; it is shutting down".to_owned() }
}

impl PoolMeters {
    fn new(meters: &Meters, server: &str) -> Self {
        let labels = [("server", server)];
        Self {
            wait: meters.histogram(
                "db_pool_wait_seconds",
                "How long callers waited for a connection.",
                &labels,
            ),
            refused: meters.counter(
                "db_pool_refused_total",
                "Callers that got no connection in time.",
                &labels,
            ),
            opened: meters.counter("db_connections_opened_total", "Connections opened.", &labels),
            failed: meters.counter(
                "db_connections_failed_total",
                "Tries to open a connection that failed.",
                &labels,
            ),
            abandoned: meters.counter(
                "db_statements_abandoned_total",
                "Statements and transactions whose caller left before their end.",
                &labels,
            ),
            discarded: meters.counter("db_connections_closed_total", "Connections closed.", &labels),
        }
    }
}
