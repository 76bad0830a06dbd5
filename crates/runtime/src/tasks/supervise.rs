//! Tasks that are started again when they fail.

use std::borrow::Cow;
use std::future::Future;

use burgeon_core::{Cancel, Result};
use burgeon_meter::{Counter, Meters};
use tokio::time::{Instant, sleep};

use super::group::report_panic;
use super::{Name, Task, Tasks, panic_error};
use crate::backoff::{Restart, random};
use crate::owned::{OnPanic, Owned};

struct Supervised {
    name: Name,
    restart: Restart,
    stopping: Cancel,
    meters: Meters,
    restarts: Counter,
}

impl Tasks {
    /// Runs what `run` makes, and makes it again, after a pause with full jitter, whenever it fails or panics. Ends
    /// when it returns `Ok(())`, or fails once the owner is stopping. Restarts are counted and logged.
    ///
    /// It is told of the stop like every task, by [`stopping`](Tasks::stopping); a pause ends at once.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use burgeon_runtime::{Restart, Tasks};
    ///
    /// let tasks = Tasks::new(&burgeon_meter::Meters::new());
    /// let _ = tasks.supervise("listen", Restart::default(), || async {
    ///     // connect, then serve until the connection breaks
    ///     Ok(())
    /// });
    /// # });
    /// ```
    pub fn supervise<F, Fut>(&self, name: impl Into<Cow<'static, str>>, restart: Restart, run: F) -> Task<()>
    where
        F: FnMut() -> Fut + Send + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        const HELP: &str = "Times a supervised task failed and was started again.";
        let name = name.into();
        let meters = self.meters().clone();
        let restarts = meters.counter("runtime_task_restarts_total", HELP, &[("task", &name)]);
        let supervised =
            Supervised { name: name.clone(), restart, stopping: self.stopping(), meters, restarts };
        self.spawn(name, supervised.run(run))
    }
}

impl Supervised {
    async fn run<F, Fut>(self, mut run: F)
    where
        F: FnMut() -> Fut + Send,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        let mut failures = 0;
        loop {
            let began = Instant::now();
            // The maker runs inside the wrapped future, so that its panics are caught too.
            let error = match Owned::new(async { run().await }, &self).await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error,
                Err(panicked) => panic_error(&self.name, &panicked),
            };
            if self.stopping.is_cancelled() {
                tracing::warn!(task = &*self.name, error = error.detail(), "a task failed while stopping");
                return;
            }
            failures = if began.elapsed() >= self.restart.healthy_after { 1 } else { failures + 1 };
            let pause = self.restart.delay(failures, random());
            self.restarts.increment();
            tracing::warn!(
                task = &*self.name,
                error = error.detail(),
                failures,
                pause_ms = pause.as_millis() as u64,
                "a task failed and is started again after a pause"
            );
            tokio::select! {
                () = sleep(pause) => {}
                () = self.stopping.cancelled() => return,
            }
        }
    }
}

impl OnPanic for &Supervised {
    fn panicked(&self, message: &str) {
        report_panic(&self.meters, &self.name, message);
    }
}
