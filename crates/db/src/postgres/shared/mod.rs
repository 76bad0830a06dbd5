//! The shared connections: a few of them carry the short statements of many requests at once.
//!
//! Each statement is sent without waiting for the answers before it, and the answers come back in order. What this is:
//! the fast way for a statement that is committed by itself. What it is not: a way for anything that takes long, because
//! everybody behind it waits; so what is slow, or not yet known to be fast, takes an [exclusive](super::exclusive)
//! connection (see [`pace`]), and so does what meets a lock or outlives `shared_timeout` here: it is ended by the
//! server, and run again there.
//!
//! ```text
//!   run ── gate: a place, or a turn in the line ── prepare once ── send ──> answer ── leave
//!                                                        │
//!                             caller gone before it: a marker is sent behind, the place is held until its answer
//! ```
//!
//! # Invariants
//! - No cancel request is ever sent for these connections: it addresses the connection, and would hit a neighbour's
//!   statement. What runs too long is ended by the limits that were set on the connection, and the caller goes at his
//!   deadline all the same.
//! - A read whose connection broke is repeated once. A write is never repeated: its answer lost is
//!   [`Fault::OutcomeUnknown`].
//! - Behind a transaction pooler no limit can be set on a connection; the pooler's and the role's apply.
//!
//! # When it breaks
//! A connection that ended is opened again at once, and after a failure with growing, random pauses (see `outage`);
//! meanwhile the others carry on, and with none left callers wait until their turn, their deadline, or the moment when
//! the outage is older than anybody would wait. A connection that was given work and answers nothing for longer than
//! the server lets a statement run is given up. So is one whose answers a caller does not take out because he is not
//! polled: results of more than some 20 kB hold up those behind them until then.

mod alarm;
mod gate;
mod pace;

use std::pin::{Pin, pin};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use burgeon_core::{Ctx, Position, Result as CoreResult};
use burgeon_meter::{Counter, Gauge, Meters};
use burgeon_runtime::{Restart, Tasks};
use futures_util::StreamExt;
use futures_util::future::join;
use futures_util::stream::FuturesUnordered;
use tokio::time::{sleep_until, timeout_at};

use self::alarm::{Alarm, by};
use self::gate::{Gate, Place, Refusal};
use self::pace::{Paces, Phase};
use super::GRACE;
use super::connect::{Connector, Use};
use super::connection::{Answer, Connection, Prepared};
use super::fault::{self, Failure};
use super::outage::{Next, Outage};
use crate::meters::StatementMeters;
use crate::stmt::{Class, Text};
use crate::{Fault, Value, clock};

/// How often the connections are looked after when nothing calls for it.
const ROUND: Duration = Duration::from_millis(250);
/// How much longer than a statement may run there a connection may be silent.
const SILENCE: Duration = Duration::from_secs(1);
/// While the server is away, a try that gets no answer is joined by another after this long: the one that meets the
/// server on its return shall not wait for one that met it on its leaving.
const TRY_EVERY: Duration = Duration::from_secs(1);

/// What the shared connections are set to.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    pub(super) connections: usize,
    pub(super) in_flight: usize,
    pub(super) waiting: usize,
    pub(super) acquire: Duration,
    pub(super) connect: Duration,
    pub(super) timeout: Duration,
    pub(super) slow: Duration,
    pub(super) lifetime: Duration,
}

/// The shared connections. Cloning shares them.
#[derive(Clone)]
pub(super) struct Shared(Arc<Inner>);

struct Inner {
    gate: Arc<Gate>,
    paces: Paces,
    connector: Arc<Connector>,
    outage: Arc<Outage>,
    limits: Limits,
    statements: StatementMeters,
    abandoned: Counter,
    moved: Counter,
}

/// Where a statement is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Here.
    Shared,
    /// To a connection of its own if one is free at once, else here.
    Either,
    /// To a connection of its own.
    Exclusive,
}

/// What is asked together with a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wants {
    Nothing,
    /// Where the log ends behind it, which the caller's context then knows.
    Position,
    /// That the server has replayed the log this far; else there is no answer.
    Replayed(Position),
}

/// How it went.
pub(super) enum Outcome {
    /// `None` where the server had not come as far as was asked for.
    Answered(Option<Answer>),
    Failed(Fault),
    /// Not done, because all connections are held up; it may be run elsewhere, or here with patience.
    Stalled,
    /// Not done, because it takes too long for here: it is to be run on a connection of its own.
    TooLong,
}

/// How far a statement has come; what is left behind when its future is dropped.
struct Flight<'a> {
    shared: &'a Shared,
    text: &'a Text,
    place: Option<Place>,
    /// `None`: nothing was sent on the place.
    sent: Option<Instant>,
}

