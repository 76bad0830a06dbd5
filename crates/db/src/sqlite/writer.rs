//! The thread that writes.
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

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use burgeon_core::Deadline;
use burgeon_meter::{Counter, Gauge, Histogram, Meters};
use tokio::sync::oneshot;
use tokio::time::timeout_at;

use crate::config::Sqlite;
use crate::stmt::Place;
use crate::{Fault, clock};

use super::brief::Briefs;
use super::conn::Conn;
use super::desk::{Desk, Ended, GIVEN_UP, Session, locked};
use super::inbox::{Found, Inbox};
use super::readers::panicked;
use super::{GRACE, faults};

/// After so long without work the write-ahead log is brought into the file.
const IDLE: Duration = Duration::from_secs(1);
/// So often the planner's statistics are brought up to date.
const OPTIMIZE: Duration = Duration::from_secs(24 * 3600);
/// After so many commits without a pause the size of the log is looked at all the same.
const LOOK: u64 = 512;
/// A group takes no more work when its first job has waited this long for its commit.
const PATIENCE: Duration = Duration::from_millis(5);
/// A transaction that usually is over in this time may share a commit with others, who wait for it.
const BRIEF: Duration = Duration::from_millis(2);
/// How often a job is done again because its group was lost through another's fault.
const ATTEMPTS: u8 = 3;

/// The queue in front of the thread.
pub(super) struct Writer {
    inbox: Arc<Inbox<Job>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Whether another process holds the lock right now.
    blocked: Arc<AtomicBool>,
}

struct Job {
    queued: Instant,
    deadline: Deadline,
    ticket: Arc<Ticket>,
    attempts: u8,
    work: Work,
}

enum Work {
    /// One statement.
    Once(Box<dyn Once>),
    /// A transaction with a task at its other end.
    Session(Arc<Desk>),
}

/// A job that can be done again: its effects are all in the transaction.
trait Once: Send {
    /// Whether somebody still waits for it.
    fn is_wanted(&self) -> bool;
    /// Whether a failure may leave something to undo.
    fn needs_savepoint(&self) -> bool;
    /// Does it and keeps the result; false when there is nothing to commit.
    fn run(&mut self, conn: &Conn) -> bool;
    /// Answers, after the commit or instead of it.
    fn settle(self: Box<Self>, committed: Result<(), Fault>);
}

struct Statement<T, F> {
    work: F,
    result: Option<Result<T, Fault>>,
    reply: oneshot::Sender<Result<T, Fault>>,
    savepoint: bool,
}

/// Who decides that a job begins: the thread by starting it, the task by giving up. Whoever comes first.
#[derive(Default)]
struct Ticket(AtomicU8);

const QUEUED: u8 = 0;
const STARTED: u8 = 1;
const ABANDONED: u8 = 2;

/// The thread's own state.
struct Thread {
    /// Locked while the thread works; lent while it serves a transaction's desk.
    conn: Arc<Mutex<Conn>>,
    inbox: Arc<Inbox<Job>>,
    backlog: VecDeque<Job>,
    /// Done, not yet committed.
    done: Vec<Done>,
    blocked: Arc<AtomicBool>,
    /// How long the transactions of a place in the source usually take.
    usual: HashMap<Place, Duration>,
    group: usize,
    wal_limit: i64,
    checkpointed: bool,
    optimized: Instant,
    /// At this number of commits the log is measured.
    look_at: u64,
    meters: WriterMeters,
}

enum Done {
    Once(Job),
    Session(oneshot::Sender<Result<(), Fault>>),
}

struct WriterMeters {
    commits: Counter,
    jobs: Counter,
    commit_time: Histogram,
    wait: Histogram,
    wal: Gauge,
}

