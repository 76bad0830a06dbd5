//! A number that goes up and down.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::parts::Parts;

/// A level: connections open, jobs waiting, bytes held. Cloning shares the cell.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<Cell>);

// Aligned as a counter's cell is, and for the same reason.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Cell {
    level: AtomicI64,
    parts: Parts<Gauge>,
}

/// One unit of a [`Gauge`], given back when dropped.
#[derive(Debug)]
pub struct InFlight(Gauge);

impl Gauge {
    /// Sets the level. That of its parts, if it has any, is added to it.
    pub fn set(&self, level: i64) {
        self.0.level.store(level, Ordering::Relaxed);
    }

    /// Raises (or with a negative number lowers) the level.
    pub fn add(&self, by: i64) {
        self.0.level.fetch_add(by, Ordering::Relaxed);
    }

    /// The level, parts included.
    pub fn get(&self) -> i64 {
        self.0.parts.sum(self.0.level.load(Ordering::Relaxed), Gauge::get)
    }

    /// Raises the level by one until the returned guard is dropped.
    #[must_use = "the level falls again when this is dropped"]
    pub fn enter(&self) -> InFlight {
        self.add(1);
        InFlight(self.clone())
    }

    /// A cell of its own whose level is added to this one's: for a core that shares no cache line with others. It lives
    /// as long as the whole, so make one per core and not one per request.
    pub fn part(&self) -> Gauge {
        self.0.parts.another()
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}
