//! How far long work has come, told now and then in the log.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Counts what is done and says so, at most every two seconds. Cloning shares the count.
///
/// A first start or a command takes it as an argument.
#[derive(Clone)]
pub struct Progress(Arc<Inner>);

struct Inner {
    what: String,
    done: AtomicU64,
    // Zero: nobody knows.
    total: AtomicU64,
    // Not a tokio mutex: nothing awaits under it.
    told: Mutex<Instant>,
}

const EVERY: Duration = Duration::from_secs(2);

impl Progress {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            what: what.into(),
            done: AtomicU64::new(0),
            total: AtomicU64::new(0),
            told: Mutex::new(Instant::now()),
        }))
    }

    /// How much there is to do in all, as soon as that is known.
    pub fn set_total(&self, total: u64) {
        self.0.total.store(total, Ordering::Relaxed);
    }

    /// So much more has been done.
    pub fn advance(&self, more: u64) {
        let done = self.0.done.fetch_add(more, Ordering::Relaxed) + more;
        let mut told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.elapsed() >= EVERY {
            *told = Instant::now();
            drop(told);
            tracing::info!("{}: {}", self.0.what, self.text(done));
        }
    }

    /// How much has been done.
    pub fn done(&self) -> u64 {
        self.0.done.load(Ordering::Relaxed)
    }

    fn text(&self, done: u64) -> String {
        match self.0.total.load(Ordering::Relaxed) {
            0 => format!("{done} done"),
            total => format!("{done} of {total}"),
        }
    }
}
