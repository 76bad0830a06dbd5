//! The queue in front of the thread that writes; the thread itself is in `group`.
//!
//! SQLite has one writer at a time, and a commit costs a wait for the disk. So one thread owns the one connection that
//! writes, takes what is queued, does it all in one transaction and commits once: *group commit*. Nobody is answered
//! before the commit, nobody waits for a group to fill, and nobody ever sees that the database is busy.
//!
//! # Invariants
//! - Acknowledged means committed.
//! - A job that fails takes nothing of its group with it. SQLite undoes a failed statement by itself; a job of several
//!   steps has a savepoint. Where SQLite gives up the whole transaction (disk full, a statement interrupted at its
//!   deadline), what had been done is done again in a new one.
//! - What has not begun at its deadline never begins, and its caller is told so. What has begun is told apart.
//! - The thread survives every failure of every statement and commit.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::Instant;

use burgeon_core::Deadline;
use burgeon_meter::Meters;
use tokio::sync::oneshot;
use tokio::time::timeout_at;

use crate::config::Sqlite;
use crate::meters::StatementMeters;
use crate::stmt::{Place, Text};
use crate::{Fault, clock};

use super::GRACE;
use super::brief::Briefs;
use super::conn::Conn;
use super::desk::{Desk, Session};
use super::faults;
use super::group::Thread;
use super::inbox::Inbox;
use super::job::{ABANDONED, Job, Statement, Ticket, Work};

/// The queue in front of the thread.
pub(super) struct Writer {
    inbox: Arc<Inbox<Job>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// The thread's, looked at while it rests.
    conn: Arc<Mutex<Conn>>,
    /// Whether another process holds the lock right now.
    blocked: Arc<AtomicBool>,
    statements: Arc<StatementMeters>,
}

impl Writer {
    pub(super) fn start(
        conn: Conn,
        path: &Path,
        config: &Sqlite,
        statements: Arc<StatementMeters>,
        meters: &Meters,
    ) -> Result<Self, Fault> {
        let inbox = Arc::new(Inbox::new("the writer", config.queue));
        let blocked = Arc::new(AtomicBool::new(false));
        let mut thread = Thread::new(conn, &inbox, &blocked, path, config, meters);
        let conn = thread.lend();
        let thread = std::thread::Builder::new()
            .name("sqlite-write".to_owned())
            .spawn(move || thread.serve())
            .map_err(|error| Fault::Unavailable { why: format!("no thread for the writer: {error}") })?;
        Ok(Self { inbox, thread: Mutex::new(Some(thread)), conn, blocked, statements })
    }

    /// Does `work` in a transaction with others and answers after the commit.
    ///
    /// `savepoint` says whether `work` may fail after it has changed something.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        text: Text,
        deadline: Deadline,
        room_by: Deadline,
        savepoint: bool,
        mut work: impl FnMut(&Conn) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let started = clock::now();
        if deadline.has_passed(started) {
            return Err(self.late(started));
        }
        let (reply, answer) = oneshot::channel();
        let ticket = Arc::new(Ticket::default());
        let statements = Arc::clone(&self.statements);
        let work = move |conn: &Conn| {
            let begun = clock::now();
            let result = work(conn);
            let took = clock::now().saturating_duration_since(begun);
            statements.worked(&text, begun.saturating_duration_since(started), took);
            result
        };
        let work = Work::Once(Box::new(Statement { work, result: None, reply, savepoint }));
        let job = Job { queued: started, deadline, ticket: Arc::clone(&ticket), attempts: 0, work };
        self.inbox.put(job, room_by).await?;
        self.answer(answer, &ticket, deadline, started).await
    }

    /// Opens a transaction that the task leads.
    pub(super) async fn begin(
        &self,
        open_by: Deadline,
        deadline: Deadline,
        place: Place,
        briefs: Arc<Briefs>,
    ) -> Result<Session, Fault> {
        let started = clock::now();
        let (desk, ready) = Desk::new(deadline, place);
        // Made before the wait: dropped in the middle of it, it tells the thread that nobody comes.
        let session = Session::new(Arc::clone(&desk), briefs);
        let ticket = Arc::new(Ticket::default());
        let job = Job {
            queued: started,
            deadline: open_by,
            ticket: Arc::clone(&ticket),
            attempts: 0,
            work: Work::Session(desk),
        };
        self.inbox.put(job, open_by).await?;
        self.answer(ready, &ticket, open_by, started).await?;
        Ok(session)
    }

    async fn answer<T>(
        &self,
        mut answer: oneshot::Receiver<Result<T, Fault>>,
        ticket: &Ticket,
        deadline: Deadline,
        started: Instant,
    ) -> Result<T, Fault> {
        match timeout_at(deadline.instant().into(), &mut answer).await {
            Ok(Ok(result)) => return result,
            // Dropped unsaid: not begun in time.
            Ok(Err(_)) => return Err(self.late(started)),
            Err(_) if ticket.claim(ABANDONED) => return Err(self.late(started)),
            Err(_) => {}
        }
        // It has begun, and what has begun is interrupted at its deadline: the answer is near.
        match timeout_at((deadline.instant() + GRACE).into(), answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) | Err(_) => {
                Err(Fault::OutcomeUnknown { why: "the deadline passed during the commit".to_owned() })
            }
        }
    }

    fn late(&self, started: Instant) -> Fault {
        let after = clock::now().saturating_duration_since(started);
        if self.blocked.load(Ordering::Relaxed) {
            Fault::Busy { after }
        } else {
            Fault::Timeout { whose: "waiting for the writer".to_owned(), after }
        }
    }

    /// A number that another process's commits change, and this one's do not; none while the thread works. Blocks for
    /// microseconds.
    pub(super) fn foreign_commits(&self) -> Option<Result<i64, Fault>> {
        let conn = match self.conn.try_lock() {
            Ok(conn) => conn,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(conn.number("pragma data_version").map_err(|error| faults::of(&error)))
    }

    /// Finishes what is queued, brings the log into the file, ends the thread. Blocks.
    pub(super) fn stop(&self) {
        self.inbox.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the writer of the database ended in a panic");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The thread ends by itself; only `stop` waits for it.
        self.inbox.close();
    }
}
