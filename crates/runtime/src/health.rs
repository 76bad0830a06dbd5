//! Whether the process lives, has started, and may be sent work: what `/livez`, `/startupz` and `/readyz` answer.
//!
//! A *part* says its state itself. A *check* asks a dependency, under a time limit, and its answer is kept for a
//! moment: probes, however many, cost a dependency one question a second. A *condition* is something whose absence makes
//! the process degraded, and not unready.
//!
//! # Invariants
//! - Alive never depends on a dependency: a dead database must not make the supervisor kill every node.
//! - Ready needs the phase, every part and every check; no condition. Draining is never ready.
//! - A report comes within twice the time limit, whatever the checks do.

use std::borrow::Cow;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use burgeon_core::Result;
use burgeon_core::units::format_duration;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use serde::Serialize;
use tokio::time::{Instant, timeout};

use crate::owned::message_of;
use crate::state::{Event, Phase, next};

/// How long a check may take.
const LIMIT: Duration = Duration::from_secs(1);
/// How long its answer is good.
const FRESH: Duration = Duration::from_secs(1);

/// The health of one process. Cloning shares it.
#[derive(Clone)]
pub struct Health(Arc<Inner>);

struct Inner {
    // Not tokio mutexes: nothing awaits under them.
    board: Mutex<Board>,
    checks: Mutex<Vec<Arc<Check>>>,
    conditions: Mutex<Vec<Condition>>,
}

struct Board {
    phase: Phase,
    has_been_ready: bool,
    parts: Vec<Part>,
}

struct Check {
    name: Cow<'static, str>,
    ask: Ask,
    // A tokio mutex, held while asking: who comes meanwhile shares the answer.
    last: tokio::sync::Mutex<Option<(Instant, Part)>>,
}

struct Condition {
    name: Cow<'static, str>,
    look: Box<dyn Fn() -> Result<(), String> + Send + Sync>,
    was_degraded: bool,
}

type Ask = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<()>> + Send>> + Send + Sync>;

/// The state of one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Not ready yet.
    Starting,
    /// Does its work.
    Ready,
    /// Does its work with less than it should have; the reason says what is missing. It counts as ready: to send the
    /// work elsewhere would only take more away.
    Degraded,
    /// Comes to its end.
    Draining,
    /// Has ended, in order.
    Stopped,
    /// Cannot do its work; the reason says why.
    Failed,
}

/// One part at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Its name: a service, a check.
    pub name: Cow<'static, str>,
    /// Its state.
    pub state: State,
    /// Why it failed, for operators: it may name hosts and must not be shown to the public.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The whole process at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Alive: do not kill it. True until everything has stopped.
    pub live: bool,
    /// Send it work.
    pub ready: bool,
    /// It has been ready once.
    pub started: bool,
    /// Services, parts, and checks, in the order they were declared.
    pub parts: Vec<Part>,
}

/// Says the state of one part. Cloning shares it.
#[derive(Clone)]
pub struct PartHandle {
    health: Health,
    at: usize,
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl Health {
    /// The health of a process without a [`Lifecycle`](crate::Lifecycle), in a test for example: started, and ready
    /// if its parts and checks are. A lifecycle brings its own: [`Lifecycle::health`](crate::Lifecycle::health).
    pub fn new() -> Self {
        Self::in_phase(Phase::Ready)
    }

    pub(crate) fn in_phase(phase: Phase) -> Self {
        let board = Board { phase, has_been_ready: phase == Phase::Ready, parts: Vec::new() };
        Self(Arc::new(Inner {
            board: Mutex::new(board),
            checks: Mutex::default(),
            conditions: Mutex::default(),
        }))
    }

    /// Adds a dependency to ask. It is asked when a report is wanted, at most once a second, for at most one second;
    /// an error, a panic or silence mean that the process is not ready. Under the name of a part it speaks for that part
    /// while the part says that it is ready.
    ///
    /// ```
    /// # async fn ping() -> burgeon_core::Result<()> { Ok(()) }
    /// let health = burgeon_runtime::Health::new();
    /// health.check("database", || async { ping().await });
    /// ```
    pub fn check<F, Fut>(&self, name: impl Into<Cow<'static, str>>, ask: F)
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        let check = Check {
            name: name.into(),
            ask: Box::new(move || Box::pin(ask())),
            last: tokio::sync::Mutex::default(),
        };
        self.0.checks.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::new(check));
    }

    /// Adds something that may be missing without the process being useless: a replica, a second cache. It is looked at
    /// whenever a report is made, so looking must cost nothing; an error is a sentence for operators, and the process is
    /// then degraded, and ready.
    pub fn condition(
        &self,
        name: impl Into<Cow<'static, str>>,
        look: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) {
        let condition = Condition { name: name.into(), look: Box::new(look), was_degraded: false };
        self.0.conditions.lock().unwrap_or_else(PoisonError::into_inner).push(condition);
    }

