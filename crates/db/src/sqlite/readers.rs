//! The threads that read.
//!
//! A statement runs to its end on one thread and its whole result is handed over at once, already as the program's
//! own types: a hand-over per row would cost more than the row. What is brief by habit runs where it is called.
//!
//! # Invariants
//! - A reader cannot write (`query_only`).
//! - What nobody waits for any more is not started.
//! - A panic in the program's own reading code ends that statement, not the thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use burgeon_core::Deadline;
use burgeon_meter::{Histogram, Meters};
use tokio::sync::oneshot;
use tokio::time::timeout_at;

use crate::config::Sqlite;
use crate::meters::StatementMeters;
use crate::stmt::Text;
use crate::{Fault, clock};

use super::brief::Briefs;
use super::conn::Conn;
use super::faults;
use super::inbox::Inbox;

/// A pool of threads, each with its own connection, fed from one queue; and as many connections for what is so brief
/// that it runs where it is called.
pub(super) struct Readers {
    inbox: Arc<Inbox<Job>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Not lent right now. The one used last is lent first: its cache is warm.
    near: Mutex<Vec<Conn>>,
    briefs: Arc<Briefs>,
    statements: Arc<StatementMeters>,
}

struct Job {
    queued: Instant,
    deadline: Deadline,
    run: Box<dyn FnOnce(&Conn) + Send>,
}

impl Readers {
    pub(super) fn start(
        path: &Path,
        config: &Sqlite,
        briefs: Arc<Briefs>,
        statements: Arc<StatementMeters>,
        meters: &Meters,
    ) -> Result<Self, Fault> {
        let inbox = Arc::new(Inbox::new("a reader", config.queue));
        let (threads, near) = (Mutex::default(), Mutex::default());
        let readers = Self { inbox: Arc::clone(&inbox), threads, near, briefs, statements };
        let count = match config.readers {
            0 => std::thread::available_parallelism().map_or(4, usize::from),
            count => count,
        };
        for number in 0..count {
            let conn = Conn::reader(path, config).map_err(|error| faults::at_open(&error, path))?;
            let inbox = Arc::clone(&inbox);
            let wait = meters.histogram(
                "db_wait_seconds",
                "How long a statement or transaction waited for its turn.",
                &[("for", "reader")],
            );
            let thread = std::thread::Builder::new()
                .name(format!("sqlite-read-{number}"))
                .spawn(move || serve(&inbox, &conn, &wait))
                .map_err(|error| Fault::Unavailable { why: format!("no thread for a reader: {error}") })?;
            readers.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
            readers.near().push(Conn::reader(path, config).map_err(|error| faults::at_open(&error, path))?);
        }
        Ok(readers)
    }

    /// Runs `read` before the deadline or not at all: here if the statement is brief by habit, else on one of the
    /// threads; waits for room until `room_by`. It may run twice.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        text: Text,
        deadline: Deadline,
        room_by: Deadline,
        mut read: impl FnMut(&Conn) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let started = clock::now();
        let late = || Fault::Timeout { whose: "reading".to_owned(), after: clock::now() - started };
        if deadline.has_passed(started) {
            return Err(late());
        }
        if self.briefs.holds(&text) {
            // A task that only ever reads here would never let another one run.
            tokio::task::consume_budget().await;
            match self.read_here(&text, deadline, started, &mut read) {
                Some(Err(Fault::Timeout { .. })) if !deadline.has_passed(clock::now()) => {}
                Some(result) => return result,
                None => {}
            }
        }
        let (reply, answer) = oneshot::channel();
        let (briefs, statements) = (Arc::clone(&self.briefs), Arc::clone(&self.statements));
        let run = Box::new(move |conn: &Conn| {
            let begun = clock::now();
            if reply.is_closed() || deadline.has_passed(begun) {
                return;
            }
            conn.limit(deadline);
            let result = catch_unwind(AssertUnwindSafe(|| read(conn))).unwrap_or_else(|_| Err(panicked()));
            let took = clock::now().saturating_duration_since(begun);
            briefs.learn(&text, took);
            statements.worked(&text, begun.saturating_duration_since(started), took);
            // The caller may have gone meanwhile: then nobody needs it.
            let _ = reply.send(result);
        });
        self.inbox.put(Job { queued: started, deadline, run }, room_by).await?;
        match timeout_at(deadline.instant().into(), answer).await {
            Ok(Ok(result)) => result.map_err(|fault| match fault {
                Fault::Timeout { .. } => late(),
                other => other,
            }),
            // Dropped unsaid: its time was up before it was taken from the queue.
            Ok(Err(_)) | Err(_) => Err(late()),
        }
    }

    /// Runs a brief read on the caller's own thread; `None` when every connection for that is lent.
    fn read_here<T>(
        &self,
        text: &Text,
        deadline: Deadline,
        begun: Instant,
        read: &mut impl FnMut(&Conn) -> Result<T, Fault>,
    ) -> Option<Result<T, Fault>> {
        let conn = self.near().pop()?;
        conn.limit(deadline.earlier(Deadline::after(begun, Briefs::LIMIT)));
        let result = catch_unwind(AssertUnwindSafe(|| read(&conn))).unwrap_or_else(|_| Err(panicked()));
        self.near().push(conn);
        let took = clock::now().saturating_duration_since(begun);
        self.briefs.learn(text, took);
        self.statements.worked(text, Duration::ZERO, took);
        Some(result)
    }

    fn near(&self) -> MutexGuard<'_, Vec<Conn>> {
        self.near.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finishes what is queued and ends the threads. Blocks.
    pub(super) fn stop(&self) {
        self.inbox.close();
        self.near().clear();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a reader of the database ended in a panic");
            }
        }
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        // The threads end by themselves; only `stop` waits for them.
        self.inbox.close();
    }
}

fn serve(inbox: &Inbox<Job>, conn: &Conn, wait: &Histogram) {
    while let Some(job) = inbox.take() {
        let now = clock::now();
        if job.deadline.has_passed(now) {
            continue;
        }
        wait.record(now.saturating_duration_since(job.queued));
        (job.run)(conn);
    }
}

pub(super) fn panicked() -> Fault {
    Fault::Unreadable { wanted: "a row", why: "the program's own code panicked while reading it".to_owned() }
}
