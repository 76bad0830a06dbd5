//! Waiting for one's turn, without knowing a runtime.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use super::{Admission, Permit};
use crate::line::Key;
use crate::sync::{Mutex, MutexGuard};
use crate::{Instant, Refused, Why, limit};

/// A place in the line: a future of the permit, or of the refusal.
///
/// It resolves when somebody who leaves calls the next. Nobody leaves while everybody hangs, and it has no clock: whoever awaits it
/// also sleeps until [`until`](Self::until), and then calls [`give_up`](Self::give_up). Dropped, it leaves the line; if its turn had come, the
/// next is called.
#[must_use = "dropped, it leaves the line"]
pub struct Waiting {
    admission: Admission,
    waiter: Arc<Waiter>,
    key: Key,
    until: Instant,
    deadline: Option<Instant>,
}

/// Where the answer is left for the one who waits.
pub(super) struct Waiter(Mutex<State>);

type Answer = Result<limit::Permit, Refused>;

enum State {
    Waiting(Option<Waker>),
    Answered(Answer),
    Gone,
}

impl Waiting {
    pub(super) fn new(
        admission: Admission,
        waiter: Arc<Waiter>,
        key: Key,
        until: Instant,
        deadline: Option<Instant>,
    ) -> Self {
        Self { admission, waiter, key, until, deadline }
    }

    /// The latest moment at which waiting makes sense.
    pub fn until(&self) -> Instant {
        self.until
    }

    /// Leaves the line because it took too long. If the turn came at the last moment, it is taken.
    pub fn give_up(self, now: Instant) -> Result<Permit, Refused> {
        self.admission.leave_line(self.key);
        if let Some(answer) = self.waiter.leave() {
            return self.accept(answer);
        }
        let why = match self.deadline {
            Some(deadline) if deadline <= now => Why::Deadline,
            _ => Why::ShedQueue,
        };
        Err(self.admission.late(now, why))
    }

    fn accept(&self, answer: Answer) -> Result<Permit, Refused> {
        answer.map(|slot| Permit::new(self.admission.clone(), slot))
    }
}

impl Future for Waiting {
    type Output = Result<Permit, Refused>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.waiter.lock();
        match &mut *state {
            State::Waiting(waker) => {
                match waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    None => *waker = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
            State::Answered(_) | State::Gone => {
                drop(state);
                // Polled after the answer: a refusal that says so beats a panic.
                let answer = self.waiter.leave().unwrap_or(Err(Refused::new(Why::ShedQueue)));
                Poll::Ready(self.accept(answer))
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.admission.leave_line(self.key);
        if let Some(Ok(slot)) = self.waiter.leave() {
            drop(Permit::new(self.admission.clone(), slot));
        }
    }
}

impl Waiter {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State::Waiting(None))))
    }

    /// Leaves the answer and wakes; gives it back when the one who waited has gone.
    pub(super) fn answer(&self, answer: Answer) -> Option<Answer> {
        let mut state = self.lock();
        if matches!(*state, State::Gone) {
            return Some(answer);
        }
        let before = std::mem::replace(&mut *state, State::Answered(answer));
        drop(state);
        // Woken without the lock: a waker may run anything.
        if let State::Waiting(Some(waker)) = before {
            waker.wake();
        }
        None
    }

    /// Takes the answer, if there is one, and from now on no other.
    fn leave(&self) -> Option<Answer> {
        match std::mem::replace(&mut *self.lock(), State::Gone) {
            State::Answered(answer) => Some(answer),
            State::Waiting(_) | State::Gone => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("until", &self.until).finish_non_exhaustive()
    }
}
