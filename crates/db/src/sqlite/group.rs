//! The thread that writes: group commit.
//!
//! It owns the one connection that writes, takes what is queued, does it all in one transaction and commits once.
//! Where SQLite gives up the whole transaction through one job's fault, what had been done is done again in a new one.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use burgeon_meter::{Counter, Gauge, Histogram, Meters};

use crate::config::Sqlite;
use crate::stmt::Place;
use crate::{Fault, clock};

use super::conn::Conn;
use super::desk::{Ended, GIVEN_UP, locked};
use super::inbox::{Found, Inbox};
use super::job::{Done, Job, Work};
use super::readers::panicked;
use super::{faults, fence};

/// After so long without work the write-ahead log is brought into the file.
const IDLE: Duration = Duration::from_secs(1);
/// So often the planner's statistics are brought up to date.
const OPTIMIZE: Duration = Duration::from_secs(24 * 3600);
/// After so many commits without a pause the size of the log is looked at all the same.
const LOOK: u64 = 512;
/// So old may the knowledge be whether the data is being moved away: a look costs a system call.
const LOOK_AFTER: Duration = Duration::from_millis(50);
/// A group takes no more work when its first job has waited for its commit so many times as long as a commit takes: then
/// the wait for the disk is at most a twentieth of the work.
const WORTH: u32 = 20;
/// But at least so long, and at most: somebody waits for the first job's answer.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(25));
/// A transaction that usually is over in this time may share a commit with others, who wait for it.
const BRIEF: Duration = Duration::from_millis(2);
/// How often a job is done again because its group was lost through another's fault.
const ATTEMPTS: u8 = 3;

/// The thread's own state.
pub(super) struct Thread {
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
    /// How long a commit usually takes.
    commit_takes: Duration,
    path: PathBuf,
    /// When it was last seen whether the data is being moved away, and whether it was.
    looked: Instant,
    moving: bool,
    wal: PathBuf,
    wal_limit: i64,
    checkpointed: bool,
    optimized: Instant,
    /// At this number of commits the log is measured.
    look_at: u64,
    meters: WriterMeters,
}

struct WriterMeters {
    commits: Counter,
    jobs: Counter,
    commit_time: Histogram,
    wait: Histogram,
    wal: Gauge,
}

impl WriterMeters {
    fn new(meters: &Meters) -> Self {
        Self {
            commits: meters.counter("db_sqlite_commits_total", "Commits of the writer.", &[]),
            jobs: meters.counter("db_sqlite_jobs_total", "Jobs those commits covered.", &[]),
            commit_time: meters.histogram("db_sqlite_commit_seconds", "How long a commit took.", &[]),
            wait: meters.histogram(
                "db_wait_seconds",
                "How long a statement or transaction waited for its turn.",
                &[("for", "writer")],
            ),
            wal: meters.gauge("db_sqlite_wal_bytes", "Size of the write-ahead log.", &[]),
        }
    }
}

impl Thread {
    pub(super) fn new(
        conn: Conn,
        inbox: &Arc<Inbox<Job>>,
        blocked: &Arc<AtomicBool>,
        path: &Path,
        config: &Sqlite,
        meters: &Meters,
    ) -> Self {
        Self {
            conn: Arc::new(Mutex::new(conn)),
            inbox: Arc::clone(inbox),
            backlog: VecDeque::new(),
            done: Vec::new(),
            blocked: Arc::clone(blocked),
            usual: HashMap::new(),
            group: config.group,
            commit_takes: Duration::ZERO,
            path: path.to_owned(),
            looked: clock::now(),
            moving: false,
            wal: wal_of(path),
            wal_limit: i64::try_from(config.wal_limit.as_bytes()).unwrap_or(i64::MAX),
            checkpointed: false,
            optimized: clock::now(),
            look_at: LOOK,
            meters: WriterMeters::new(meters),
        }
    }

    pub(super) fn serve(&mut self) {
        loop {
            if self.backlog.is_empty() {
                match self.inbox.drain(&mut self.backlog, self.group, IDLE) {
                    Found::Work => {}
                    Found::Idle => {
                        self.upkeep();
                        continue;
                    }
                    Found::Closed => break,
                }
            }
            self.group();
            if self.meters.commits.get() >= self.look_at {
                self.look_at = self.meters.commits.get() + LOOK;
                self.measure_log();
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
        if self.refuse_while_moving() || !self.begin() {
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
            if !self.done.is_empty() && clock::now().saturating_duration_since(born) > self.patience() {
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
            if self.refuse_while_moving() {
                return false;
            }
            // No event tells when another process lets go.
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// Whether the data is being moved to another database: then nobody shall wait for a lock that is held for long.
    fn refuse_while_moving(&mut self) -> bool {
        let now = clock::now();
        if now.saturating_duration_since(self.looked) > LOOK_AFTER {
            self.looked = now;
            self.moving = fence::is_moving(&self.path);
        }
        if self.moving {
            let why = "its data is being moved to another database at this moment".to_owned();
            self.backlog.drain(..).for_each(|job| job.refuse(Fault::ReadOnly { why: why.clone() }));
            self.blocked.store(false, Ordering::Relaxed);
        }
        self.moving
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
        let took = clock::now().saturating_duration_since(begun);
        self.meters.commit_time.record(took);
        self.commit_takes = (self.commit_takes * 7 + took) / 8;
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
    fn upkeep(&mut self) {
        if clock::now().saturating_duration_since(self.optimized) > OPTIMIZE {
            self.optimized = clock::now();
            self.step("pragma optimize");
        }
        if !self.checkpointed {
            self.checkpointed = true;
            self.step("pragma wal_checkpoint(passive)");
            self.measure_log();
        }
    }

    fn measure_log(&self) {
        let size =
            std::fs::metadata(&self.wal).map_or(0, |file| i64::try_from(file.len()).unwrap_or(i64::MAX));
        self.meters.wal.set(size);
        if size > self.wal_limit {
            tracing::warn!(bytes = size, "the write-ahead log has grown: a reader has been at work for long");
        }
    }

    fn patience(&self) -> Duration {
        (self.commit_takes * WORTH).clamp(PATIENCE.0, PATIENCE.1)
    }

    /// The connection, for a look at it while the thread rests.
    pub(super) fn lend(&self) -> Arc<Mutex<Conn>> {
        Arc::clone(&self.conn)
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

fn wal_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}