impl Shared {
    pub(super) fn new(
        connector: Arc<Connector>,
        outage: Arc<Outage>,
        limits: Limits,
        tasks: &Tasks,
        meters: &Meters,
        server: &str,
    ) -> Self {
        let labels = [("server", server)];
        let gate = Gate::new(limits.connections, limits.in_flight, limits.waiting, meters, server);
        let shared = Self(Arc::new(Inner {
            gate: Arc::new(gate),
            paces: Paces::new(limits.slow),
            connector,
            outage,
            limits,
            statements: StatementMeters::new(meters),
            abandoned: meters.counter(
                "db_shared_abandoned_total",
                "Statements on shared connections whose caller left before the answer.",
                &labels,
            ),
            moved: meters.counter(
                "db_statements_moved_total",
                "How often a statement was found too slow for the shared connections.",
                &labels,
            ),
        }));
        shared.keep(tasks, meters, server);
        shared
    }

    /// Where this statement goes, by how it has done so far.
    pub(super) fn way(&self, text: &Text) -> Way {
        match self.0.paces.phase(text) {
            Phase::Fast => Way::Shared,
            Phase::Unknown | Phase::Slow => Way::Either,
            Phase::TooSlow => Way::Exclusive,
        }
    }

    /// One statement. `until` is when its caller leaves; who is not `patient` is sent away where he would wait behind
    /// one that takes long.
    pub(super) async fn run(
        &self,
        ctx: &Ctx,
        text: &Text,
        params: &[Value],
        until: Instant,
        wants: Wants,
        patient: bool,
    ) -> Outcome {
        let mut replays = u32::from(text.class() == Class::Read);
        let mut lessons = 3;
        let mut alarm = pin!(None);
        loop {
            let asked = clock::now();
            let place = match self.place(ctx, asked, until, patient, alarm.as_mut()).await {
                Ok(Some(place)) => place,
                Ok(None) => return Outcome::Stalled,
                Err(fault) => return Outcome::Failed(fault),
            };
            let connection = place.connection.clone();
            let mut flight = Flight { shared: self, text, place: Some(place), sent: None };
            let sent = clock::now();
            flight.sent = Some(sent);
            let queued = sent.saturating_duration_since(asked);

            let prepared = match connection.prepared(text) {
                Some(prepared) => Ok(prepared),
                None => {
                    // Boxed: once per statement and connection, and every run would carry it.
                    let preparing = Box::pin(connection.prepare_in_turn(text, params));
                    match by(alarm.as_mut(), until, preparing).await {
                        Some(prepared) => prepared,
                        // Preparing does nothing, and who left leaves a marker.
                        None => return Outcome::Failed(super::timed_out(text, asked)),
                    }
                }
            };
            let ran = match prepared {
                Ok(prepared) => {
                    // A write may take a little longer than its caller has, because *it was done* is worth it.
                    let grace = if text.class() == Class::Write { GRACE } else { Duration::ZERO };
                    let work = pin!(ask(ctx, &connection, text, &prepared, params, wants));
                    by(alarm.as_mut(), until + grace, work).await
                }
                Err(error) => Some(Err(error)),
            };
            let error = match ran {
                Some(Ok(answer)) => {
                    self.settle(flight, text, queued);
                    return Outcome::Answered(answer);
                }
                Some(Err(error)) => error,
                None if text.class() == Class::Write => {
                    let why = format!("`{}` was not answered by its deadline", text.name());
                    return Outcome::Failed(Fault::OutcomeUnknown { why });
                }
                None => return Outcome::Failed(super::timed_out(text, asked)),
            };

            if lessons > 0 && connection.learn(text, &error) {
                lessons -= 1;
                self.settle(flight, text, queued);
                continue;
            }
            if fault::was_too_long(&error) {
                flight.end();
                self.note_slow(text);
                return Outcome::TooLong;
            }
            match fault::failure(error) {
                Failure::Answered(answer) => {
                    self.settle(flight, text, queued);
                    return Outcome::Failed(fault::timed(answer, text, asked));
                }
                Failure::Lost(_) if replays > 0 => {
                    flight.broke();
                    replays -= 1;
                }
                lost => {
                    flight.broke();
                    return Outcome::Failed(lost.into_fault(text.class()));
                }
            }
        }
    }

