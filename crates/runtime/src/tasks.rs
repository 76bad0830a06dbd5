//! The owner of tasks: it names them, awaits them, stops them.
//!
//! # Invariants
//! - A task runs on the runtime its owner was made on, wherever `spawn` is called from (a core, a plain thread).
//! - After [`Tasks::stop`] returned, nothing of the owner runs, but for closures that block a thread and cannot be
//!   interrupted; those are named in its error.
//! - Dropping the last handle of an owner aborts what it owns and what its parts own: nothing outlives its owner.

mod blocking;
mod group;
mod supervise;

use std::any::Any;
use std::borrow::Cow;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use burgeon_core::{Cancel, Error, Result};
use burgeon_meter::Meters;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use self::group::Group;
use crate::owned::{Erased, Owned, Panicked};

/// A task's name as it appears in logs, meters and errors. From a closed set: it labels meters.
pub(crate) type Name = Cow<'static, str>;

/// Owns tasks. Cloning shares the owner.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use std::time::Duration;
///
/// let tasks = burgeon_runtime::Tasks::new(&burgeon_meter::Meters::new());
/// let answer = tasks.spawn("think", async { 42 });
/// assert_eq!(answer.await?, 42);
/// tasks.stop(Duration::from_secs(1)).await
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Tasks(Arc<Owner>);

struct Owner {
    group: Arc<Group>,
    shared: Arc<Shared>,
    // What a part has begun is left to the whole when the part's last handle goes.
    is_part: bool,
}

/// What an owner and its parts have in common.
struct Shared {
    handle: Handle,
    meters: Meters,
    blocking: Arc<Semaphore>,
    blocking_limit: usize,
}

/// A spawned task, to await its result. Dropping it detaches: the owner still awaits and stops the task.
///
/// Resolves to an error when the task panicked ([`Kind::Internal`](burgeon_core::Kind::Internal)) or was aborted
/// ([`Kind::Unavailable`](burgeon_core::Kind::Unavailable)).
#[must_use = "await it for the result, or drop it with `drop(..)` or `let _ = ..` to say that nobody wants it"]
pub struct Task<T> {
    running: Running,
    of: PhantomData<fn() -> T>,
}

/// What every task is to its owner. Of one type, because whatever tokio makes of a task's own type, some 150 functions, would be
/// compiled anew, for every task there is, in the crate that spawns it.
type Work = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// What a task came to: a `T`, of which only its [`Task`] knows. Nothing, which most come to, takes no memory.
type Outcome = Box<dyn Any + Send>;

/// A spawned task, whatever it comes to.
struct Running {
    name: Name,
    // `None`: refused, because its owner has stopped.
    join: Option<JoinHandle<Result<Outcome, Panicked>>>,
}

/// After an abort, how long until the aborted must have come to an end: one poll, unless they block their thread.
const ABORT_GRACE: Duration = Duration::from_secs(1);

impl Tasks {
    /// An owner whose tasks run on the current runtime.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[track_caller]
    pub fn new(meters: &Meters) -> Self {
        Self::with_blocking_limit(meters, crate::Config::default().blocking_threads)
    }

    /// As [`new`](Self::new), with another limit of blocking closures at once.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[track_caller]
    pub fn with_blocking_limit(meters: &Meters, limit: usize) -> Self {
        let shared = Shared {
            handle: Handle::current(),
            meters: meters.clone(),
            blocking: Arc::new(Semaphore::new(limit.max(1))),
            blocking_limit: limit.max(1),
        };
        Self(Arc::new(Owner { group: Group::new(meters), shared: Arc::new(shared), is_part: false }))
    }

    /// An owner that is part of this one: it can be stopped alone, and stops with the whole. They share the meters
    /// and the limit of blocking closures. Dropping a part leaves its tasks to the whole.
    pub fn part(&self) -> Tasks {
        let group = Group::new(&self.0.shared.meters);
        self.0.group.adopt(&group);
        Self(Arc::new(Owner { group, shared: self.0.shared.clone(), is_part: true }))
    }

    /// Starts a task. Once the owner has stopped, the future is dropped unpolled and the task resolves to an error.
    pub fn spawn<T, F>(&self, name: impl Into<Cow<'static, str>>, future: F) -> Task<T>
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let running = self.start(name.into(), Box::pin(Erased::new(future)));
        Task { running, of: PhantomData }
    }

    fn start(&self, name: Name, work: Work) -> Running {
        let join = self.0.group.enter(name.clone()).map(|entry| {
            let id = entry.id();
            #[expect(clippy::disallowed_methods, reason = "the place the rule points to")]
            let join = self.0.shared.handle.spawn(Owned::new(work, entry));
            self.0.group.can_abort(id, join.abort_handle());
            join
        });
        Running { name, join }
    }

