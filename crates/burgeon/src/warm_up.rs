//! Work before a node takes its first request, at each of its starts: caches are filled with what most visitors will ask for.
//!
//! What this is not: a condition of serving. What fails is logged, what is not done in time is ended, and the node serves all the
//! same; its caches fill by use then. It comes after the node is among the others, so that it hears what they change of what
//! it has read.

use std::time::Duration;

use burgeon_core::{Ctx, Deadline};
use burgeon_runtime::{Life, Service};
use tokio::time::{Instant, timeout_at};

use crate::module::WarmUp;
use crate::parts::Parts;

/// The name of the service, as the probes show it.
pub(crate) const NAME: &str = "warm-up";

/// All the work of all modules, for `wait` at most.
pub(crate) fn service(work: Vec<(String, WarmUp)>, parts: Parts, wait: Duration) -> Service {
    Service::new(NAME, async move |life: Life| {
        if !wait.is_zero() {
            tokio::select! {
                () = run(work, parts, wait, &life) => {}
                () = life.draining() => return Ok(()),
            }
        }
        life.ready();
        life.draining().await;
        Ok(())
    })
    .after(["database", "cluster"])
}

async fn run(work: Vec<(String, WarmUp)>, parts: Parts, wait: Duration, life: &Life) {
    let until = Instant::now() + wait;
    let ctx = Ctx::background().with_deadline(Deadline::after(Instant::now().into_std(), wait));
    for (module, work) in work {
        let began = Instant::now();
        // A task of its own: whatever breaks in it breaks nothing else.
        let mut task = life.tasks().spawn(format!("warm-up {module}"), (work.run)(ctx.clone(), &parts));
        let done = match timeout_at(until, &mut task).await {
            Ok(done) => done.and_then(std::convert::identity),
            Err(_) => {
                task.abort();
                tracing::warn!(?wait, "module `{module}` was not warm in time; the node serves without");
                return;
            }
        };
        match done {
            Ok(()) => {
                tracing::debug!(took_ms = began.elapsed().as_millis() as u64, "module `{module}` is warm")
            }
            Err(error) => {
                tracing::warn!(error = %error.detail(), "module `{module}` was not warmed up; the node serves without");
            }
        }
    }
}
