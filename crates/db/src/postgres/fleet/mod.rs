//! One primary and its replicas: which server answers which statement.
//!
//! What this is: routing by the shape of the call, never by reading SQL. What writes goes to the primary; what only
//! reads goes to a replica that has replayed everything its caller has written, and only if none has, to the primary.
//!
//! ```text
//!   Fleet ── read ──> known to have replayed it? ── yes ──> replica (least busy for its weight)
//!     │                  └─ no: ask the one that is closest, with the statement right behind the question
//!     │                        └─ not yet: wait for it, at most `wait` ── still not ──> Gate ──> primary
//!     ├──── write, tx ──> primary, or wait for one
//!     └──── monitor ── round by round: all servers are asked ── Judge ──> View
//! ```
//!
//! With one server there is no monitor, no position, nothing to choose: every call goes straight through.
//!
//! # Invariants
//! - A read never returns less than its `Ctx` has written. Whatever is in doubt (a replica that was restarted, a
//!   promotion, a position from elsewhere) goes to the primary, or waits for one, or fails.
//! - Nothing is written to a server that is not the confirmed primary of the highest timeline known; see [`judge`].
//! - Never more than `fallback` reads run on the primary because replicas could not answer.
//!
//! # When it breaks
//! A replica that breaks in the middle of a read costs that read a second try elsewhere. Without a primary, reads go on
//! on replicas that are far enough; what needs the primary waits for `acquire_timeout` and then says server by server
//! why there is none. What waits is told as soon as a round has found one.

mod config;
mod gate;
mod history;
mod judge;
mod meters;
mod monitor;
mod node;
mod probe;
mod replayed;
mod servers;

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use burgeon_core::{Ctx, Deadline, Position};
use burgeon_meter::Meters;
use burgeon_runtime::{Restart, Tasks};
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};
use tokio_postgres::Row;

pub use self::config::Routing as Config;
pub use self::servers::Server;

pub(crate) use self::gate::Place;
pub(crate) use self::node::{Busy, Standing};

pub(in crate::postgres) use self::probe::lsn;

use self::gate::Gate;
use self::judge::{Judge, View};
use self::meters::FleetMeters;
use self::node::Node;
use super::{Pool, Session};
use crate::stmt::{self, Class, Text};
use crate::{Fault, Value, clock};

/// How often all servers are asked while there is no primary.
const SEEKING: Duration = Duration::from_millis(200);
/// How long one round takes at most, and so a timeline that is news here is waited for.
const ROUND: Duration = Duration::from_secs(1);

/// All servers of one database. Cloning shares them.
#[derive(Clone)]
pub(crate) struct Fleet(Arc<Inner>);

struct Inner {
    nodes: Vec<Arc<Node>>,
    /// `None` with a single server.
    routing: Option<Routing>,
    acquire: Duration,
    statement: Duration,
    system: AtomicU64,
}

struct Routing {
    config: Config,
    view: watch::Sender<Arc<View>>,
    judge: Mutex<Judge>,
    /// The highest timeline that was heard of, also from clients.
    floor: AtomicU32,
    /// The highest position that a commit of this process was given on the present timeline.
    acknowledged: AtomicU64,
    gate: Gate,
    knocks: Arc<Notify>,
    /// Where the search for the least busy begins, so that equals take turns.
    turn: AtomicUsize,
    names: Vec<String>,
    meters: FleetMeters,
}

/// Where a read may go next.
enum Choice {
    /// This replica is known to be far enough. The epoch says for how long.
    Known(usize, u64),
    /// This one is the closest to what is needed.
    Closest(usize, u64),
    /// No replica can tell.
    Primary,
}

/// A server's time as the primary, for a transaction that was begun in it.
pub(in crate::postgres) struct Term {
    fleet: Fleet,
    node: Arc<Node>,
}

impl Term {
    /// Whether it lasts. Asked before a commit is sent.
    pub(in crate::postgres) fn lasts(&self) -> Result<(), Fault> {
        let Some(routing) = &self.fleet.0.routing else { return Ok(()) };
        match routing.view().primary {
            Some(primary) if Arc::ptr_eq(&self.fleet.0.nodes[primary], &self.node) => Ok(()),
            _ => Err(Fault::Unavailable {
                why: format!(
                    "{} is not the primary any more; the transaction was not committed",
                    self.node.name
                ),
            }),
        }
    }

