//! The threads that read.
//!
//! A statement runs to its end on one thread and its whole result is handed over at once, already as the program's
//! own types: a hand-over per row would cost more than the row.
//!
//! # Invariants
//! - A reader cannot write (`query_only`).
//! - What nobody waits for any more is not started.
//! - A panic in the program's own reading code ends that statement, not the thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use burgeon_core::Deadline;
use tokio::sync::oneshot;
use tokio::time::timeout_at;

use crate::config::Sqlite;
use crate::{Fault, clock};

use super::conn::Conn;
use super::inbox::Inbox;

/// A pool of threads, each with its own connection, fed from one queue.
pub(super) struct Readers {
    inbox: Arc<Inbox<Job>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Job {
    deadline: Deadline,
    run: Box<dyn FnOnce(&Conn) + Send>,
}

impl Readers {
    pub(super) fn start(path: &Path, config: &Sqlite) -> Result<Self, Fault> {
        let inbox = Arc::new(Inbox::new("a reader", config.queue));
        let readers = Self { inbox: Arc::clone(&inbox), threads: Mutex::default() };
        let count = match config.readers {
            0 => std::thread::available_parallelism().map_or(4, usize::from),
            count => count,
        };
        for number in 0..count {
            let conn = Conn::reader(path, config)?;
            let inbox = Arc::clone(&inbox);
            let thread = std::thread::Builder::new()
                .name(format!("sqlite-read-{number}"))
                .spawn(move || serve(&inbox, &conn))
                .map_err(|error| Fault::Unavailable { why: format!("no thread for a reader: {error}") })?;
            readers.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        Ok(readers)
    }

    /// Runs `read` on one of the threads, before the deadline or not at all; waits for room until `room_by`.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        deadline: Deadline,
        room_by: Deadline,
        mut read: impl FnMut(&Conn) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let started = clock::now();
        let late = || Fault::Timeout { whose: "reading".to_owned(), after: clock::now() - started };
        if deadline.has_passed(started) {
            return Err(late());
        }
        let (reply, answer) = oneshot::channel();
        let run = Box::new(move |conn: &Conn| {
            if reply.is_closed() || deadline.has_passed(clock::now()) {
                return;
            }
            conn.limit(deadline);
            let result = catch_unwind(AssertUnwindSafe(|| read(conn))).unwrap_or_else(|_| Err(panicked()));
            // The caller may have gone meanwhile: then nobody needs it.
            let _ = reply.send(result);
        });
        self.inbox.put(Job { deadline, run }, room_by).await?;
        match timeout_at(deadline.instant().into(), answer).await {
            Ok(Ok(result)) => result.map_err(|fault| match fault {
                Fault::Timeout { .. } => late(),
                other => other,
            }),
            // Dropped unsaid: its time was up before it was taken from the queue.
            Ok(Err(_)) | Err(_) => Err(late()),
        }
    }

    /// Finishes what is queued and ends the threads. Blocks.
    pub(super) fn stop(&self) {
        self.inbox.close();
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

fn serve(inbox: &Inbox<Job>, conn: &Conn) {
    while let Some(job) = inbox.take() {
        if job.deadline.has_passed(clock::now()) {
            continue;
        }
        (job.run)(conn);
    }
}

pub(super) fn panicked() -> Fault {
    Fault::Unreadable { wanted: "a row", why: "the program's own code panicked while reading it".to_owned() }
}
