//! A number that only grows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::parts::Parts;

/// Counts events since the process started. Cloning shares the cell.
#[derive(Debug, Clone, Default)]
pub struct Counter(Arc<Cell>);

// So that two cores that count into parts of one counter never write to one cache line (nor to the neighbour that
// the processor fetches with it).
#[derive(Debug, Default)]
#[repr(align(128))]
struct Cell {
    count: AtomicU64,
    parts: Parts<Counter>,
}

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.count.fetch_add(more, Ordering::Relaxed);
    }

    /// How many so far, parts included.
    pub fn get(&self) -> u64 {
        self.0.parts.sum(self.0.count.load(Ordering::Relaxed), Counter::get)
    }

    /// A cell of its own that counts into this one: for a core that shares no cache line with others. It lives as long
    /// as the whole, so make one per core and not one per request.
    pub fn part(&self) -> Counter {
        self.0.parts.another()
    }
}