    /// It was committed, and how.
    pub(in crate::postgres) fn ended(&self, committed: &Result<Position, Fault>) {
        match (committed, &self.fleet.0.routing) {
            (Ok(position), _) => self.fleet.acknowledged(*position),
            (Err(Fault::Unavailable { .. } | Fault::OutcomeUnknown { .. }), Some(routing)) => {
                routing.knocks.notify_one();
            }
            _ => {}
        }
    }
}

/// Where a transaction that only reads was let in.
struct Seat {
    index: usize,
    place: Option<Place>,
    /// Of a replica: for how long it is known to have come far enough.
    epoch: Option<u64>,
}

impl Fleet {
    /// Asks every server who it is. One must be a primary; replicas may be away.
    pub(crate) async fn open(config: &crate::Config, tasks: &Tasks, meters: &Meters) -> Result<Self, Fault> {
        let fleet = servers::fleet(config, tasks, meters)?;
        let Some(routing) = &fleet.0.routing else {
            let node = &fleet.0.nodes[0];
            node.pool.probe().await?;
            if node.pool.is_causal() {
                let until = Instant::now() + config.postgres.connect_timeout;
                let answer = node.line.ask(node.pool.connector(), &node.standing.replayed, until).await;
                let sample = answer.map_err(|silence| Fault::Unavailable { why: silence.to_string() })?;
                fleet.0.system.store(sample.system, Ordering::Release);
                node.line.close();
            }
            return Ok(fleet);
        };
        let until = Instant::now() + config.postgres.connect_timeout;
        monitor::round(&fleet).await;
        servers::refuse_unusable(&fleet).await?;
        while routing.view().primary.is_none() {
            if Instant::now() + SEEKING > until {
                return Err(fleet.no_primary(routing));
            }
            tokio::time::sleep(SEEKING).await;
            monitor::round(&fleet).await;
        }
        fleet.0.system.store(routing.judge().system().unwrap_or_default(), Ordering::Release);

        let (weak, stopping) = (Arc::downgrade(&fleet.0), tasks.stopping());
        drop(tasks.supervise("db.fleet", Restart::default(), move || {
            monitor::watch(weak.clone(), stopping.clone())
        }));
        for node in &fleet.0.nodes {
            drop(tasks.spawn("db.replica", node.clone().keep_looking(tasks.stopping())));
        }
        Ok(fleet)
    }

    /// One statement, committed by itself; its rows. With class `Read` a replica may answer it.
    pub(crate) async fn query(
        &self,
        ctx: &Ctx,
        text: &Text,
        params: &[Value],
        class: Class,
    ) -> Result<Vec<Row>, Fault> {
        match &self.0.routing {
            None => self.0.nodes[0].pool.query(ctx, text, params, class).await,
            // Boxed: with one server, every statement's future would carry the choice among several.
            Some(routing) if class == Class::Read => Box::pin(self.read(routing, ctx, text, params)).await,
            Some(routing) => {
                routing.meters.chosen.increment();
                let node = self.primary(routing, ctx).await?;
                let rows = node.pool.query(ctx, text, params, class).await;
                self.noted(routing, ctx, rows)
            }
        }
    }

    /// One statement, committed by itself; how many rows it touched.
    pub(crate) async fn execute(&self, ctx: &Ctx, text: &Text, params: &[Value]) -> Result<u64, Fault> {
        let Some(routing) = &self.0.routing else {
            return self.0.nodes[0].pool.execute(ctx, text, params).await;
        };
        let node = self.primary(routing, ctx).await?;
        let touched = node.pool.execute(ctx, text, params).await;
        self.noted(routing, ctx, touched)
    }

    /// Begins a transaction, which ends at `deadline` at the latest. With class `Read` a replica may take it.
    pub(crate) async fn begin(
        &self,
        ctx: &Ctx,
        deadline: Deadline,
        place: stmt::Place,
        class: Class,
    ) -> Result<Session, Fault> {
        let Some(routing) = &self.0.routing else {
            return self.0.nodes[0].pool.begin(ctx, deadline, place, class).await;
        };
        if class == Class::Write {
            let node = self.primary(routing, ctx).await?;
            let session = node.pool.begin(ctx, deadline, place, class).await;
            let term = Term { fleet: self.clone(), node };
            return self.noted(routing, ctx, session).map(|session| session.for_term(term));
        }
        self.begin_reading(routing, ctx, deadline, "transaction", place).await
    }

