//! A transaction's place at a thread: the task lays work on the desk, the thread that owns the connection does it.
//!
//! ```text
//!   task:   open ── run ── run ── commit | rollback | (dropped)
//!   thread:      serve: begin, work, work, ... , end
//! ```
//!
//! # Invariants
//! - The connection never leaves its thread; while a desk is served the thread serves nothing else.
//! - A desk ends by commit, by rollback, by being dropped, or at its deadline: never later than that.
//! - What is laid on a desk that has ended is answered with the reason.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use burgeon_core::Deadline;
use tokio::sync::oneshot;
use tokio::time::timeout_at;

use crate::stmt::Place;
use crate::{Fault, clock};

use super::conn::Conn;
use super::readers::panicked;

/// What the thread and the task share.
pub(super) struct Desk {
    pub(super) deadline: Deadline,
    pub(super) place: Place,
    state: Mutex<State>,
    bell: Condvar,
}

struct State {
    opened: Option<oneshot::Sender<Result<(), Fault>>>,
    work: Option<Work>,
    end: End,
}

type Work = Box<dyn FnOnce(&Conn) + Send>;

enum End {
    Open,
    Commit(oneshot::Sender<Result<(), Fault>>),
    Rollback,
    Over(String),
}

/// How a desk's service ended, told to the thread.
pub(super) enum Ended {
    /// The task wants to keep what it did, and waits here for the commit.
    Keep(oneshot::Sender<Result<(), Fault>>),
    /// Nothing is to be kept.
    Drop,
}

/// The task's end of a desk. Dropping it without [`commit`](Session::commit) rolls back.
pub(crate) struct Session {
    desk: Arc<Desk>,
}

impl Desk {
    pub(super) fn new(deadline: Deadline, place: Place) -> (Arc<Self>, oneshot::Receiver<Result<(), Fault>>) {
        let (opened, ready) = oneshot::channel();
        let state = State { opened: Some(opened), work: None, end: End::Open };
        (Arc::new(Self { deadline, place, state: Mutex::new(state), bell: Condvar::new() }), ready)
    }

    /// Answers the task that waits for the transaction to open. False when it has gone.
    pub(super) fn open(&self, answer: Result<(), Fault>) -> bool {
        let opened = self.lock().opened.take();
        opened.is_some_and(|opened| opened.send(answer).is_ok())
    }

    /// Ends the desk from the thread's side.
    pub(super) fn over(&self, why: impl Into<String>) {
        let mut state = self.lock();
        state.end = End::Over(why.into());
        // Dropping the work drops its reply, which answers the task.
        state.work = None;
    }

    /// Does what is laid on the desk until it ends. The transaction is the caller's to open and to end.
    pub(super) fn serve(&self, conn: &Conn) -> Ended {
        conn.limit(self.deadline);
        let mut state = self.lock();
        loop {
            if let Some(work) = state.work.take() {
                drop(state);
                if catch_unwind(AssertUnwindSafe(|| work(conn))).is_err() {
                    tracing::error!(at = %self.place, "the program's own code panicked while reading a row");
                }
                state = self.lock();
                continue;
            }
            match std::mem::replace(&mut state.end, End::Over("it has been committed".to_owned())) {
                End::Commit(reply) => return Ended::Keep(reply),
                End::Rollback => {
                    state.end = End::Over("it has been rolled back".to_owned());
                    return Ended::Drop;
                }
                over @ End::Over(_) => {
                    state.end = over;
                    return Ended::Drop;
                }
                End::Open => state.end = End::Open,
            }
            let left = self.deadline.remaining(clock::now());
            if left.is_zero() {
                state.end =
                    End::Over("it was still open at its deadline and has been rolled back".to_owned());
                tracing::warn!(at = %self.place, "a transaction was still open at its deadline and has been rolled back");
                return Ended::Drop;
            }
            state = self.bell.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Takes the task's end. From here on dropping it rolls back.
    pub(super) fn new(desk: Arc<Desk>) -> Self {
        Self { desk }
    }

    /// Runs work in the transaction. Work of one session runs in the order it was laid down.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Conn) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let (reply, answer) = oneshot::channel();
        {
            let mut state = self.desk.lock();
            if let End::Over(why) = &state.end {
                return Err(Fault::TransactionOver { why: why.clone() });
            }
            if state.work.is_some() {
                return Err(Fault::TransactionOver {
                    why: "two statements of one transaction at the same time; await one before the next"
                        .to_owned(),
                });
            }
            state.work = Some(Box::new(move |conn| {
                if reply.is_closed() {
                    return;
                }
                let result =
                    catch_unwind(AssertUnwindSafe(|| work(conn))).unwrap_or_else(|_| Err(panicked()));
                // The task may have gone meanwhile; its session's drop rolls back.
                let _ = reply.send(result);
            }));
            self.desk.bell.notify_one();
        }
        match timeout_at(self.desk.deadline.instant().into(), answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(self.why_over()),
            Err(_) => Err(self.late()),
        }
    }

    /// Keeps what was done. An answer of `Ok` means that it is as durable as `synchronous` says.
    pub(crate) async fn commit(self) -> Result<(), Fault> {
        let (reply, answer) = oneshot::channel();
        {
            let mut state = self.desk.lock();
            if let End::Over(why) = &state.end {
                return Err(Fault::TransactionOver { why: why.clone() });
            }
            state.end = End::Commit(reply);
            self.desk.bell.notify_one();
        }
        match timeout_at((self.desk.deadline.instant() + super::GRACE).into(), answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(self.why_over()),
            Err(_) => Err(Fault::OutcomeUnknown { why: "the deadline passed during the commit".to_owned() }),
        }
    }

    fn why_over(&self) -> Fault {
        match &self.desk.lock().end {
            End::Over(why) => Fault::TransactionOver { why: why.clone() },
            _ => Fault::OutcomeUnknown { why: "the writer ended".to_owned() },
        }
    }

    fn late(&self) -> Fault {
        Fault::Timeout { whose: "the transaction".to_owned(), after: std::time::Duration::ZERO }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut state = self.desk.lock();
        if matches!(state.end, End::Open) {
            state.end = End::Rollback;
            self.desk.bell.notify_one();
        }
    }
}