    /// Adds a part that says its state itself, and begins as [`State::Starting`].
    pub fn part(&self, name: impl Into<Cow<'static, str>>) -> PartHandle {
        let mut board = self.board();
        board.parts.push(Part { name: name.into(), state: State::Starting, reason: None });
        PartHandle { at: board.parts.len() - 1, health: self.clone() }
    }

    /// Asks the checks and reports.
    pub async fn report(&self) -> Report {
        let checks = self.0.checks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let answers = join_all(checks.iter().map(|check| check.answer())).await;
        let board = self.board();
        let mut parts = board.parts.clone();
        for answer in answers {
            match parts.iter_mut().find(|part| part.name == answer.name) {
                Some(part) if part.state == State::Ready => *part = answer,
                // Its own word stands: it has not begun, or comes to its end.
                Some(_) => {}
                None => parts.push(answer),
            }
        }
        parts.extend(self.conditions());
        let serves = |part: &Part| matches!(part.state, State::Ready | State::Degraded);
        Report {
            live: board.phase != Phase::Stopped,
            ready: board.phase == Phase::Ready && parts.iter().all(serves),
            started: board.has_been_ready,
            parts,
        }
    }

    /// Whether the process has begun to stop. Asks nobody.
    pub fn is_draining(&self) -> bool {
        matches!(self.board().phase, Phase::Draining | Phase::Stopped)
    }

    fn conditions(&self) -> Vec<Part> {
        let mut conditions = self.0.conditions.lock().unwrap_or_else(PoisonError::into_inner);
        let looked = conditions.iter_mut().map(|condition| {
            let reason = (condition.look)().err();
            let degraded = reason.is_some();
            if degraded && !condition.was_degraded {
                tracing::warn!(
                    condition = &*condition.name,
                    reason,
                    "this process serves with less than it should have"
                );
            }
            condition.was_degraded = degraded;
            let state = if degraded { State::Degraded } else { State::Ready };
            Part { name: condition.name.clone(), state, reason }
        });
        looked.collect()
    }

    pub(crate) fn apply(&self, event: Event) {
        let mut board = self.board();
        board.phase = next(board.phase, event);
        board.has_been_ready |= board.phase == Phase::Ready;
    }

    fn board(&self) -> std::sync::MutexGuard<'_, Board> {
        self.0.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Health").field("phase", &self.board().phase).finish_non_exhaustive()
    }
}

impl Check {
    /// The answer of a moment ago, or a new one.
    async fn answer(&self) -> Part {
        // Whoever asks holds the lock for at most `LIMIT`, unless its future is kept without being polled.
        let Ok(mut last) = timeout(LIMIT, self.last.lock()).await else {
            return self.failed(format!("another probe still asks after {}", format_duration(LIMIT)));
        };
        if let Some((at, part)) = &*last
            && at.elapsed() < FRESH
        {
            return part.clone();
        }
        let asked = AssertUnwindSafe(async { (self.ask)().await }).catch_unwind();
        let part = match timeout(LIMIT, asked).await {
            Ok(Ok(Ok(()))) => Part { name: self.name.clone(), state: State::Ready, reason: None },
            Ok(Ok(Err(error))) => self.failed(error.detail()),
            Ok(Err(payload)) => self.failed(format!("the check panicked: {}", message_of(payload.as_ref()))),
            Err(_) => self.failed(format!("no answer within {}", format_duration(LIMIT))),
        };
        let was_ready = last.as_ref().is_none_or(|(_, part)| part.state == State::Ready);
        match (&part.reason, was_ready) {
            (Some(reason), true) => {
                tracing::warn!(
                    check = &*self.name,
                    reason,
                    "a dependency is not ready, so this process is not"
                );
            }
            (None, false) => tracing::info!(check = &*self.name, "a dependency is ready again"),
            _ => {}
        }
        *last = Some((Instant::now(), part.clone()));
        part
    }

    fn failed(&self, reason: String) -> Part {
        Part { name: self.name.clone(), state: State::Failed, reason: Some(reason) }
    }
}

impl PartHandle {
    /// It does its work.
    pub fn ready(&self) {
        self.set(State::Ready, None);
    }

    /// It cannot; say why, and what to do.
    pub fn failed(&self, reason: impl Into<String>) {
        self.set(State::Failed, Some(reason.into()));
    }

    /// It comes to its end.
    pub fn draining(&self) {
        self.set(State::Draining, None);
    }

    /// It has ended, in order.
    pub fn stopped(&self) {
        self.set(State::Stopped, None);
    }

    fn set(&self, state: State, reason: Option<String>) {
        if let Some(part) = self.health.board().parts.get_mut(self.at) {
            part.state = state;
            part.reason = reason;
        }
    }
}

impl std::fmt::Debug for PartHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartHandle")
            .field("part", &self.health.board().parts.get(self.at))
            .finish_non_exhaustive()
    }
}