    /// Rows while later ones are still to come.
    pub(crate) fn stream(
        &self,
        ctx: &Ctx,
        text: Text,
        params: Vec<Value>,
        deadline: Deadline,
        class: Class,
    ) -> impl Stream<Item = Result<Row, Fault>> + Send + use<> {
        let (fleet, ctx) = (self.clone(), ctx.clone());
        let started = async move {
            let (name, place) = (text.name(), text.place());
            let session = match &fleet.0.routing {
                None => fleet.0.nodes[0].pool.begin_as(&ctx, deadline, name, place, Class::Read).await?,
                Some(routing) if class == Class::Read => {
                    fleet.begin_reading(routing, &ctx, deadline, name, place).await?
                }
                Some(routing) => {
                    let node = fleet.primary(routing, &ctx).await?;
                    let session = node.pool.begin_as(&ctx, deadline, name, place, Class::Read).await?;
                    session.holding(node.enter(), None)
                }
            };
            // A transaction, because its `set local` is how a statement gets a limit of its own.
            session.stream(text, params).await
        };
        stream::once(started).flat_map(|started| match started {
            Ok(rows) => rows.left_stream(),
            Err(fault) => stream::once(std::future::ready(Err(fault))).right_stream(),
        })
    }

    /// Whether anything can be answered. Without a primary that are reads.
    pub(crate) async fn health(&self, ctx: &Ctx) -> Result<(), Fault> {
        let Some(routing) = &self.0.routing else { return self.0.nodes[0].pool.health(ctx).await };
        let view = routing.view();
        match view.primary.is_some() || view.servers.iter().any(|server| server.in_rotation) {
            true => Ok(()),
            false => Err(self.no_primary(routing)),
        }
    }

    /// Gives no connection out any more, and waits for those in use.
    pub(crate) async fn close(&self) {
        futures_util::future::join_all(self.0.nodes.iter().map(|node| node.pool.close())).await;
        for node in &self.0.nodes {
            node.line.close();
        }
    }

    /// The way to the server that takes writes, for what must know it: migrations, listening.
    pub(crate) async fn primary_pool(&self, ctx: &Ctx) -> Result<Pool, Fault> {
        match &self.0.routing {
            None => Ok(self.0.nodes[0].pool.clone()),
            Some(routing) => self.primary(routing, ctx).await.map(|node| node.pool.clone()),
        }
    }

    /// The database cluster, where positions in its log mean something to its readers.
    pub(crate) fn cluster(&self) -> Option<u64> {
        Some(self.0.system.load(Ordering::Acquire)).filter(|system| *system > 0)
    }

    /// Somebody trustworthy has seen this position: there is, or was, a primary of its timeline.
    pub(crate) fn saw(&self, position: Position) {
        let Some(routing) = &self.0.routing else { return };
        if routing.floor.fetch_max(position.timeline, Ordering::AcqRel) < position.timeline {
            routing.knocks.notify_one();
        }
    }

    /// The walk of one read.
    async fn read(
        &self,
        routing: &Routing,
        ctx: &Ctx,
        text: &Text,
        params: &[Value],
    ) -> Result<Vec<Row>, Fault> {
        let started = Instant::now();
        let patience = started + routing.config.wait;
        let (mut tried, mut has_waited) = (0_u64, false);
        loop {
            let wanted = ctx.position();
            let (node, rows, counter) = match self.choose(routing, wanted, tried) {
                Choice::Known(index, epoch) => {
                    let node = &self.0.nodes[index];
                    let rows = self.on(routing, index, node.pool.query(ctx, text, params, Class::Read)).await;
                    // It was restarted meanwhile, and what was known of it was of its former life.
                    if rows.is_ok() && node.standing.replayed.epoch() != epoch {
                        continue;
                    }
                    let meters = &routing.meters;
                    (index, rows, if has_waited { &meters.waited } else { &meters.known })
                }
                Choice::Closest(index, needed) => {
                    let node = &self.0.nodes[index];
                    let position = Position { timeline: wanted.timeline, lsn: needed };
                    let asked = node.pool.query_if_replayed(ctx, text, params, position);
                    let rows = match self.on(routing, index, asked).await {
                        Ok(Some(rows)) => Ok(rows),
                        Ok(None) => {
                            has_waited = true;
                            node.standing.replayed.denied(needed);
                            let reached = node.reaches(needed, patience).await;
                            routing.meters.wait.record(started.elapsed());
                            if !reached {
                                tried |= 1 << index;
                            }
                            continue;
                        }
                        Err(fault) => Err(fault),
                    };
                    (index, rows, &routing.meters.asked)
                }
                Choice::Primary => {
                    let place = self.fall_back(routing, ctx).await?;
                    let node = self.primary(routing, ctx).await?;
                    let rows = node.pool.query(ctx, text, params, Class::Read).await;
                    drop(place);
                    return self.noted(routing, ctx, rows);
                }
            };
            match rows {
                Err(fault) if is_of_the_server(&fault) => {
                    tried |= 1 << node;
                    routing.meters.elsewhere.increment();
                    routing.knocks.notify_one();
                }
                rows => {
                    counter.increment();
                    return rows;
                }
            }
        }
    }