    /// A place to send from; `None` where the wait would be behind one that takes long.
    async fn place(
        &self,
        ctx: &Ctx,
        now: Instant,
        until: Instant,
        patient: bool,
        mut alarm: Pin<&mut Alarm>,
    ) -> Result<Option<Place>, Fault> {
        let inner = &*self.0;
        let turn = until.min(now + inner.limits.acquire);
        if turn <= now {
            return Err(Fault::Timeout {
                whose: "the request, before its statement could be sent,".to_owned(),
                after: Duration::ZERO,
            });
        }
        let mut refusal = match inner.gate.take(ctx, now, turn, patient, alarm.as_mut()).await {
            Ok(place) => return Ok(Some(place)),
            Err(refusal) => refusal,
        };
        if matches!(refusal, Refusal::Away) {
            // A short outage is waited for; of a long one callers are told at once.
            if let Some(why) = inner.outage.lasts(now.into(), inner.limits.acquire) {
                // Who asks again and again must not keep the one from running who opens the connections.
                tokio::task::yield_now().await;
                return Err(Fault::Unavailable { why });
            }
            refusal = match inner.gate.take(ctx, now, turn, true, alarm).await {
                Ok(place) => return Ok(Some(place)),
                Err(refusal) => refusal,
            };
        }
        let waited = || {
            let waited = clock::now().saturating_duration_since(now);
            burgeon_core::units::format_duration(Duration::from_millis(waited.as_millis() as u64))
        };
        Err(match refusal {
            Refusal::Stalled => return Ok(None),
            Refusal::Closed => super::exclusive::closed(),
            Refusal::Away => Fault::Unavailable {
                why: inner.outage.why().unwrap_or_else(|| format!("no connection within {}", waited())),
            },
            Refusal::Full { in_flight, waiting } => Fault::Overloaded {
                what: format!(
                    "no place on {} shared connections within {}: {in_flight} statements under way, {waiting} callers \
                     waiting",
                    inner.limits.connections,
                    waited()
                ),
            },
        })
    }

    /// The server has answered: gives the place back, and notes how long it took.
    fn settle(&self, mut flight: Flight<'_>, text: &Text, queued: Duration) {
        let (Some(place), Some(sent)) = (flight.place.take(), flight.sent) else { return };
        let now = clock::now();
        let head = self.0.gate.leave(&place, sent, now);
        self.0.statements.spent(text, queued, now.saturating_duration_since(sent), head.took);
        if self.0.paces.took(text, head.took, Some(head.usual)) {
            self.tell_slow(text, head.took);
        }
    }

    /// It took so long on a connection of its own.
    pub(super) fn took_alone(&self, text: &Text, queued: Duration, took: Duration) {
        self.0.statements.spent(text, queued, took, took);
        if self.0.paces.took(text, took, None) {
            self.tell_slow(text, took);
        }
    }

    /// Its caller left a connection of its own after so long: it takes that long at least.
    pub(super) fn outlived(&self, text: &Text, waited: Duration) {
        if waited > self.0.limits.slow && self.0.paces.took(text, waited, None) {
            self.tell_slow(text, waited);
        }
    }

    fn note_slow(&self, text: &Text) {
        if self.0.paces.too_slow(text) {
            self.tell_slow(text, self.0.limits.timeout);
        }
    }

    fn tell_slow(&self, text: &Text, took: Duration) {
        self.0.moved.increment();
        tracing::info!(
            statement = text.name(),
            at = %text.place(),
            ?took,
            "too slow for the shared connections; it gets one of its own until it is faster"
        );
    }

    /// Gives no place any more, and waits until what is under way has been answered, for at most `limit`.
    pub(super) async fn close(&self, limit: Duration) {
        self.0.gate.shut();
        // What has not been answered by then ends with its connection.
        drop(timeout_at((clock::now() + limit).into(), self.0.gate.emptied()).await);
        self.0.gate.drop_connections();
    }

    /// The task that opens connections where they are missing.
    fn keep(&self, tasks: &Tasks, meters: &Meters, server: &str) {
        let labels = [("server", server)];
        let keeper = Keeper {
            gate: self.0.gate.clone(),
            connector: self.0.connector.clone(),
            outage: self.0.outage.clone(),
            limits: self.0.limits.clone(),
            alive: Arc::downgrade(&self.0),
            in_flight: meters.gauge(
                "db_shared_in_flight",
                "Statements under way on shared connections, as last looked at.",
                &labels,
            ),
            waiting: meters.gauge(
                "db_shared_waiting",
                "Callers that wait for a place on a shared connection, as last looked at.",
                &labels,
            ),
        };
        let keeper = Arc::new(keeper);
        let stopping = tasks.stopping();
        drop(tasks.supervise("db.shared", Restart::default(), move || {
            let (keeper, stopping) = (keeper.clone(), stopping.clone());
            async move {
                tokio::select! {
                    () = stopping.cancelled() => {
                        keeper.gate.shut();
                        keeper.gate.drop_connections();
                    }
                    () = keeper.run() => {}
                }
                CoreResult::Ok(())
            }
        }));
    }
}

