//! The handle, and what becomes of a call.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use burgeon_core::{Ctx, Deadline, Result};
use burgeon_meter::Meters;
use burgeon_resilience::breaker::{self, Breaker};
use burgeon_resilience::bulkhead::{self, Bulkhead};
use burgeon_resilience::random::Dice;
use burgeon_resilience::{Clock, Outcome};
use burgeon_runtime::{Restart, Tasks};
use redis::RedisResult;
use redis::aio::MultiplexedConnection;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

use crate::command::{Command, Effect};
use crate::connection::{Dial, exchange};
use crate::fault::{Failure, is_ill};
use crate::keeper::keep;
use crate::meters::RedisMeters;
use crate::pipeline::{Pipeline, effect};
use crate::script::Call;
use crate::server::Server;
use crate::{Config, Fault, Value};

/// One Redis. Cloning shares the connection.
#[derive(Clone)]
pub struct Redis(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) dial: Dial,
    pub(crate) link: watch::Sender<Link>,
    pub(crate) generation: watch::Sender<u64>,
    /// Who answered last.
    // Not a tokio mutex: nothing awaits under it.
    pub(crate) server: Mutex<Option<Server>>,
    pub(crate) dice: Dice,
    pub(crate) meters: RedisMeters,
    /// A part, so that what runs in it holds no owner.
    pub(crate) tasks: Tasks,
    places: Bulkhead,
    clock: Clock,
}

/// What callers find.
#[derive(Clone)]
pub(crate) enum Link {
    Opening,
    Up(Arc<Connection>),
    Away(Arc<str>),
}

pub(crate) struct Connection {
    pub(crate) server: Option<Server>,
    wire: MultiplexedConnection,
    /// Of this connection alone: one that has been greeted anew has shown that the server is well.
    breaker: Breaker,
    suspected: Notify,
}

/// Whether Redis is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The first connection is being opened; calls wait for it.
    Opening,
    /// Connected to this server; none where the user may not ask who it is.
    Connected(Option<Server>),
    /// Not connected; calls fail at once.
    Away {
        /// Why, for the operator.
        why: Arc<str>,
    },
}

