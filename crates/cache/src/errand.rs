//! The way of a flight to the second tier, which its first caller goes himself as long as nobody else waits for it: most of these flights
//! end there, and a task of their own would cost more than all the rest.
//!
//! ```text
//!   first caller ── carries it, polls it ──┬─ done ─────────────── landed, or a load in a task of its own
//!                                          ├─ somebody joins ──┐
//!                                          └─ the caller goes ─┴── it goes on in a task
//! ```
//!
//! # Invariants
//! - Nobody but its carrier waits for what he carries: whoever else wants it makes it a task first. A carrier who is not polled keeps
//!   nobody waiting.
//! - What is begun goes on, whatever becomes of its carrier.
//! - A panic in it is a panic in a task.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use burgeon_runtime::Tasks;

use crate::sync::{Mutex, hold};

/// The work.
pub(crate) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What those aboard share of it.
#[derive(Default)]
pub(crate) struct Errand {
    // Not a tokio mutex: nothing awaits under it, and nothing is polled or dropped under it either.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Between two polls of its carrier.
    work: Option<Work>,
    carrier: Option<Waker>,
    /// Somebody else waits for it.
    is_shared: bool,
}

impl Errand {
    /// Somebody else waits for it from now on.
    pub(crate) fn share(&self, tasks: &Tasks) {
        let mut state = hold(&self.state);
        state.is_shared = true;
        let (work, carrier) = (state.work.take(), state.carrier.take());
        drop(state);
        go_on(tasks, work);
        // He waits like all the others now.
        if let Some(carrier) = carrier {
            carrier.wake();
        }
    }

    /// Begins it.
    pub(crate) fn begin(&self, work: Work) {
        hold(&self.state).work = Some(work);
    }

    /// Goes on as far as it goes now. Ready: it has ended, or somebody else goes on with it.
    pub(crate) fn poll(&self, tasks: &Tasks, cx: &mut Context<'_>) -> Poll<()> {
        let Some(mut work) = hold(&self.state).work.take() else { return Poll::Ready(()) };
        // Sound to assert: what has panicked is not polled again.
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
            Ok(Poll::Ready(())) => Poll::Ready(()),
            Ok(Poll::Pending) => {
                let mut state = hold(&self.state);
                if state.is_shared {
                    drop(state);
                    go_on(tasks, Some(work));
                    return Poll::Ready(());
                }
                if !state.carrier.as_ref().is_some_and(|carrier| carrier.will_wake(cx.waker())) {
                    state.carrier = Some(cx.waker().clone());
                }
                state.work = Some(work);
                Poll::Pending
            }
            Err(panic) => {
                // Those aboard know by this.
                drop(work);
                // Counted and logged where panics are.
                drop(tasks.spawn("cache.load", async move { resume_unwind(panic) }));
                Poll::Ready(())
            }
        }
    }

    /// Its carrier goes.
    pub(crate) fn leave(&self, tasks: &Tasks) {
        let work = hold(&self.state).work.take();
        go_on(tasks, work);
    }
}

fn go_on(tasks: &Tasks, work: Option<Work>) {
    if let Some(work) = work {
        drop(tasks.spawn("cache.load", work));
    }
}
