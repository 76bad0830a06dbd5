//! A number that goes up and down.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A level: connections open, jobs waiting, bytes held. Cloning shares the cell.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<AtomicI64>);

/// One unit of a [`Gauge`], given back when dropped.
#[derive(Debug)]
pub struct InFlight(Gauge);

impl Gauge {
    /// Sets the level.
    pub fn set(&self, level: i64) {
        self.0.store(level, Ordering::Relaxed);
    }

    /// Raises (or with a negative number lowers) the level.
    pub fn add(&self, by: i64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    /// The level.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Raises the level by one until the returned guard is dropped.
    #[must_use = "the level falls again when this is dropped"]
    pub fn enter(&self) -> InFlight {
        self.add(1);
        InFlight(self.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}