/// Sends the statement, and what goes with it, and awaits the answers.
async fn ask(
    ctx: &Ctx,
    connection: &Connection,
    text: &Text,
    prepared: &Prepared,
    params: &[Value],
    wants: Wants,
) -> Result<Option<Answer>, tokio_postgres::Error> {
    let run = || connection.run(text, prepared, params);
    match wants {
        Wants::Nothing => run().await.map(Some),
        Wants::Position => {
            // Sent right behind it: where the log ends then is past what it wrote.
            let (answer, position) = Box::pin(join(run(), connection.position())).await;
            ctx.advance(position);
            answer.map(Some)
        }
        Wants::Replayed(position) => {
            let (replayed, answer) = Box::pin(join(connection.has_replayed(position), run())).await;
            if replayed? { answer.map(Some) } else { Ok(None) }
        }
    }
}

impl Flight<'_> {
    /// The server has answered, in a way that says nothing about the statement's pace.
    fn end(mut self) {
        if let (Some(place), Some(sent)) = (self.place.take(), self.sent) {
            self.shared.0.gate.leave(&place, sent, clock::now());
        }
    }

    /// The connection is gone.
    fn broke(mut self) {
        if let (Some(place), Some(sent)) = (self.place.take(), self.sent) {
            self.shared.0.gate.broke(&place);
            self.shared.0.gate.leave(&place, sent, clock::now());
        }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let (Some(place), Some(sent)) = (self.place.take(), self.sent) else { return };
        let (shared, text) = (self.shared.clone(), self.text.clone());
        shared.0.abandoned.increment();
        let tasks = self.shared.0.connector.tasks();
        let marker = async move {
            // Answers come in order: when this one is there, so was the one that nobody waits for any more.
            let is_answered = place.connection.answers().await;
            if !is_answered {
                shared.0.gate.broke(&place);
            }
            let head = shared.0.gate.leave(&place, sent, clock::now());
            // A statement that no caller waits for would else never be known to be slow.
            if is_answered && shared.0.paces.took(&text, head.took, Some(head.usual)) {
                shared.tell_slow(&text, head.took);
            }
        };
        drop(tasks.spawn("db.abandoned", marker));
    }
}

/// What the keeping task needs; not the connections' users, so that it ends with them.
struct Keeper {
    gate: Arc<Gate>,
    connector: Arc<Connector>,
    outage: Arc<Outage>,
    limits: Limits,
    alive: Weak<Inner>,
    in_flight: Gauge,
    waiting: Gauge,
}

impl Keeper {
    async fn run(&self) {
        let mut tries = FuturesUnordered::new();
        let mut last_try: Option<tokio::time::Instant> = None;
        while self.alive.strong_count() > 0 {
            let now = tokio::time::Instant::now();
            let missing = self.gate.missing(self.limits.timeout + SILENCE);
            let (in_flight, waiting) = self.gate.load();
            self.in_flight.set(in_flight as i64);
            self.waiting.set(waiting as i64);

            let mut wake = now + ROUND;
            let wanted = match (missing.len(), self.outage.next(now, Duration::MAX)) {
                // One that got old is replaced while it still serves.
                (0, _) => usize::from(self.gate.old(self.limits.lifetime).is_some()),
                (_, Next::Wait(at)) => {
                    wake = wake.min(at);
                    0
                }
                (_, Next::GiveUp(_)) => 0,
                (missing, Next::Try) if self.outage.why().is_none() => missing,
                // Away: one at a time, or one a second where none gets an answer.
                (_, Next::Try) => match last_try {
                    Some(at) if !tries.is_empty() && now - at < TRY_EVERY => tries.len(),
                    _ => tries.len() + 1,
                },
            };
            while tries.len() < wanted {
                last_try = Some(now);
                tries.push(self.connector.connect(now + self.limits.connect, Use::Shared));
            }

            tokio::select! {
                Some(tried) = tries.next() => match tried {
                    Ok(connection) => self.install(connection),
                    Err(refusal) => {
                        if self.outage.why().is_none() {
                            tracing::warn!(why = refusal.why, "no connection to the database");
                        }
                        self.outage.failed(tokio::time::Instant::now(), &refusal.why);
                    }
                },
                () = self.gate.found_missing() => {}
                () = sleep_until(wake) => {}
            }
        }
        self.gate.drop_connections();
    }

    fn install(&self, connection: Box<Connection>) {
        if self.outage.over() {
            tracing::info!("the database answers again");
        }
        let missing = self.gate.missing(self.limits.timeout + SILENCE).first().copied();
        if let Some(lane) = missing.or_else(|| self.gate.old(self.limits.lifetime)) {
            self.gate.install(lane, connection);
        }
    }
}