    /// A transaction that only reads.
    async fn begin_reading(
        &self,
        routing: &Routing,
        ctx: &Ctx,
        deadline: Deadline,
        name: &'static str,
        place: stmt::Place,
    ) -> Result<Session, Fault> {
        let patience = Instant::now() + routing.config.wait;
        let mut tried = 0_u64;
        loop {
            let seat = self.seat(routing, ctx, patience, &mut tried).await?;
            let node = &self.0.nodes[seat.index];
            let busy = node.enter();
            let session = node.pool.begin_as(ctx, deadline, name, place, Class::Read).await;
            match (&session, seat.epoch) {
                // It was restarted meanwhile, and what was known of it was of its former life.
                (Ok(_), Some(epoch)) if node.standing.replayed.epoch() != epoch => {}
                (Err(fault), Some(_)) if is_of_the_server(fault) => {
                    tried |= 1 << seat.index;
                    routing.meters.elsewhere.increment();
                    routing.knocks.notify_one();
                }
                (_, Some(_)) => {
                    routing.meters.known.increment();
                    return session.map(|session| session.holding(busy, None));
                }
                (_, None) => {
                    return self.noted(routing, ctx, session).map(|it| it.holding(busy, seat.place));
                }
            }
        }
    }

    /// Where a transaction or a stream that only reads may begin. What it will read is not known yet, so the replica
    /// is waited for before.
    async fn seat(
        &self,
        routing: &Routing,
        ctx: &Ctx,
        patience: Instant,
        tried: &mut u64,
    ) -> Result<Seat, Fault> {
        loop {
            match self.choose(routing, ctx.position(), *tried) {
                Choice::Known(index, epoch) => return Ok(Seat { index, place: None, epoch: Some(epoch) }),
                Choice::Closest(index, needed) => {
                    let node = &self.0.nodes[index];
                    // Behind a pooler it would have to be asked again in the transaction, which by then has its picture.
                    if node.pool.is_pooled() || !node.reaches(needed, patience).await {
                        *tried |= 1 << index;
                    }
                }
                Choice::Primary => {
                    let place = self.fall_back(routing, ctx).await?;
                    let index = self.primary_index(routing, ctx).await?;
                    return Ok(Seat { index, place: Some(place), epoch: None });
                }
            }
        }
    }

    fn choose(&self, routing: &Routing, wanted: Position, tried: u64) -> Choice {
        let view = routing.view();
        if wanted.timeline > view.timeline {
            routing.knocks.notify_one();
        }
        let Some(needed) = view.required(wanted) else { return Choice::Primary };
        let count = self.0.nodes.len();
        let first = routing.turn.fetch_add(1, Ordering::Relaxed);
        let mut best: Option<(f64, usize, u64)> = None;
        let mut closest: Option<(usize, u64)> = None;
        for index in (0..count).map(|step| (first + step) % count) {
            let (node, server) = (&self.0.nodes[index], &view.servers[index]);
            if !server.in_rotation || tried & (1 << index) != 0 {
                continue;
            }
            let epoch = node.standing.replayed.epoch();
            let known = node.standing.replayed.known();
            // Behind a pooler a connection outlives the server it leads to, so what is known may be of a former life.
            if known >= needed && (needed == 0 || !node.pool.is_pooled()) {
                let load = node.load(server, routing.config.slow_start);
                if best.is_none_or(|(least, ..)| load < least) {
                    best = Some((load, index, epoch));
                }
            // Who has long been behind will not be there in a moment.
            } else if server.lag <= routing.config.check.max(Duration::from_secs(1)) * 2
                && closest.is_none_or(|(_, most)| known > most)
            {
                closest = Some((index, known));
            }
        }
        match (best, closest) {
            (Some((_, index, epoch)), _) => Choice::Known(index, epoch),
            (None, Some((index, _))) => Choice::Closest(index, needed),
            (None, None) => Choice::Primary,
        }
    }