impl Redis {
    /// A Redis that is kept connected by a task of `tasks`. Returns at once, whether it is there or not: wait for
    /// [`connected`](Self::connected) where it must be.
    ///
    /// # Errors
    /// [`Kind::Invalid`](burgeon_core::Kind::Invalid) when the configuration makes no sense, the CA file cannot be read, or
    /// there is no URL.
    pub fn connect(config: &Config, tasks: &Tasks, meters: &Meters) -> Result<Self> {
        let meters = RedisMeters::new(meters);
        meters.state.set(1);
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).map_err(burgeon_core::Error::internal)?;
        let shared = Arc::new(Shared {
            dial: Dial::new(config)?,
            link: watch::Sender::new(Link::Opening),
            generation: watch::Sender::new(0),
            server: Mutex::new(None),
            dice: Dice::seeded(u64::from_le_bytes(seed)),
            meters,
            tasks: tasks.part(),
            places: Bulkhead::new(bulkhead::Config { limit: config.in_flight, wait: Duration::ZERO }),
            clock: Clock::starting_at(Instant::now().into_std()),
            config: config.clone(),
        });
        let (kept, stopping) = (shared.clone(), tasks.stopping());
        drop(tasks.supervise("redis", Restart::default(), move || keep(kept.clone(), stopping.clone())));
        Ok(Self(shared))
    }

    /// One command.
    ///
    /// # Errors
    /// A [`Fault`]; [`Kind::Unavailable`](burgeon_core::Kind::Unavailable) when the breaker refuses,
    /// [`Kind::Overloaded`](burgeon_core::Kind::Overloaded) when too much is under way.
    pub async fn call(&self, ctx: &Ctx, command: &Command) -> Result<Value> {
        self.one(self.until(ctx), command).await
    }

    /// One script: by its hash, and by its text where the server does not know it yet.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn run(&self, ctx: &Ctx, call: &Call<'_>) -> Result<Value> {
        let until = self.until(ctx);
        match self.one(until, &call.by_hash()).await {
            Err(error) if is_unknown_script(&error) => self.one(until, &call.by_source()).await,
            done => done,
        }
    }

    /// Several commands in one round trip; each has an answer or an error of its own, in order.
    ///
    /// # Errors
    /// As [`call`](Self::call), when none of the answers came.
    pub async fn pipeline(&self, ctx: &Ctx, pipeline: &Pipeline) -> Result<Vec<Result<Value>>> {
        let until = self.until(ctx);
        let commands: Vec<&Command> = pipeline.commands().collect();
        let mut answers = self.several(until, &commands).await?;
        let unknown: Vec<usize> = (0..answers.len())
            .filter(|index| answers[*index].as_ref().is_err_and(is_unknown_script))
            .collect();
        let again: Vec<&Command> = unknown.iter().filter_map(|index| pipeline.by_source(*index)).collect();
        if !again.is_empty() {
            for (index, answer) in unknown.into_iter().zip(self.several(until, &again).await?) {
                answers[index] = answer;
            }
        }
        Ok(answers)
    }

    /// Whether it is there. Does no I/O.
    pub fn state(&self) -> State {
        match &*self.0.link.borrow() {
            Link::Opening => State::Opening,
            Link::Up(connection) => State::Connected(connection.server.clone()),
            Link::Away(why) => State::Away { why: why.clone() },
        }
    }

    /// Resolves once it is there. Cancel-safe.
    pub async fn connected(&self) {
        // An error would say that the sender is gone, and it is held here.
        let _ = self.0.link.subscribe().wait_for(|link| matches!(link, Link::Up(_))).await;
    }

    /// How often a server has answered that does not know all that the one before knew, because it is another one, was restarted,
    /// or was promoted. 0 before the first connection. Read before a call and again after it, and the same both times, the answer
    /// is of that generation. Where the user may not ask who answers, every new connection counts.
    pub fn generation(&self) -> u64 {
        *self.0.generation.borrow()
    }

    /// Resolves once the generation is another than `seen`, with the present one. Cancel-safe.
    pub async fn generation_changed(&self, seen: u64) -> u64 {
        let mut generation = self.0.generation.subscribe();
        match generation.wait_for(|generation| *generation != seen).await {
            Ok(generation) => *generation,
            // The sender is held here.
            Err(_) => seen,
        }
    }

    /// A number that stands for the primary of the present connection and its history: the same for all processes that speak to it,
    /// another one after a restart or a promotion. None without a connection, and where the user may not ask who answers.
    pub fn primary(&self) -> Option<u64> {
        match &*self.0.link.borrow() {
            Link::Up(connection) => connection.server.as_ref().map(Server::number),
            _ => None,
        }
    }

    /// Where it is, without credentials: `host:port`.
    pub fn address(&self) -> String {
        self.0.dial.target.address.to_string()
    }

    fn until(&self, ctx: &Ctx) -> Until {
        let now = Instant::now();
        let own = Deadline::after(now.into_std(), self.0.config.response_timeout);
        let until = ctx.deadline().map_or(own, |caller| caller.earlier(own));
        Until { asked: now, end: Instant::from_std(until.instant()), is_own: until == own }
    }

    async fn one(&self, until: Until, command: &Command) -> Result<Value> {
        let ask = async |mut wire: MultiplexedConnection| exchange(&mut wire, &command.inner).await;
        self.ask(until, command.effect, ask).await.map(Value::of)
    }

    async fn several(&self, until: Until, commands: &[&Command]) -> Result<Vec<Result<Value>>> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let mut packed = redis::Pipeline::with_capacity(commands.len());
        for command in commands {
            packed.add_command(command.inner.clone());
        }
        let ask = async |mut wire: MultiplexedConnection| {
            wire.send_packed_commands(&packed, 0, commands.len()).await
        };
        let answers = self.ask(until, effect(commands.iter().copied()), ask).await?;
        Ok(answers.into_iter().map(answer).collect())
    }

    /// One exchange with the server: admitted, timed, judged.
    async fn ask<T>(
        &self,
        until: Until,
        effect: Effect,
        ask: impl AsyncFnOnce(MultiplexedConnection) -> RedisResult<T>,
    ) -> Result<T> {
        let Shared { meters, places, clock, dice, .. } = &*self.0;
        if until.end <= Instant::now() {
            meters.late.increment();
            return Err(Fault::Timeout { after: until.asked.elapsed() }.into_error());
        }
        let shed = |refused: burgeon_resilience::Refused| {
            meters.shed.increment();
            refused.into_error()
        };
        let _place = places.admit().map_err(shed)?;
        let _under_way = meters.in_flight.enter();
        let connection = self.connection(until).await?;
        let permit =
            connection.breaker.admit(clock.at(Instant::now().into_std()), dice.roll()).map_err(shed)?;
        let answered = timeout_at(until.end, ask(connection.wire.clone())).await;
        let now = Instant::now();
        meters.took.record(now.duration_since(until.asked));
        let failure = match answered {
            Ok(Ok(answer)) => {
                meters.answered.increment();
                permit.settle(clock.at(now.into_std()), Outcome::Ok);
                return Ok(answer);
            }
            Ok(Err(error)) => Failure::of(&error),
            Err(_) => Failure::Late(now.duration_since(until.asked)),
        };
        let (counter, outcome) = match &failure {
            Failure::Answered { code, .. } if is_ill(code) => (&meters.refused, Outcome::Fail),
            Failure::Answered { .. } => (&meters.refused, Outcome::Ok),
            Failure::Lost(_) => (&meters.lost, Outcome::Fail),
            Failure::Late(_) if until.is_own => (&meters.late, Outcome::Fail),
            // An answer that came too late for its caller; too many of them are an ill server as well.
            Failure::Late(_) => (&meters.late, Outcome::Slow),
        };
        counter.increment();
        permit.settle(clock.at(now.into_std()), outcome);
        if outcome == Outcome::Fail {
            connection.suspected.notify_one();
        }
        Err(failure.into_fault(effect).into_error())
    }

    /// The connection; while the first one is being opened, it is waited for.
    async fn connection(&self, until: Until) -> Result<Arc<Connection>> {
        let away = |why: String| {
            self.0.meters.away.increment();
            Fault::Unavailable { why }.into_error()
        };
        let mut link = self.0.link.borrow().clone();
        if matches!(link, Link::Opening) {
            let mut links = self.0.link.subscribe();
            let opened = links.wait_for(|link| !matches!(link, Link::Opening));
            if let Ok(Ok(opened)) = timeout_at(until.end, opened).await {
                link = opened.clone();
            }
        }
        match link {
            Link::Up(connection) => Ok(connection),
            Link::Away(why) => Err(away(why.to_string())),
            Link::Opening => Err(away(format!("still connecting to {}", self.0.dial.target.address))),
        }
    }
}

/// Until when a call may take.
#[derive(Clone, Copy)]
struct Until {
    asked: Instant,
    end: Instant,
    /// Whether that is this crate's own limit, or the caller's.
    is_own: bool,
}

fn is_unknown_script(error: &burgeon_core::Error) -> bool {
    matches!(Fault::of(error), Some(Fault::Answered { code, .. }) if code == "NOSCRIPT")
}

/// One of several answers.
fn answer(value: redis::Value) -> Result<Value> {
    match value {
        redis::Value::ServerError(error) => {
            let failure = Failure::of(&redis::RedisError::from(error));
            // The answer came, so it is not lost, whatever it would leave open.
            Err(failure.into_fault(Effect::Reads).into_error())
        }
        value => Ok(Value::of(value)),
    }
}

impl Connection {
    pub(crate) fn new(wire: MultiplexedConnection, server: Option<Server>) -> Self {
        Self { server, wire, breaker: Breaker::new(breaker::Config::default()), suspected: Notify::new() }
    }

    /// Resolves when a caller has reason to doubt it.
    pub(crate) async fn suspected(&self) {
        self.suspected.notified().await;
    }
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis")
            .field("address", &self.address())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