impl Writer {
    pub(super) fn start(conn: Conn, path: &Path, config: &Sqlite, meters: &Meters) -> Result<Self, Fault> {
        let inbox = Arc::new(Inbox::new("the writer", config.queue));
        let blocked = Arc::new(AtomicBool::new(false));
        let mut thread = Thread {
            conn: Arc::new(Mutex::new(conn)),
            inbox: Arc::clone(&inbox),
            backlog: VecDeque::new(),
            done: Vec::new(),
            blocked: Arc::clone(&blocked),
            usual: HashMap::new(),
            group: config.group,
            wal_limit: i64::try_from(config.wal_limit.as_bytes()).unwrap_or(i64::MAX),
            checkpointed: false,
            optimized: clock::now(),
            look_at: LOOK,
            meters: WriterMeters {
                commits: meters.counter("db_sqlite_commits_total", "Commits of the writer.", &[]),
                jobs: meters.counter("db_sqlite_jobs_total", "Jobs those commits covered.", &[]),
                commit_time: meters.histogram("db_sqlite_commit_seconds", "How long a commit took.", &[]),
                wait: meters.histogram(
                    "db_wait_seconds",
                    "How long a statement or transaction waited for its turn.",
                    &[("for", "writer")],
                ),
                wal: meters.gauge("db_sqlite_wal_bytes", "Size of the write-ahead log.", &[]),
            },
        };
        let wal = wal_of(path);
        let thread = std::thread::Builder::new()
            .name("sqlite-write".to_owned())
            .spawn(move || thread.serve(&wal))
            .map_err(|error| Fault::Unavailable { why: format!("no thread for the writer: {error}") })?;
        Ok(Self { inbox, thread: Mutex::new(Some(thread)), blocked })
    }

    /// Does `work` in a transaction with others and answers after the commit.
    ///
    /// `savepoint` says whether `work` may fail after it has changed something.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        deadline: Deadline,
        room_by: Deadline,
        savepoint: bool,
        work: impl FnMut(&Conn) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let started = clock::now();
        if deadline.has_passed(started) {
            return Err(self.late(started));
        }
        let (reply, answer) = oneshot::channel();
        let ticket = Arc::new(Ticket::default());
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

impl Thread {
    fn serve(&mut self, wal: &Path) {
        loop {
            if self.backlog.is_empty() {
                match self.inbox.drain(&mut self.backlog, self.group, IDLE) {
                    Found::Work => {}
                    Found::Idle => {
                        self.upkeep(wal);
                        continue;
                    }
                    Found::Closed => break,
                }
            }
            self.group();
            if self.meters.commits.get() >= self.look_at {
                self.look_at = self.meters.commits.get() + LOOK;
                self.measure_log(wal);
            }
        }
        for last in ["pragma optimize", "pragma wal_checkpoint(truncate)"] {
            if let Err(error) = self.conn().run(last) {
                tracing::warn!(%error, "`{last}` failed at close; nothing is lost by it");
            }
        }
    }

    /// One transaction over as much as is there.
    fn group(&mut self) {
        if !self.begin() {
            return;
        }
        let born = clock::now();
        while self.done.len() < self.group {
            if self.backlog.is_empty() {
                let room = self.group - self.done.len();
                if self.inbox.drain(&mut self.backlog, room, Duration::ZERO) != Found::Work {
                    break;
                }
            }
            let Some(job) = self.backlog.pop_front() else { break };
            match job.work {
                Work::Once(_) => self.once(job),
                Work::Session(ref desk) => {
                    // Who has been done waits for this transaction's end; only a brief one may keep them waiting.
                    if !self.done.is_empty() && !self.is_brief(desk.place) {
                        self.backlog.push_front(job);
                        break;
                    }
                    self.session(&job);
                }
            }
            if self.conn().is_idle() {
                // The engine gave up the whole transaction.
                return self.again();
            }
            if !self.done.is_empty() && clock::now().saturating_duration_since(born) > PATIENCE {
                break;
            }
        }
        self.commit();
    }

