//! The walk of a process: start in order, be ready, drain, stop in reverse.
//!
//! ```text
//!   for each service, in order           reverse order
//!  ┌──────────────────────────┐   ┌───────────────────────────────┐
//!  │ start ─▶ wait for ready  │──▶│ drain ─▶ await ─▶ stop tasks  │──▶ stop own tasks ─▶ result
//!  └──────────────────────────┘   └───────────────────────────────┘
//!        │ fails, dies, takes      ▲        │ takes too long
//!        │ too long, asked to stop │        ▼
//!        └─────────────────────────┘   aborted and named
//! ```
//!
//! The phases of the process (starting, ready, draining, stopped) are the pure function in `state.rs`.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use burgeon_core::units::format_duration;
use burgeon_core::{Error, Result};
use burgeon_meter::{Gauge, Meters};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use crate::health::PartHandle;
use crate::order::{Node, order};
use crate::service::{Life, Service};
use crate::signal::Signals;
use crate::state::{Event, Phase};
use crate::{Config, Health, Tasks, probe};

/// What a service gets at least once it is asked to stop, even when those before it used up the time: enough to write
/// down what has been done. It is also what one that never became ready gets at most.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Starts services, waits, stops them.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use burgeon_runtime::{Config, Life, Lifecycle, Service};
///
/// let lifecycle = Lifecycle::new(Config::default(), &burgeon_meter::Meters::new()).service(Service::new(
///     "clock",
///     async |life: Life| {
///         life.ready();
///         life.draining().await;
///         Ok(())
///     },
/// ));
/// lifecycle.run(async { /* until this ends; a server calls `run_until_signal()` */ }).await
/// # }).unwrap();
/// ```
pub struct Lifecycle {
    config: Config,
    tasks: Tasks,
    health: Health,
    services: Vec<Service>,
    when_ready: Vec<WhenReady>,
}

type WhenReady = Box<dyn FnOnce() + Send>;

/// Why the process stops.
enum Cause {
    Asked,
    Failed(Error),
}

struct Walk {
    config: Config,
    tasks: Tasks,
    health: Health,
    when_ready: Vec<WhenReady>,
    running: Vec<Running>,
    // The services' ends, as they come.
    ends: Ends,
}

type Ends = FuturesUnordered<Pin<Box<dyn Future<Output = (usize, Result<()>)> + Send>>>;

struct Running {
    name: Cow<'static, str>,
    tasks: Tasks,
    drain: watch::Sender<Option<Instant>>,
    ready: watch::Receiver<bool>,
    part: PartHandle,
    up: Gauge,
    ended: Option<Result<()>>,
}

impl Lifecycle {
    /// A lifecycle without services yet.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[track_caller]
    pub fn new(config: Config, meters: &Meters) -> Self {
        let tasks = Tasks::with_blocking_limit(meters, config.blocking_threads);
        Self {
            config,
            tasks,
            health: Health::in_phase(Phase::Starting),
            services: Vec::new(),
            when_ready: Vec::new(),
        }
    }

    /// Adds a service. It starts after those declared before it and those it names by [`Service::after`].
    #[must_use]
    pub fn service(mut self, service: Service) -> Self {
        self.services.push(service);
        self
    }

    /// Calls `tell` once, when every service is ready and the probes say so. Not called when the start fails.
    #[must_use]
    pub fn when_ready(mut self, tell: impl FnOnce() + Send + 'static) -> Self {
        self.when_ready.push(Box::new(tell));
        self
    }

    /// What the probes read.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// The owner of tasks that belong to no service: they are stopped after the last service.
    pub fn tasks(&self) -> Tasks {
        self.tasks.clone()
    }

    /// Starts the services, waits until `until` resolves or a service ends, and stops them. Dropping the returned
    /// future aborts everything.
    ///
    /// # Errors
    /// When a service failed to start, died, failed while stopping or had to be aborted. The error names it.
    ///
    /// # Panics
    /// When two services have one name, one starts after an unknown one, or they wait for each other: at the call,
    /// before anything has started.
    #[track_caller]
    pub fn run(self, until: impl Future<Output = ()> + Send) -> impl Future<Output = Result<()>> + Send {
        let Self { config, tasks, health, services, when_ready } = self;
        let nodes: Vec<_> = services.iter().map(|it| Node { name: &it.name, after: &it.after }).collect();
        let order = order(&nodes).unwrap_or_else(|why| refuse(&why));
        let mut services: Vec<_> = services.into_iter().map(Some).collect();
        let services: Vec<_> = order.into_iter().filter_map(|index| services[index].take()).collect();
        let walk =
            Walk { config, tasks, health, when_ready, running: Vec::new(), ends: FuturesUnordered::new() };
        walk.walk(services, until)
    }

