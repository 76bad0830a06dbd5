//! A bounded queue from tasks to threads.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use burgeon_core::Deadline;
use tokio::sync::Semaphore;
use tokio::time::timeout_at;

use crate::Fault;

/// Tasks put jobs in and wait for room; threads take them out.
///
/// # Invariants
/// - No more than `size` jobs wait; who finds no room before its deadline is refused.
/// - What was put in is taken out or, when the inbox closes, still taken out: closing refuses only what comes after.
pub(super) struct Inbox<J> {
    // Not a tokio mutex: nothing awaits under it, and threads take it too.
    state: Mutex<State<J>>,
    bell: Condvar,
    room: Semaphore,
    what: &'static str,
    size: usize,
}

struct State<J> {
    jobs: VecDeque<J>,
    /// How many threads sleep on the bell: ringing it costs a system call, which nobody must pay for the awake.
    asleep: usize,
    closed: bool,
}

/// What a thread finds when it comes for work.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Something to do.
    Work,
    /// Nothing, for as long as it was willing to wait.
    Idle,
    /// Nothing, and nothing will come.
    Closed,
}

impl<J> Inbox<J> {
    pub(super) fn new(what: &'static str, size: usize) -> Self {
        Self {
            state: Mutex::new(State { jobs: VecDeque::with_capacity(64), asleep: 0, closed: false }),
            bell: Condvar::new(),
            room: Semaphore::new(size.min(Semaphore::MAX_PERMITS)),
            what,
            size,
        }
    }

    /// Puts a job in, waiting for room until the deadline.
    ///
    /// Cancel-safe: a job whose future is dropped before it is in, is not in.
    pub(super) async fn put(&self, job: J, deadline: Deadline) -> Result<(), Fault> {
        let permit = match self.room.try_acquire() {
            Ok(permit) => permit,
            Err(_) => match timeout_at(deadline.instant().into(), self.room.acquire()).await {
                Ok(Ok(permit)) => permit,
                Ok(Err(_)) => return Err(self.gone()),
                Err(_) => {
                    return Err(Fault::Overloaded {
                        what: format!("{} jobs wait for {}", self.size, self.what),
                    });
                }
            },
        };
        let mut state = self.lock();
        if state.closed {
            return Err(self.gone());
        }
        permit.forget();
        state.jobs.push_back(job);
        let asleep = state.asleep > 0;
        drop(state);
        if asleep {
            self.bell.notify_one();
        }
        Ok(())
    }

    /// Takes one job, sleeping until there is one.
    pub(super) fn take(&self) -> Option<J> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                self.room.add_permits(1);
                return Some(job);
            }
            if state.closed {
                return None;
            }
            state.asleep += 1;
            state = self.bell.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.asleep -= 1;
        }
    }

    /// Moves up to `most` jobs into `to`, sleeping up to `patience` until there is one.
    pub(super) fn drain(&self, to: &mut VecDeque<J>, most: usize, patience: Duration) -> Found {
        let mut state = self.lock();
        while state.jobs.is_empty() {
            if state.closed {
                return Found::Closed;
            }
            if patience.is_zero() {
                return Found::Idle;
            }
            state.asleep += 1;
            let (woken, waited) =
                self.bell.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.asleep -= 1;
            if waited.timed_out() && state.jobs.is_empty() && !state.closed {
                return Found::Idle;
            }
        }
        let taken = state.jobs.len().min(most);
        to.extend(state.jobs.drain(..taken));
        drop(state);
        self.room.add_permits(taken);
        Found::Work
    }

    /// Refuses new jobs and wakes the threads, which finish what is left and end.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.room.close();
        self.bell.notify_all();
    }

    fn gone(&self) -> Fault {
        Fault::Unavailable { why: format!("{} has been closed", self.what) }
    }

    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
