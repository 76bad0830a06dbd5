//! What no reader may go below, known outside of the system.
//!
//! Three floors: what the reader has written itself, wherever; what the node it asks has done or heard of before it asked;
//! and what anybody has written so long ago that no node may be without it, heard or not.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use burgeon_cluster::{Bus, Stamp};
use tokio::time::Instant;

use crate::{KEYS, NODES};

pub struct Oracle {
    /// What each node has done itself.
    done: Vec<Vec<AtomicU64>>,
    lately: Vec<Mutex<VecDeque<Written>>>,
    settled: Vec<AtomicU64>,
    bound: Duration,
    own: AtomicU64,
    heard: AtomicU64,
    late: AtomicU64,
    reads: AtomicU64,
    writes: AtomicU64,
    errors: Mutex<Vec<String>>,
}

struct Written {
    version: u64,
    stamp: Option<Stamp>,
    at: Instant,
}

/// What a reader may not go below.
#[derive(Debug, Clone, Copy)]
pub struct Floor {
    own: u64,
    heard: u64,
    settled: u64,
}

/// What came of a run.
#[derive(Debug)]
pub struct Verdict {
    pub reads: u64,
    pub writes: u64,
    /// Older than what the reader had written.
    pub own: u64,
    /// Older than what the node had heard of.
    pub heard: u64,
    /// Older than any loss can explain.
    pub late: u64,
    pub errors: Vec<String>,
}

/// Writes of one key that are known one by one. One that has to go before its time binds those who have written it, and their node.
const KEPT: usize = 64;

impl Oracle {
    /// `bound`: how long after a write every node must have it, whatever it has missed.
    pub fn new(bound: Duration) -> Self {
        let row = || (0..KEYS).map(|_| AtomicU64::new(0)).collect::<Vec<_>>();
        Self {
            done: (0..NODES).map(|_| row()).collect(),
            lately: (0..KEYS).map(|_| Mutex::default()).collect(),
            settled: row(),
            bound,
            own: AtomicU64::new(0),
            heard: AtomicU64::new(0),
            late: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            errors: Mutex::default(),
        }
    }

    /// A node has committed a version, and done and said what belongs to it.
    pub fn written(&self, node: usize, key: u64, version: u64, stamp: Option<Stamp>) {
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.done[node][key as usize].fetch_max(version, Ordering::SeqCst);
        let now = Instant::now();
        let mut lately = self.lately(key);
        // By version, for writers do not come here in the order in which they committed.
        let place = lately.iter().rposition(|written| written.version < version).map_or(0, |at| at + 1);
        lately.insert(place, Written { version, stamp, at: now });
        while let Some(first) = lately.front()
            && (lately.len() > KEPT || now - first.at > self.bound)
        {
            if now - first.at > self.bound {
                self.settled[key as usize].fetch_max(first.version, Ordering::SeqCst);
            }
            lately.pop_front();
        }
    }

    /// What a reader of this node must see, who has written `own`. Asked before it reads.
    pub fn floor(&self, node: usize, bus: &Bus, is_whole: impl Fn() -> bool, key: u64, own: u64) -> Floor {
        let now = Instant::now();
        let lately = self.lately(key);
        let heard =
            lately.iter().rev().find(|written| written.stamp.is_some_and(|stamp| bus.has_applied(stamp)));
        let settled = lately.iter().rev().find(|written| now - written.at > self.bound);
        let [heard, settled] = [heard, settled].map(|written| written.map_or(0, |written| written.version));
        drop(lately);
        // Known to be lost is not heard: until it is made up for, the node says that it is not whole. Asked last, so that it was
        // whole when it had heard.
        let heard = if heard > 0 && is_whole() { heard } else { 0 };
        Floor {
            own,
            heard: heard.max(self.done[node][key as usize].load(Ordering::SeqCst)),
            settled: settled.max(self.settled[key as usize].load(Ordering::SeqCst)),
        }
    }

    pub fn read(&self, floor: Floor, seen: u64) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        for (floor, counter) in
            [(floor.own, &self.own), (floor.heard, &self.heard), (floor.settled, &self.late)]
        {
            if seen < floor {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    pub fn failed(&self, error: String) {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner).push(error);
    }

    pub fn verdict(&self) -> Verdict {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Verdict {
            reads: get(&self.reads),
            writes: get(&self.writes),
            own: get(&self.own),
            heard: get(&self.heard),
            late: get(&self.late),
            errors: self.errors.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    fn lately(&self, key: u64) -> MutexGuard<'_, VecDeque<Written>> {
        self.lately[key as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Verdict {
    pub fn stale(&self) -> u64 {
        self.own + self.heard + self.late
    }

    pub fn told(&self) -> String {
        format!(
            "{} reads and {} writes; older than the reader's own write {}, than what its node had heard {}, than any loss \
             explains {}; {} errors",
            self.reads,
            self.writes,
            self.own,
            self.heard,
            self.late,
            self.errors.len()
        )
    }
}