    /// [`run`](Self::run) until SIGTERM or SIGINT. A second signal aborts everything and returns at once with
    /// [`Interrupted`](crate::Interrupted) as the error's source; the program should then exit with
    /// [`exit_code`](crate::exit_code) and not wait for anything. If it has not ended after half a second, because its
    /// threads are stuck, it is ended.
    ///
    /// # Errors
    /// As [`run`](Self::run), and when the signals cannot be listened to.
    ///
    /// # Panics
    /// As [`run`](Self::run).
    #[track_caller]
    pub fn run_until_signal(self) -> impl Future<Output = Result<()>> + Send {
        let signals = Signals::listen().map(std::sync::Arc::new);
        let first = signals.as_ref().ok().cloned();
        let walk = self.run(async move {
            if let Some(signals) = first {
                signals.first().await;
                tracing::info!("asked to stop by a signal; a second one stops at once");
            }
        });
        async move {
            let signals = signals?;
            tokio::select! {
                ended = walk => ended,
                interrupted = signals.second() => {
                    tracing::warn!(%interrupted, "stopping at once");
                    Err(Error::unavailable("The process was interrupted while it was stopping.").with_source(interrupted))
                }
            }
        }
    }
}

impl std::fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lifecycle").field("services", &self.services).finish_non_exhaustive()
    }
}

#[track_caller]
#[expect(
    clippy::panic,
    reason = "services that cannot be ordered are a defect of the program, found at start"
)]
fn refuse(why: &str) -> ! {
    panic!("{why}")
}

impl Walk {
    async fn walk(mut self, services: Vec<Service>, until: impl Future<Output = ()> + Send) -> Result<()> {
        self.watch_runtime();
        let mut until = std::pin::pin!(until);
        let cause = match self.start_all(services, until.as_mut()).await {
            Ok(()) => {
                self.health.apply(Event::AllReady);
                tracing::info!(services = self.running.len(), "ready");
                self.when_ready.drain(..).for_each(|tell| tell());
                self.be_ready(until).await
            }
            Err(cause) => cause,
        };
        // Readiness goes first, so that nothing new is sent while the rest still serves.
        match &cause {
            Cause::Asked => {
                self.health.apply(Event::Asked);
                tracing::info!("draining");
                self.collect_ends(Instant::now() + self.config.drain_delay, |_| false).await;
            }
            Cause::Failed(error) => {
                self.health.apply(Event::Failed);
                tracing::error!(error = error.detail(), "draining, because a service failed");
            }
        }
        let stopped = self.stop_all().await;
        self.health.apply(Event::AllStopped);
        tracing::info!("stopped");
        match cause {
            // What came first is the cause; what came of it is in the log.
            Cause::Failed(error) => Err(error),
            Cause::Asked => stopped,
        }
    }

    fn watch_runtime(&self) {
        let (stopping, watch) =
            (self.tasks.stopping(), probe::watch(self.tasks.meters().clone(), "main".into()));
        drop(self.tasks.spawn("runtime probe", async move {
            tokio::select! {
                () = watch => {}
                () = stopping.cancelled() => {}
            }
        }));
    }

    async fn start_all(
        &mut self,
        services: Vec<Service>,
        mut until: Pin<&mut (impl Future<Output = ()> + Send)>,
    ) -> Result<(), Cause> {
        for service in services {
            self.start(service, until.as_mut()).await?;
        }
        Ok(())
    }

    async fn start(
        &mut self,
        service: Service,
        until: Pin<&mut (impl Future<Output = ()> + Send)>,
    ) -> Result<(), Cause> {
        let began = Instant::now();
        let name = service.name.clone();
        let index = self.running.len();
        let mut ready = self.launch(service);
        let not_started = |why: String| {
            Cause::Failed(Error::unavailable(format!("The service `{name}` failed to start: {why}.")))
        };
        tokio::select! {
            biased;
            (who, ended) = end(&mut self.ends) => {
                let said = *ready.borrow();
                Err(self.ended_unasked(who, ended, who != index || said))
            }
            said = said(&mut ready) => match said {
                true => {
                    self.running[index].up.set(1);
                    self.running[index].part.ready();
                    tracing::info!(service = &*name, took_ms = began.elapsed().as_millis() as u64, "service ready");
                    Ok(())
                }
                false => Err(not_started("it dropped its `Life` without saying that it is ready".into())),
            },
            () = until => Err(Cause::Asked),
            () = sleep(self.config.start_timeout) => {
                let limit = format_duration(self.config.start_timeout);
                Err(not_started(format!("it was not ready within {limit} (`start_timeout`)")))
            }
        }
    }

    /// Gives the service its life and starts its future.
    fn launch(&mut self, service: Service) -> watch::Receiver<bool> {
        const HELP: &str = "1 while the service does its work, 0 before and after.";
        let (say_ready, ready) = watch::channel(false);
        let (drain, draining) = watch::channel(None);
        let tasks = self.tasks.part();
        let up = tasks.meters().gauge("runtime_service_ready", HELP, &[("service", &service.name)]);
        let part = self.health.part(service.name.clone());
        let life = Life::new(service.name.clone(), say_ready, draining, tasks.clone(), self.health.clone());
        let index = self.running.len();
        tracing::info!(service = &*service.name, "service starting");
        let run = service.run;
        let task = tasks.spawn(format!("service {}", service.name), async move { run(life).await });
        self.ends.push(Box::pin(async move { (index, task.await.flatten()) }));
        let running =
            Running { name: service.name, tasks, drain, ready: ready.clone(), part, up, ended: None };
        self.running.push(running);
        ready
    }

