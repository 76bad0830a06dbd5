//! A database in memory whose copies lag: a log, and two that have read it some way. A read goes to a copy only if that has
//! come as far as its context says, otherwise to the log's end, as `burgeon-db` does it. The version of a row is where in
//! the log it was last changed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use burgeon_core::{Ctx, Position};
use burgeon_resilience::random::{Dice, below};

use crate::KEYS;

pub struct Memory {
    log: Mutex<Log>,
    dice: Dice,
    from_copies: AtomicU64,
    from_primary: AtomicU64,
    reading: AtomicU64,
    most: AtomicU64,
}

struct Log {
    last: u64,
    /// How far each copy has come.
    copies: [u64; 2],
    /// Of each key, where it was changed; the first change is older than any copy.
    changes: Vec<Vec<u64>>,
}

/// A read under way; dropped when it is over or given up.
struct Reading<'a>(&'a AtomicU64);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The furthest that a copy is behind, in changes.
const LAG: u64 = 300;

impl Memory {
    pub fn new(seed: u64) -> Arc<Self> {
        let changes = (0..KEYS).map(|_| vec![0]).collect();
        Arc::new(Self {
            log: Mutex::new(Log { last: 0, copies: [0, 0], changes }),
            dice: Dice::seeded(seed),
            from_copies: AtomicU64::new(0),
            from_primary: AtomicU64::new(0),
            reading: AtomicU64::new(0),
            most: AtomicU64::new(0),
        })
    }

    pub async fn read(&self, ctx: &Ctx, key: u64) -> u64 {
        let _reading = self.begin();
        self.dawdle().await;
        let version = self.look(ctx, key);
        // As a slow query does: it has read, and takes its time to answer.
        self.dawdle().await;
        version
    }

    /// Commits, and answers the version.
    pub async fn write(&self, ctx: &Ctx, key: u64) -> u64 {
        self.dawdle().await;
        let version = {
            let mut log = self.log();
            log.last += 1;
            let (last, oldest) = (log.last, log.last.saturating_sub(LAG));
            let changes = &mut log.changes[key as usize];
            changes.push(last);
            while changes.len() > 1 && changes[1] <= oldest {
                changes.remove(0);
            }
            last
        };
        ctx.advance(Position { timeline: 1, lsn: version });
        self.dawdle().await;
        version
    }

    /// Reads of copies and of the primary.
    pub fn reads(&self) -> (u64, u64) {
        (self.from_copies.load(Ordering::Relaxed), self.from_primary.load(Ordering::Relaxed))
    }

    /// The most reads at one moment since this was asked last.
    pub fn most_at_once(&self) -> u64 {
        self.most.swap(self.reading.load(Ordering::SeqCst), Ordering::SeqCst)
    }

    fn begin(&self) -> Reading<'_> {
        let reading = self.reading.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(reading, Ordering::SeqCst);
        Reading(&self.reading)
    }

    fn look(&self, ctx: &Ctx, key: u64) -> u64 {
        let mut log = self.log();
        let which = below(self.dice.roll(), 2) as usize;
        let behind = below(self.dice.roll(), LAG);
        // Now and then it catches up a little; it never goes back.
        let moved = match below(self.dice.roll(), 4) {
            0 => log.last.saturating_sub(behind),
            _ => log.last.saturating_sub(LAG),
        };
        log.copies[which] = log.copies[which].max(moved);
        let at = log.copies[which];
        let changes = &log.changes[key as usize];
        match at >= ctx.position().lsn {
            true => {
                self.from_copies.fetch_add(1, Ordering::Relaxed);
                changes.iter().rev().find(|change| **change <= at).copied().unwrap_or(0)
            }
            false => {
                self.from_primary.fetch_add(1, Ordering::Relaxed);
                changes.last().copied().unwrap_or(0)
            }
        }
    }

    /// Others get their turn here, or not.
    async fn dawdle(&self) {
        for _ in 0..below(self.dice.roll(), 4) {
            tokio::task::yield_now().await;
        }
        if below(self.dice.roll(), 300) == 0 {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