    /// Raised when the owner begins to stop. A loop that runs for ever selects on it.
    pub fn stopping(&self) -> Cancel {
        self.0.group.stopping()
    }

    /// The meters that tasks of this owner count in.
    pub fn meters(&self) -> &Meters {
        &self.0.shared.meters
    }

    /// Names of the running tasks and how many there are of each, sorted: for people who ask what the process does.
    pub fn running(&self) -> Vec<(String, usize)> {
        let mut counts = std::collections::BTreeMap::new();
        for name in self.0.group.tree().iter().flat_map(|group| group.names()) {
            *counts.entry(name.into_owned()).or_insert(0) += 1;
        }
        counts.into_iter().collect()
    }

    /// Raises [`stopping`](Self::stopping), awaits every task for at most `within`, and aborts what is left.
    /// Parts stop with it. Stopping twice is harmless. Called from a task of this owner it would wait for itself.
    ///
    /// # Errors
    /// [`Kind::Deadline`](burgeon_core::Kind::Deadline), naming the tasks that had to be aborted, and those that
    /// run on because they block their thread.
    pub async fn stop(&self, within: Duration) -> Result<()> {
        self.0.group.raise();
        if timeout(within, self.0.group.end()).await.is_ok() {
            return Ok(());
        }
        let aborted = names(self.0.group.abort());
        let stuck = match timeout(ABORT_GRACE, self.0.group.end()).await {
            Ok(()) => String::new(),
            Err(_) => {
                let stuck = self.0.group.tree().iter().flat_map(|group| group.names()).collect();
                format!("; these block their thread and still run: {}", names(stuck))
            }
        };
        let within = burgeon_core::units::format_duration(within);
        Err(Error::deadline(format!(
            "Some tasks did not stop within {within} and were aborted: {aborted}{stuck}."
        )))
    }
}

impl Tasks {
    /// Aborts everything at once, for an owner that is itself being dropped.
    pub(crate) fn abort(&self) {
        self.0.group.abort();
    }
}

/// `a, b (3)`, sorted.
fn names(names: Vec<Name>) -> String {
    let mut counts = std::collections::BTreeMap::new();
    for name in names {
        *counts.entry(name).or_insert(0) += 1;
    }
    let counted = |(name, count): (Name, usize)| {
        if count == 1 { name.into_owned() } else { format!("{name} ({count})") }
    };
    counts.into_iter().map(counted).collect::<Vec<_>>().join(", ")
}

impl Drop for Owner {
    fn drop(&mut self) {
        if !self.is_part {
            self.group.abort();
        }
    }
}

impl std::fmt::Debug for Tasks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tasks").field("running", &self.running()).finish_non_exhaustive()
    }
}

impl<T> Task<T> {
    /// Stops the task at its next await. Its future is dropped.
    pub fn abort(&self) {
        if let Some(join) = &self.running.join {
            join.abort();
        }
    }

    /// Whether the task has ended.
    pub fn is_finished(&self) -> bool {
        self.running.join.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// The task's name.
    pub fn name(&self) -> &str {
        &self.running.name
    }
}

impl<T: 'static> Future for Task<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        self.running.poll_end(cx).map(|ended| ended.and_then(outcome))
    }
}

impl Running {
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<Outcome>> {
        let Some(join) = &mut self.join else {
            let refused = format!("The task `{}` was not started: its owner has stopped.", self.name);
            return Poll::Ready(Err(Error::unavailable(refused)));
        };
        let Poll::Ready(ended) = Pin::new(join).poll(cx) else { return Poll::Pending };
        Poll::Ready(match ended {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(panicked)) => Err(panic_error(&self.name, &panicked)),
            // Panics are caught inside, so what is left is an abort, or a panic in a destructor.
            Err(error) => {
                let stopped = format!("The task `{}` was stopped before its end.", self.name);
                Err(Error::unavailable(stopped).with_source(error))
            }
        })
    }
}

/// What a task or closure of a known type came to.
fn outcome<T: 'static>(outcome: Outcome) -> Result<T> {
    let of_another_type = |_| Error::internal("what a task came to is not of its own type");
    outcome.downcast().map(|outcome| *outcome).map_err(of_another_type)
}

impl<T> std::fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Task").field("name", &self.name()).field("finished", &self.is_finished()).finish()
    }
}

pub(crate) fn panic_error(name: &str, panicked: &Panicked) -> Error {
    Error::internal(format!("the task `{name}` {panicked}"))
}