    /// Waits until somebody wants the process to stop, or a service ends.
    async fn be_ready(&mut self, until: Pin<&mut (impl Future<Output = ()> + Send)>) -> Cause {
        tokio::select! {
            biased;
            (who, ended) = end(&mut self.ends) => self.ended_unasked(who, ended, true),
            () = until => Cause::Asked,
        }
    }

    /// What the end of a service means that nobody asked to end.
    fn ended_unasked(&mut self, who: usize, ended: Result<()>, was_ready: bool) -> Cause {
        let running = &mut self.running[who];
        running.up.set(0);
        let what = if was_ready { "died" } else { "failed to start" };
        let error = match ended {
            Ok(()) => Error::unavailable(format!(
                "The service `{}` {what}: it returned although nobody had asked it to stop.",
                running.name
            )),
            Err(error) => {
                Error::unavailable(format!("The service `{}` {what}.", running.name)).with_source(error)
            }
        };
        running.part.failed(error.detail());
        // Told once, as the cause of the stop; its part is still to be cleaned up.
        running.ended = Some(Ok(()));
        Cause::Failed(error)
    }

    /// Stops what has been started, the last first, and returns the first thing that went wrong.
    async fn stop_all(&mut self) -> Result<()> {
        let deadline = Instant::now() + self.config.drain_timeout;
        let mut stopped = Ok(());
        for index in (0..self.running.len()).rev() {
            let one = self.stop(index, deadline).await;
            if let Err(error) = &one {
                tracing::error!(
                    service = &*self.running[index].name,
                    error = error.detail(),
                    "stopped badly"
                );
            }
            stopped = stopped.and(one);
        }
        let left = deadline.saturating_duration_since(Instant::now()).max(LAST_WORDS);
        stopped.and(self.tasks.stop(left).await)
    }

    async fn stop(&mut self, index: usize, deadline: Instant) -> Result<()> {
        let last_words = Instant::now() + LAST_WORDS;
        let running = &self.running[index];
        let deadline = if *running.ready.borrow() { deadline.max(last_words) } else { last_words };
        let has_failed = running.ended.is_some();
        if !has_failed {
            running.part.draining();
        }
        running.up.set(0);
        running.drain.send_replace(Some(deadline));
        self.collect_ends(deadline, |walk| walk.running[index].ended.is_some()).await;

        let running = &mut self.running[index];
        let ended = running.ended.take();
        let left = deadline.saturating_duration_since(Instant::now());
        let tasks = running.tasks.stop(left).await;
        let name = &running.name;
        let result =
            match ended {
                Some(Ok(())) => tasks.map_err(|error| {
                    Error::deadline(format!("The service `{name}` left tasks behind.")).with_source(error)
                }),
                Some(Err(error)) => {
                    Err(Error::unavailable(format!("The service `{name}` failed while stopping."))
                        .with_source(error))
                }
                None => Err(Error::deadline(format!(
                    "The service `{name}` did not stop in time and was aborted."
                ))
                .with_source(tasks.err().unwrap_or_else(|| Error::deadline("It ended in the last moment.")))),
            };
        match &result {
            Ok(()) if has_failed => {}
            Ok(()) => running.part.stopped(),
            Err(error) => running.part.failed(error.detail()),
        }
        tracing::info!(service = &**name, "service stopped");
        result
    }

    /// Writes down which services ended, until `deadline` or until `done`.
    async fn collect_ends(&mut self, deadline: Instant, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            let Ok((who, ended)) = timeout_at(deadline, end(&mut self.ends)).await else { return };
            let running = &mut self.running[who];
            if running.drain.borrow().is_none() {
                tracing::error!(
                    service = &*running.name,
                    ?ended,
                    "a service ended before it was asked to stop"
                );
            }
            running.ended = Some(ended);
        }
    }
}

impl Drop for Walk {
    fn drop(&mut self) {
        // After the walk nothing is left to abort. Without it, somebody gave up in the middle.
        self.tasks.abort();
    }
}

/// The next end of a service; never, when all have ended. Cancel-safe.
async fn end(ends: &mut Ends) -> (usize, Result<()>) {
    match ends.next().await {
        Some(ended) => ended,
        None => std::future::pending().await,
    }
}

/// Whether the service said that it is ready, once it has, or can no longer.
async fn said(ready: &mut watch::Receiver<bool>) -> bool {
    if ready.wait_for(|ready| *ready).await.is_ok() {
        return true;
    }
    // A service that returned drops its `Life` a moment before its end is known, and its end says more.
    sleep(Duration::from_millis(100)).await;
    false
}