    /// Runs a read on a replica, for as long as that is in rotation: what hangs on one that is gone is tried elsewhere.
    async fn on<T>(
        &self,
        routing: &Routing,
        index: usize,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let _busy = self.0.nodes[index].enter();
        let mut view = routing.view.subscribe();
        let gone = view.wait_for(|view| !view.servers[index].in_rotation);
        tokio::select! {
            biased;
            answer = work => answer,
            _ = gone => Err(Fault::Unavailable { why: format!("{} went away", self.0.nodes[index].name) }),
        }
    }

    async fn fall_back(&self, routing: &Routing, ctx: &Ctx) -> Result<Place, Fault> {
        routing.meters.fallback.increment();
        routing.gate.enter(ctx.criticality(), self.until(ctx)).await
    }

    async fn primary(&self, routing: &Routing, ctx: &Ctx) -> Result<Arc<Node>, Fault> {
        self.primary_index(routing, ctx).await.map(|index| self.0.nodes[index].clone())
    }

    /// The server that takes writes. While there is none it is waited for, as for a connection.
    async fn primary_index(&self, routing: &Routing, ctx: &Ctx) -> Result<usize, Fault> {
        let told = ctx.position().timeline;
        let present =
            |view: &View| view.primary.filter(|_| view.timeline >= routing.floor.load(Ordering::Acquire));
        let view = routing.view();
        if let (Some(primary), true) = (present(&view), view.timeline >= told) {
            return Ok(primary);
        }
        routing.knocks.notify_one();
        let mut news = routing.view.subscribe();
        if view.timeline < told {
            // Who has seen a later timeline is not sent to a former primary before all have been asked again. Found or
            // not: a position that comes from nowhere must not lock anybody out.
            let until = self.until(ctx).min(Instant::now() + ROUND + SEEKING);
            drop(timeout_at(until, news.wait_for(|view| view.timeline >= told)).await);
        }
        let found = timeout_at(self.until(ctx), news.wait_for(|view| present(view).is_some())).await;
        match found.ok().and_then(Result::ok).and_then(|view| view.primary) {
            Some(primary) => Ok(primary),
            None => Err(self.no_primary(routing)),
        }
    }

    /// Looks at an answer of the primary: how far it has come, or that something is wrong with it.
    fn noted<T>(&self, routing: &Routing, ctx: &Ctx, answer: Result<T, Fault>) -> Result<T, Fault> {
        match &answer {
            Ok(_) => self.acknowledged(ctx.position()),
            Err(Fault::Unavailable { .. } | Fault::OutcomeUnknown { .. }) => routing.knocks.notify_one(),
            Err(_) => {}
        }
        answer
    }

    /// A commit was given this position.
    fn acknowledged(&self, position: Position) {
        if let Some(routing) = &self.0.routing
            && position.timeline == routing.view().timeline
        {
            routing.acknowledged.fetch_max(position.lsn, Ordering::AcqRel);
        }
    }

    fn no_primary(&self, routing: &Routing) -> Fault {
        Fault::Unavailable { why: routing.view().no_primary(&routing.names) }
    }

    fn until(&self, ctx: &Ctx) -> Instant {
        Instant::from_std(clock::deadline(ctx, self.0.acquire.min(self.0.statement)).instant())
    }
}

impl Routing {
    fn view(&self) -> Arc<View> {
        self.view.borrow().clone()
    }

    fn judge(&self) -> MutexGuard<'_, Judge> {
        self.judge.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether another server may do better: this one went away, or had to end the read to be able to replay.
fn is_of_the_server(fault: &Fault) -> bool {
    matches!(fault, Fault::Unavailable { .. } | Fault::SerializationFailure | Fault::OutcomeUnknown { .. })
}
