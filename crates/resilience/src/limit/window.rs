//! What calls report between two decisions, gathered without a lock.

use super::gradient2::Seen;
use crate::Instant;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Counts and a sum, in as few atomics as can be taken out without tearing what belongs together.
#[derive(Debug)]
pub(super) struct Window {
    opened: AtomicU64,
    /// Number of samples in the upper 20 bits, sum of their microseconds in the lower 44: one addition takes in a
    /// sample, one swap takes them all out.
    samples: AtomicU64,
    shed: AtomicU32,
    in_flight: AtomicU32,
}

const SUM_BITS: u32 = 44;
/// The longest call that counts in full. A million of them (2^20) fill the sum.
const LONGEST: u64 = (1 << 24) - 1;

impl Window {
    pub(super) fn new() -> Self {
        Self {
            opened: AtomicU64::new(0),
            samples: AtomicU64::new(0),
            shed: AtomicU32::new(0),
            in_flight: AtomicU32::new(0),
        }
    }

    /// So many are in flight.
    pub(super) fn reached(&self, in_flight: u32) {
        // Almost always a mere load: the maximum of a window is reached a few times.
        if self.in_flight.load(Relaxed) < in_flight {
            self.in_flight.fetch_max(in_flight, Relaxed);
        }
    }

    pub(super) fn sample(&self, micros: u64) {
        self.samples.fetch_add((1 << SUM_BITS) | micros.min(LONGEST), Relaxed);
    }

    pub(super) fn shed(&self) {
        self.shed.fetch_add(1, Relaxed);
    }

    /// Whether there is enough in it to decide on.
    pub(super) fn is_due(&self, now: Instant, after: u64, enough: u32) -> bool {
        now.micros_since(Instant::from_micros(self.opened.load(Relaxed))) >= after
            && self.ended() >= u64::from(enough)
    }

    /// Takes everything out and opens the next one, in which `in_flight` have not ended yet.
    pub(super) fn close(&self, now: Instant, in_flight: u32) -> Seen {
        self.opened.store(now.as_micros(), Relaxed);
        let samples = self.samples.swap(0, Relaxed);
        let (samples, sum) = ((samples >> SUM_BITS) as u32, samples & ((1 << SUM_BITS) - 1));
        Seen {
            samples,
            mean: if samples == 0 { 0.0 } else { sum as f64 / f64::from(samples) },
            shed: self.shed.swap(0, Relaxed),
            in_flight: self.in_flight.swap(in_flight, Relaxed),
        }
    }

    fn ended(&self) -> u64 {
        (self.samples.load(Relaxed) >> SUM_BITS) + u64::from(self.shed.load(Relaxed))
    }
}
