//! One single-threaded runtime per core, each on a thread of its own, for the connections of a server.
//!
//! A task spawned on a core stays there: it needs no `Send`, its wake-ups cross no thread, and its data stay in one
//! cache. What it shares with the other cores (a pool, a cache) it reaches through handles, as always. Why: closing
//! every 25th request on 24 cores, a server with one accept loop on a shared runtime made 333-550 thousand requests
//! a second and had timeouts, one listener and runtime per core 945-960 thousand and none (MDA2AV/HttpArena#1361).
//!
//! # Invariants
//! - [`Core::spawn`] costs the task's own allocation and two counters; no lock, no list of our own.
//! - The tasks belong to the [`Tasks`] the cores were started with: they are awaited until the deadline, and dropped
//!   with their runtime after it.
//! - A panic ends its task alone, is counted and logged.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use burgeon_core::units::format_duration;
use burgeon_core::{Cancel, CancelGuard, Error, Result};
use burgeon_meter::{Counter, Meters};
use futures_util::future::join_all;
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::owned::{OnPanic, Owned};
use crate::probe;
use crate::tasks::Tasks;

/// How many futures may wait for one core to take them.
const JOBS: usize = 1_024;
/// After the deadline, how long a core may take to drop what is left, unless a task blocks its thread.
const ABORT_GRACE: Duration = Duration::from_secs(1);

/// The cores of one server. Cloning shares them; dropping detaches: their owner stops them.
#[derive(Clone)]
pub struct Cores(Arc<Shared>);

struct Shared {
    name: String,
    seats: Vec<Seat>,
}

/// A core as seen from outside.
struct Seat {
    jobs: mpsc::Sender<Job>,
    order: watch::Sender<Order>,
    // How many tasks were left when the core ended.
    ended: watch::Receiver<Option<usize>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

type Job = Box<dyn FnOnce(&Core) + Send>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    // In order of severity: an order is only ever replaced by a more severe one.
    Run,
    Drain,
    Abort,
}

/// A core as seen from the tasks on it. Cloning is a counter; it cannot leave its thread.
#[derive(Clone)]
pub struct Core(Rc<Inner>);

struct Inner {
    index: usize,
    name: String,
    alive: Cell<usize>,
    closed: Cell<bool>,
    idle: Notify,
    raise: CancelGuard,
    stopping: Cancel,
    panics: Counter,
}

/// The result of a future on a core. Dropping it detaches.
#[must_use = "await it for the result, or drop it with `drop(..)` to say that nobody wants it"]
pub struct OnCore<T> {
    core: String,
    value: oneshot::Receiver<T>,
}

