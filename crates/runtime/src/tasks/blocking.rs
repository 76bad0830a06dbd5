//! Closures that block their thread, a bounded number at once.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use burgeon_core::units::format_duration;
use burgeon_core::{Ctx, Deadline, Error, Result};
use tokio::time::{Instant, timeout, timeout_at};

use super::{Name, Outcome, Tasks, outcome, panic_error};
use crate::owned::{OnPanic, Panicked, message_of};

/// Of one type, as every task is to its owner.
type Closure = Box<dyn FnOnce() -> Outcome + Send>;

/// How long a closure nobody gave a deadline waits for its turn.
const TURN: Duration = Duration::from_secs(30);

impl Tasks {
    /// Runs a closure that blocks (a system call, a password hash) on a thread of its own, at most
    /// [`blocking_threads`](crate::Config::blocking_threads) at once. The owner awaits it; nothing can interrupt it.
    /// Dropping the returned future before the closure's turn means it never runs; after that it runs to its end.
    ///
    /// # Errors
    /// [`Kind::Overloaded`](burgeon_core::Kind::Overloaded) when its turn does not come within 30 s,
    /// [`Kind::Unavailable`](burgeon_core::Kind::Unavailable) once the owner has stopped,
    /// [`Kind::Internal`](burgeon_core::Kind::Internal) when it panics.
    pub async fn blocking<T, F>(&self, name: impl Into<Cow<'static, str>>, work: F) -> Result<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.run_blocking(name.into(), erased(work)).await.and_then(outcome)
    }

    /// As [`blocking`](Self::blocking), bounded by the context's deadline: past it, a closure that has not begun
    /// never does, and one that has is no longer waited for.
    ///
    /// # Errors
    /// As [`blocking`](Self::blocking), and [`Kind::Deadline`](burgeon_core::Kind::Deadline).
    pub async fn blocking_within<T, F>(
        &self,
        ctx: &Ctx,
        name: impl Into<Cow<'static, str>>,
        work: F,
    ) -> Result<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.run_blocking_within(ctx.deadline(), name.into(), erased(work)).await.and_then(outcome)
    }

    async fn run_blocking(&self, name: Name, work: Closure) -> Result<Outcome> {
        let turn = timeout(TURN, self.turn()).await.map_err(|_| {
            let (limit, waited) = (self.0.shared.blocking_limit, format_duration(TURN));
            let why = format!("`{name}` waited {waited} for its turn: all {limit} blocking threads are busy");
            Error::from_source(burgeon_core::Kind::Overloaded, why)
        })?;
        self.start_blocking(name, turn?, work)?.await
    }

    async fn run_blocking_within(
        &self,
        deadline: Option<Deadline>,
        name: Name,
        work: Closure,
    ) -> Result<Outcome> {
        let Some(deadline) = deadline else { return self.run_blocking(name, work).await };
        let late = |what: &str| {
            Error::from_source(
                burgeon_core::Kind::Deadline,
                format!("the deadline passed while `{name}` {what}"),
            )
        };
        if deadline.has_passed(Instant::now().into_std()) {
            return Err(late("had not begun"));
        }
        let deadline = Instant::from_std(deadline.instant());
        let turn =
            timeout_at(deadline, self.turn()).await.map_err(|_| late("waited for a blocking thread"))??;
        let ended = self.start_blocking(name.clone(), turn, work)?;
        timeout_at(deadline, ended).await.map_err(|_| late("ran on its blocking thread"))?
    }

    async fn turn(&self) -> Result<tokio::sync::OwnedSemaphorePermit> {
        let waiting = self.meters().gauge(
            "runtime_blocking_waiting",
            "Closures that wait for their turn on a blocking thread.",
            &[],
        );
        let _waiting = waiting.enter();
        self.0.shared.blocking.clone().acquire_owned().await.map_err(Error::internal)
    }

    fn start_blocking(
        &self,
        name: Name,
        turn: tokio::sync::OwnedSemaphorePermit,
        work: Closure,
    ) -> Result<impl Future<Output = Result<Outcome>> + use<>> {
        let entry = self.0.group.enter(name.clone()).ok_or_else(|| {
            Error::unavailable(format!("The blocking work `{name}` was not started: its owner has stopped."))
        })?;
        #[expect(clippy::disallowed_methods, reason = "the place the rule points to")]
        let join = self.0.shared.handle.spawn_blocking(move || {
            let _turn = turn;
            // Sound to assert: the closure is gone after its panic.
            catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
                let panicked = Panicked(message_of(payload.as_ref()));
                entry.panicked(&panicked.0);
                panicked
            })
        });
        Ok(async move {
            match join.await {
                Ok(Ok(outcome)) => Ok(outcome),
                Ok(Err(panicked)) => Err(panic_error(&name, &panicked)),
                Err(error) => {
                    let refused = format!("The blocking work `{name}` was not started: the runtime stops.");
                    Err(Error::unavailable(refused).with_source(error))
                }
            }
        })
    }
}

fn erased<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Closure {
    Box::new(move || Box::new(work()))
}
