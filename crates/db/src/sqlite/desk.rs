//! A transaction's place at a thread: the task lays work on the desk, the thread that owns the connection does it.
//!
//! ```text
//!   task:   open ── run ── run ── commit | rollback | (dropped)
//!   thread:      serve: begin, work, work, ... , end
//! ```
//!
//! A statement that is brief by habit is run by the task itself while the thread waits: a hand-over would cost more.
//!
//! # Invariants
//! - While a desk is served the thread serves nothing else, and nobody else touches the connection.
//! - The connection is locked before the desk's end is looked at, and the end is set before the connection is locked:
//!   what a task runs, it runs in its own open transaction.
//! - A desk ends by commit, by rollback, by being dropped, or at its deadline: never later than that.
//! - What is laid on a desk that has ended is answered with the reason.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use burgeon_core::Deadline;
use tokio::sync::oneshot;
use tokio::time::timeout_at;

use crate::stmt::{Place, Text};
use crate::{Fault, clock};

use super::brief::Briefs;
use super::conn::Conn;
use super::readers::panicked;

/// Why a transaction is over that SQLite has rolled back by itself: the disk was full, a write was interrupted.
pub(super) const GIVEN_UP: &str = "the engine gave it up after the failure of a statement";

/// What the thread and the task share.
pub(super) struct Desk {
    pub(super) deadline: Deadline,
    pub(super) place: Place,
    state: Mutex<State>,
    bell: Condvar,
}

struct State {
    opened: Option<oneshot::Sender<Result<(), Fault>>>,
    /// The connection, from the opening on.
    conn: Option<Arc<Mutex<Conn>>>,
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
    briefs: Arc<Briefs>,
}

impl Desk {
    pub(super) fn new(deadline: Deadline, place: Place) -> (Arc<Self>, oneshot::Receiver<Result<(), Fault>>) {
        let (opened, ready) = oneshot::channel();
        let state = State { opened: Some(opened), conn: None, work: None, end: End::Open };
        (Arc::new(Self { deadline, place, state: Mutex::new(state), bell: Condvar::new() }), ready)
    }

    /// Tells the task that its transaction is open. False when it has gone.
    pub(super) fn open(&self, conn: &Arc<Mutex<Conn>>) -> bool {
        let mut state = self.lock();
        state.conn = Some(Arc::clone(conn));
        state.opened.take().is_some_and(|opened| opened.send(Ok(())).is_ok())
    }

    /// Tells the task that its transaction does not open.
    pub(super) fn refuse(&self, fault: Fault) {
        if let Some(opened) = self.lock().opened.take() {
            // The task may have gone.
            let _ = opened.send(Err(fault));
        }
    }

    /// Ends the desk from the thread's side.
    pub(super) fn over(&self, why: impl Into<String>) {
        let mut state = self.lock();
        state.end = End::Over(why.into());
        // Dropping the work drops its reply, which answers the task.
        state.work = None;
    }

    /// Does what is laid on the desk until it ends. The transaction is the caller's to open and to end.
    pub(super) fn serve(&self, conn: &Mutex<Conn>) -> Ended {
        locked(conn).limit(self.deadline);
        let mut state = self.lock();
        loop {
            if let Some(work) = state.work.take() {
                drop(state);
                let given_up = {
                    let conn = locked(conn);
                    // Outside a transaction a statement would commit by itself.
                    let given_up = conn.is_idle();
                    if !given_up && catch_unwind(AssertUnwindSafe(|| work(&conn))).is_err() {
                        tracing::error!(at = %self.place, "the program's own code panicked while reading a row");
                    }
                    given_up
                };
                state = self.lock();
                if given_up {
                    state.end = End::Over(GIVEN_UP.to_owned());
                }
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
    pub(super) fn new(desk: Arc<Desk>, briefs: Arc<Briefs>) -> Self {
        Self { desk, briefs }
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

    /// As [`run`](Self::run), for one statement: by the task itself if it is brief by habit.
    pub(crate) async fn statement<T: Send + 'static>(
        &self,
        text: Text,
        work: impl FnOnce(&Conn) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        if self.briefs.holds(&text) {
            return self.run_here(&text, work);
        }
        let briefs = Arc::clone(&self.briefs);
        self.run(move |conn| {
            let begun = clock::now();
            let result = work(conn);
            briefs.learn(&text, clock::now().saturating_duration_since(begun));
            result
        })
        .await
    }

    /// Runs a brief statement on the task's own thread. It is not interrupted before the transaction's deadline, as
    /// SQLite gives up the whole transaction with an interrupted write.
    fn run_here<T>(&self, text: &Text, work: impl FnOnce(&Conn) -> Result<T, Fault>) -> Result<T, Fault> {
        let over = || Err(self.why_over());
        let Some(conn) = self.desk.lock().conn.clone() else { return over() };
        let conn = locked(&conn);
        if !matches!(self.desk.lock().end, End::Open) {
            return over();
        }
        if conn.is_idle() {
            // Outside a transaction a statement would commit by itself.
            return Err(Fault::TransactionOver { why: GIVEN_UP.to_owned() });
        }
        let begun = clock::now();
        let result = catch_unwind(AssertUnwindSafe(|| work(&conn))).unwrap_or_else(|_| Err(panicked()));
        self.briefs.learn(text, clock::now().saturating_duration_since(begun));
        result
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

/// The connection, though a panic may have passed while it was locked: a statement that unwinds is reset.
pub(super) fn locked(conn: &Mutex<Conn>) -> MutexGuard<'_, Conn> {
    conn.lock().unwrap_or_else(PoisonError::into_inner)
}