impl Cores {
    /// How many cores this process may use; 1 if the system does not say.
    pub fn available() -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }

    /// Starts `count` cores (0: [`available`](Self::available)) on threads called `name-0`, `name-1`, ..., and
    /// returns when all run.
    ///
    /// # Errors
    /// [`Kind::Unavailable`](burgeon_core::Kind::Unavailable) when the system refuses a thread or a runtime.
    pub async fn start(name: &str, count: usize, tasks: &Tasks) -> Result<Self> {
        let count = if count == 0 { Self::available() } else { count };
        let mut shared = Shared { name: name.to_owned(), seats: Vec::with_capacity(count) };
        let mut begun = Vec::with_capacity(count);
        for index in 0..count {
            let (seat, up) = Seat::take(format!("{name}-{index}"), index, tasks.meters())
                .map_err(|error| refused(name, error))?;
            shared.seats.push(seat);
            begun.push(up);
        }
        let cores = Self(Arc::new(shared));
        // Before waiting: whatever happens now, somebody stops the threads.
        let guard = AbortOnDrop(cores.clone());
        let stopping = tasks.stopping();
        drop(tasks.spawn(format!("cores {name}"), async move {
            tokio::select! {
                () = stopping.cancelled() => guard.0.order(Order::Drain),
                () = guard.0.all_ended() => {}
            }
            guard.0.all_ended().await;
        }));
        for up in begun {
            up.await.map_err(Error::internal)?.map_err(|error| refused(name, error))?;
        }
        Ok(cores)
    }

    /// How many.
    #[expect(clippy::len_without_is_empty, reason = "there is always at least one core")]
    pub fn len(&self) -> usize {
        self.0.seats.len()
    }

    /// Makes a future on a core, which is where it may hold what cannot leave the thread, and runs it there.
    /// `core` counts round: with 4 cores, 5 is core 1.
    ///
    /// The result resolves to an error when the future panicked, the core stopped before its end, or
    /// ([`Kind::Overloaded`](burgeon_core::Kind::Overloaded)) too many futures wait for the core to take them.
    pub fn run_on<T, F, Fut>(&self, core: usize, make: F) -> OnCore<T>
    where
        F: FnOnce(Core) -> Fut + Send + 'static,
        Fut: Future<Output = T> + 'static,
        T: Send + 'static,
    {
        let index = core % self.len();
        let (give, value) = oneshot::channel();
        let job: Job = Box::new(move |core| {
            let on = core.clone();
            core.spawn(async move {
                // Nobody may want the result any more.
                let _ = give.send(make(on).await);
            });
        });
        // A job that is refused is dropped, and its sender with it, which the receiver sees.
        let _ = self.0.seats[index].jobs.try_send(job);
        OnCore { core: format!("{}-{index}", self.0.name), value }
    }

    /// Raises [`Core::stopping`] on every core, awaits the tasks there for at most `within`, drops what is left, and
    /// joins the threads. Stopping twice is harmless.
    ///
    /// # Errors
    /// [`Kind::Deadline`](burgeon_core::Kind::Deadline), saying how many tasks were dropped on which core, and which
    /// core is blocked by a task and could not be joined.
    pub async fn stop(&self, within: Duration) -> Result<()> {
        self.order(Order::Drain);
        if timeout(within, self.all_ended()).await.is_err() {
            self.order(Order::Abort);
            // Who has not ended by then is named below.
            let _ = timeout(ABORT_GRACE, self.all_ended()).await;
        }
        let mut wrong = Vec::new();
        for (index, seat) in self.0.seats.iter().enumerate() {
            let left = *seat.ended.borrow();
            match left {
                Some(0) => {}
                Some(left) => wrong.push(format!("{}-{index} dropped {left} tasks", self.0.name)),
                None if seat.ended.has_changed().is_err() => {
                    wrong.push(format!("{}-{index} had died", self.0.name));
                }
                None => {
                    wrong.push(format!("{}-{index} is blocked by a task and still runs", self.0.name));
                    continue;
                }
            }
            let thread = seat.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
            if thread.is_some_and(|thread| thread.join().is_err()) {
                wrong.push(format!("{}-{index} panicked at its end", self.0.name));
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        let within = format_duration(within);
        Err(Error::deadline(format!(
            "Not all cores came to their end within {within}: {}.",
            wrong.join(", ")
        )))
    }

    fn order(&self, order: Order) {
        for seat in &self.0.seats {
            seat.order.send_if_modified(|current| {
                let more_severe = order > *current;
                *current = order.max(*current);
                more_severe
            });
        }
    }

    async fn all_ended(&self) {
        join_all(self.0.seats.iter().map(|seat| async {
            // An error means that the thread is gone: ended as well.
            let _ = seat.ended.clone().wait_for(Option::is_some).await;
        }))
        .await;
    }
}

impl std::fmt::Debug for Cores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cores").field("name", &self.0.name).field("count", &self.len()).finish()
    }
}

/// The owner aborted the task that watches the cores, so it wants them gone.
struct AbortOnDrop(Cores);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.order(Order::Abort);
    }
}

fn refused(name: &str, error: std::io::Error) -> Error {
    Error::unavailable(format!("The system refused a thread or a runtime for the cores `{name}`."))
        .with_source(error)
}

type Up = oneshot::Receiver<std::io::Result<()>>;

impl Seat {
    fn take(name: String, index: usize, meters: &Meters) -> std::io::Result<(Self, Up)> {
        let (jobs, take_jobs) = mpsc::channel(JOBS);
        let (order, orders) = watch::channel(Order::Run);
        let (end, ended) = watch::channel(None);
        let (up, is_up) = oneshot::channel();
        let meters = meters.clone();
        let thread = std::thread::Builder::new().name(name.clone()).spawn(move || {
            let runtime =
                match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
                    Ok(runtime) => runtime,
                    Err(error) => return drop(up.send(Err(error))),
                };
            // Nobody may wait for it any more: then the order to abort has been given.
            let _ = up.send(Ok(()));
            let left = live(runtime, name, index, &meters, take_jobs, orders);
            end.send_replace(Some(left));
        })?;
        Ok((Self { jobs, order, ended, thread: Mutex::new(Some(thread)) }, is_up))
    }
}

