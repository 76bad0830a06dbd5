//! What the writer does: one statement, or a transaction that a task leads; and who is answered after the commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use burgeon_core::Deadline;
use tokio::sync::oneshot;

use crate::Fault;

use super::conn::Conn;
use super::desk::Desk;

pub(super) struct Job {
    pub(super) queued: Instant,
    pub(super) deadline: Deadline,
    pub(super) ticket: Arc<Ticket>,
    pub(super) attempts: u8,
    pub(super) work: Work,
}

pub(super) enum Work {
    /// One statement.
    Once(Box<dyn Once>),
    /// A transaction with a task at its other end.
    Session(Arc<Desk>),
}

/// A job that can be done again: its effects are all in the transaction.
pub(super) trait Once: Send {
    /// Whether somebody still waits for it.
    fn is_wanted(&self) -> bool;
    /// Whether a failure may leave something to undo.
    fn needs_savepoint(&self) -> bool;
    /// Does it and keeps the result; false when there is nothing to commit.
    fn run(&mut self, conn: &Conn) -> bool;
    /// Answers, after the commit or instead of it.
    fn settle(self: Box<Self>, committed: Result<(), Fault>);
}

pub(super) struct Statement<T, F> {
    pub(super) work: F,
    pub(super) result: Option<Result<T, Fault>>,
    pub(super) reply: oneshot::Sender<Result<T, Fault>>,
    pub(super) savepoint: bool,
}

/// Who decides that a job begins: the thread by starting it, the task by giving up. Whoever comes first.
#[derive(Default)]
pub(super) struct Ticket(AtomicU8);

const QUEUED: u8 = 0;
const STARTED: u8 = 1;
pub(super) const ABANDONED: u8 = 2;

pub(super) enum Done {
    Once(Job),
    Session(oneshot::Sender<Result<(), Fault>>),
}

impl Job {
    pub(super) fn refuse(self, fault: Fault) {
        match self.work {
            Work::Once(work) => work.settle(Err(fault)),
            Work::Session(desk) => desk.refuse(fault),
        }
    }

    pub(super) fn settle(self, committed: Result<(), Fault>) {
        if let Work::Once(work) = self.work {
            work.settle(committed);
        }
    }
}

impl Done {
    pub(super) fn settle(self, committed: Result<(), Fault>) {
        match self {
            Done::Once(job) => job.settle(committed),
            // The task may have gone meanwhile.
            Done::Session(reply) => drop(reply.send(committed)),
        }
    }
}

impl<T: Send, F: FnMut(&Conn) -> Result<T, Fault> + Send> Once for Statement<T, F> {
    fn is_wanted(&self) -> bool {
        !self.reply.is_closed()
    }

    fn needs_savepoint(&self) -> bool {
        self.savepoint
    }

    fn run(&mut self, conn: &Conn) -> bool {
        let result = (self.work)(conn);
        let keep = result.is_ok();
        self.result = Some(result);
        keep
    }

    fn settle(self: Box<Self>, committed: Result<(), Fault>) {
        let answer = match (committed, self.result) {
            (Err(fault), _) => Err(fault),
            (Ok(()), Some(result)) => result,
            (Ok(()), None) => Err(Fault::Unavailable { why: "it was never begun".to_owned() }),
        };
        // The caller may have gone meanwhile.
        let _ = self.reply.send(answer);
    }
}

impl Ticket {
    pub(super) fn claim(&self, state: u8) -> bool {
        self.0.compare_exchange(QUEUED, state, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Whether the job may begin, or go on where it had begun before.
    pub(super) fn start(&self) -> bool {
        self.claim(STARTED) || self.0.load(Ordering::Acquire) == STARTED
    }
}