    /// Takes the lock. Another process may hold it: then those whose time is up are told, and the rest wait.
    fn begin(&mut self) -> bool {
        let since = clock::now();
        let mut pause = Duration::from_millis(1);
        self.conn().no_limit();
        loop {
            let error = match self.conn().run("begin immediate") {
                Ok(()) => {
                    self.blocked.store(false, Ordering::Relaxed);
                    return true;
                }
                Err(error) => error,
            };
            if !faults::is_busy(&error) {
                let fault = faults::of(&error);
                self.backlog.drain(..).for_each(|job| job.refuse(fault.clone()));
                return false;
            }
            self.blocked.store(true, Ordering::Relaxed);
            let now = clock::now();
            let (waiting, late): (VecDeque<_>, VecDeque<_>) =
                self.backlog.drain(..).partition(|job| !job.deadline.has_passed(now));
            self.backlog = waiting;
            late.into_iter().for_each(|job| job.refuse(Fault::Busy { after: now - since }));
            if self.backlog.is_empty() {
                self.blocked.store(false, Ordering::Relaxed);
                return false;
            }
            // No event tells when another process lets go.
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    fn once(&mut self, mut job: Job) {
        let Work::Once(work) = &mut job.work else { return };
        if !work.is_wanted() || job.deadline.has_passed(clock::now()) || !job.ticket.start() {
            return;
        }
        self.meters.wait.record(clock::now().saturating_duration_since(job.queued));
        self.conn().limit(job.deadline);
        let savepoint = work.needs_savepoint() && self.step("savepoint job");
        let keep = catch_unwind(AssertUnwindSafe(|| work.run(&locked(&self.conn))));
        let failed = match keep {
            Ok(true) => None,
            // It has its own error.
            Ok(false) => Some(Ok(())),
            Err(_) => Some(Err(panicked())),
        };
        self.conn().no_limit();
        if savepoint && !self.conn().is_idle() {
            if failed.is_some() {
                self.step("rollback to job");
            }
            self.step("release job");
        }
        match failed {
            None => self.done.push(Done::Once(job)),
            Some(outcome) => job.settle(outcome),
        }
    }

    fn session(&mut self, job: &Job) {
        let Work::Session(desk) = &job.work else { return };
        if job.deadline.has_passed(clock::now()) || !job.ticket.start() {
            desk.over("it did not open in time");
            return;
        }
        let begun = clock::now();
        self.meters.wait.record(begun.saturating_duration_since(job.queued));
        if !self.step("savepoint job") {
            desk.refuse(Fault::Unavailable { why: "no savepoint could be set".to_owned() });
            return;
        }
        if !desk.open(&self.conn) {
            self.step("release job");
            return;
        }
        let ended = desk.serve(&self.conn);
        self.conn().no_limit();
        let took = clock::now().saturating_duration_since(begun);
        // A moving average of an eighth: a single slow one is forgotten after some quick ones, not after one.
        let usual = self.usual.entry(desk.place).or_insert(took);
        *usual = if took > *usual { took } else { (*usual * 7 + took) / 8 };
        if self.conn().is_idle() {
            desk.over(GIVEN_UP);
            if let Ended::Keep(reply) = ended {
                // The task may have gone.
                let _ = reply.send(Err(Fault::TransactionOver { why: GIVEN_UP.to_owned() }));
            }
            return;
        }
        match ended {
            Ended::Keep(reply) => {
                self.step("release job");
                self.done.push(Done::Session(reply));
            }
            Ended::Drop => {
                self.step("rollback to job");
                self.step("release job");
            }
        }
    }

    fn commit(&mut self) {
        if self.done.is_empty() {
            self.step("rollback");
            return;
        }
        let begun = clock::now();
        let committed = self.conn().run("commit");
        self.meters.commit_time.record(clock::now().saturating_duration_since(begun));
        let Err(error) = committed else {
            self.meters.commits.increment();
            self.meters.jobs.add(self.done.len() as u64);
            self.checkpointed = false;
            self.done.drain(..).for_each(|done| done.settle(Ok(())));
            return;
        };
        if !self.conn().is_idle() {
            self.step("rollback");
        }
        let fault = faults::of(&error);
        if matches!(fault, Fault::ForeignKeyViolation { .. }) && self.done.len() > 1 {
            // A deferred constraint speaks only at the commit, and not of whom.
            return self.alone();
        }
        let fault = match fault {
            // The log may or may not hold the commit when the disk said no to the last write.
            Fault::Unavailable { why } if !why.contains("full") => Fault::OutcomeUnknown { why },
            other => other,
        };
        self.done.drain(..).for_each(|done| done.settle(Err(fault.clone())));
    }

    /// The transaction is gone through one job's fault: the others are done again.
    fn again(&mut self) {
        for done in self.done.drain(..).rev() {
            match done {
                Done::Once(mut job) if job.attempts < ATTEMPTS => {
                    job.attempts += 1;
                    self.backlog.push_front(job);
                }
                // A task's own transaction cannot be done again from here, but by the task.
                lost => lost.settle(Err(Fault::SerializationFailure)),
            }
        }
    }

    /// Commits each job of a group by itself, so that the guilty one fails alone.
    fn alone(&mut self) {
        for done in std::mem::take(&mut self.done) {
            let Done::Once(job) = done else {
                done.settle(Err(Fault::SerializationFailure));
                continue;
            };
            self.backlog.push_front(job);
            let rest = std::mem::take(&mut self.backlog);
            let mut rest = rest.into_iter();
            self.backlog.extend(rest.next());
            if self.begin()
                && let Some(job) = self.backlog.pop_front()
            {
                self.once(job);
                if !self.conn().is_idle() {
                    self.commit();
                }
            }
            self.backlog.extend(rest);
        }
    }

    /// Brings the log into the file while nobody waits, and once a day the planner's statistics up to date.
    fn upkeep(&mut self, wal: &Path) {
        if clock::now().saturating_duration_since(self.optimized) > OPTIMIZE {
            self.optimized = clock::now();
            self.step("pragma optimize");
        }
        if !self.checkpointed {
            self.checkpointed = true;
            self.step("pragma wal_checkpoint(passive)");
            self.measure_log(wal);
        }
    }

    fn measure_log(&self, wal: &Path) {
        let size = std::fs::metadata(wal).map_or(0, |file| i64::try_from(file.len()).unwrap_or(i64::MAX));
        self.meters.wal.set(size);
        if size > self.wal_limit {
            tracing::warn!(bytes = size, "the write-ahead log has grown: a reader has been at work for long");
        }
    }

    fn conn(&self) -> MutexGuard<'_, Conn> {
        locked(&self.conn)
    }

    /// Whether the engine's own statement worked. What fails here shows at the commit.
    fn step(&self, sql: &str) -> bool {
        let result = self.conn().run(sql);
        if let Err(error) = &result {
            tracing::error!(%error, "`{sql}` failed in the writer");
        }
        result.is_ok()
    }

    fn is_brief(&self, place: Place) -> bool {
        self.usual.get(&place).is_some_and(|usual| *usual < BRIEF)
    }
}

impl Job {
    fn refuse(self, fault: Fault) {
        match self.work {
            Work::Once(work) => work.settle(Err(fault)),
            Work::Session(desk) => desk.refuse(fault),
        }
    }

    fn settle(self, committed: Result<(), Fault>) {
        if let Work::Once(work) = self.work {
            work.settle(committed);
        }
    }
}

impl Done {
    fn settle(self, committed: Result<(), Fault>) {
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
    fn claim(&self, state: u8) -> bool {
        self.0.compare_exchange(QUEUED, state, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Whether the job may begin, or go on where it had begun before.
    fn start(&self) -> bool {
        self.claim(STARTED) || self.0.load(Ordering::Acquire) == STARTED
    }
}

fn wal_of(path: &Path) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}