/// The whole life of a core; returns how many tasks were left at its end.
fn live(
    runtime: LocalRuntime,
    name: String,
    index: usize,
    meters: &Meters,
    mut jobs: mpsc::Receiver<Job>,
    mut orders: watch::Receiver<Order>,
) -> usize {
    const HELP: &str = "Panics caught in tasks. Each is a defect; the log has its message.";
    let (raise, stopping) = Cancel::new();
    let panics = meters.counter("runtime_task_panics_total", HELP, &[("task", &name)]);
    let core = Core(Rc::new(Inner {
        index,
        alive: Cell::new(0),
        closed: Cell::new(false),
        idle: Notify::new(),
        raise,
        stopping,
        panics,
        name: name.clone(),
    }));
    // The core's own, not counted: it ends with the runtime.
    drop(runtime.spawn_local(probe::watch(meters.clone(), name)));
    runtime.block_on(async {
        loop {
            tokio::select! {
                biased;
                _ = wait_for(&mut orders, Order::Drain) => break,
                Some(job) = jobs.recv() => job(&core),
            }
        }
        // What was accepted before the order is begun, so that it learns of the stop like all others.
        jobs.close();
        while let Ok(job) = jobs.try_recv() {
            job(&core);
        }
        core.0.raise.cancel();
        tokio::select! {
            biased;
            _ = wait_for(&mut orders, Order::Abort) => {}
            () = core.empty() => {}
        }
    });
    let left = core.0.alive.get();
    core.0.closed.set(true);
    // Drops the tasks that are left; what libraries run on blocking threads is not waited for.
    runtime.shutdown_background();
    left
}

/// Resolves when the order is at least this severe, or nobody is left to give one.
async fn wait_for(orders: &mut watch::Receiver<Order>, order: Order) {
    let _ = orders.wait_for(|given| *given >= order).await;
}

impl Core {
    /// Starts a task on this core. Once the core has ended, the future is dropped unpolled.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        if self.0.closed.get() {
            return;
        }
        self.0.alive.set(self.0.alive.get() + 1);
        #[expect(clippy::disallowed_methods, reason = "the place the rule points to")]
        drop(tokio::task::spawn_local(Owned::new(future, Alive(self.clone()))));
    }

    /// Raised when the core begins to stop. Each core has its own, so waiting for it touches no other core.
    pub fn stopping(&self) -> Cancel {
        self.0.stopping.clone()
    }

    /// Which core, from 0.
    pub fn index(&self) -> usize {
        self.0.index
    }

    /// How many tasks are on it.
    pub fn alive(&self) -> usize {
        self.0.alive.get()
    }

    async fn empty(&self) {
        while self.alive() > 0 {
            self.0.idle.notified().await;
        }
    }
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core")
            .field("name", &self.0.name)
            .field("alive", &self.alive())
            .finish_non_exhaustive()
    }
}

/// One unit of a core's tasks.
struct Alive(Core);

impl Drop for Alive {
    fn drop(&mut self) {
        let alive = self.0.alive() - 1;
        self.0.0.alive.set(alive);
        if alive == 0 && self.0.0.stopping.is_cancelled() {
            self.0.0.idle.notify_one();
        }
    }
}

impl OnPanic for Alive {
    fn panicked(&self, message: &str) {
        self.0.0.panics.increment();
        tracing::error!(core = self.0.0.name, panic = message, "a task on a core panicked");
    }
}

impl<T> Future for OnCore<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let Poll::Ready(value) = Pin::new(&mut self.value).poll(cx) else { return Poll::Pending };
        Poll::Ready(value.map_err(|_| {
            let core = &self.core;
            Error::unavailable(format!(
                "The future on core `{core}` panicked, was dropped, or found the core full."
            ))
        }))
    }
}

impl<T> std::fmt::Debug for OnCore<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OnCore").field("core", &self.core).finish_non_exhaustive()
    }
}
