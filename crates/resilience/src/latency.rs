//! How long answers usually take: the median and the 95th percentile of the last half minute or minute.
//!
//! What this is: two log-linear histograms of 30 s that take turns, four buckets per power of two, and two cached numbers, so that a
//! decision reads one word. What it is not: a meter for people; [`burgeon_meter::Histogram`] never forgets, this one must.
//!
//! # Invariants
//! - Nothing is said before [`ENOUGH`] samples, nor from samples older than a minute.
//! - The median is never told too high, the 95th percentile never too low, by more than a bucket (a quarter of the value):
//!   the one refuses work, the other sends more of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::Instant;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::time::micros;

/// Samples before anything is said. Default 100\*.
pub const ENOUGH: u32 = 100;

/// How long one half counts before the other takes over: 30 s.
const TURN: u64 = 30_000_000;
/// Samples between two readings of the histogram.
const EVERY: u32 = 64;
const SUB_BITS: u32 = 2;
const BUCKETS: usize = 32 << SUB_BITS;

/// The usual times of one route or upstream. Clones share it.
///
/// ```
/// use std::time::Duration;
/// use burgeon_resilience::{Instant, latency::Latency};
///
/// let latency = Latency::new();
/// let now = Instant::from_micros(0);
/// for millis in 1..=128 {
///     latency.record(now, Duration::from_millis(millis));
/// }
/// let usual = latency.view(now).unwrap();
/// assert!(usual.p50 > Duration::from_millis(48) && usual.p50 <= Duration::from_millis(64));
/// assert!(usual.p95 >= Duration::from_millis(122) && usual.p95 < Duration::from_millis(153));
/// ```
#[derive(Clone)]
pub struct Latency(Arc<Inner>);

struct Inner {
    halves: [Half; 2],
    /// Of the last reading: the turn it was made in, plus one.
    read_in: AtomicU64,
    p50: AtomicU64,
    p95: AtomicU64,
}

struct Half {
    turn: AtomicU64,
    samples: AtomicU32,
    buckets: [AtomicU32; BUCKETS],
}

/// How long answers usually take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct View {
    /// Half of the answers came within this, or sooner.
    pub p50: Duration,
    /// 95 of 100 answers came within this.
    pub p95: Duration,
}

impl Default for Latency {
    fn default() -> Self {
        Self::new()
    }
}

impl Latency {
    /// Nothing is known yet.
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            halves: [Half::new(), Half::new()],
            read_in: AtomicU64::new(0),
            p50: AtomicU64::new(0),
            p95: AtomicU64::new(0),
        }))
    }

    /// An answer took so long. A timeout is recorded too, with the time it waited: leaving it out makes the slow look fast.
    pub fn record(&self, now: Instant, took: Duration) {
        let turn = now.as_micros() / TURN;
        let half = &self.0.halves[(turn % 2) as usize];
        let held = half.turn.load(Ordering::Acquire);
        // A clock that is behind by a turn counts into the newer half.
        if held < turn && half.turn.compare_exchange(held, turn, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        {
            half.clear();
        }
        half.buckets[bucket_of(micros(took))].fetch_add(1, Ordering::Relaxed);
        let samples = half.samples.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        if samples.is_multiple_of(EVERY) || samples == ENOUGH {
            self.read(turn);
        }
    }

    /// What is usual, if enough is known.
    pub fn view(&self, now: Instant) -> Option<View> {
        let turn = now.as_micros() / TURN;
        let read_in = self.0.read_in.load(Ordering::Acquire);
        (read_in != 0 && read_in >= turn).then(|| View {
            p50: Duration::from_micros(self.0.p50.load(Ordering::Relaxed)),
            p95: Duration::from_micros(self.0.p95.load(Ordering::Relaxed)),
        })
    }

    fn read(&self, turn: u64) {
        let counts: [u64; BUCKETS] = std::array::from_fn(|bucket| {
            let alive = self.0.halves.iter().filter(|half| half.turn.load(Ordering::Relaxed) + 1 >= turn);
            alive.map(|half| u64::from(half.buckets[bucket].load(Ordering::Relaxed))).sum()
        });
        let samples: u64 = counts.iter().sum();
        if samples < u64::from(ENOUGH) {
            return;
        }
        let (p50, p95) =
            (quantile(&counts, samples.div_ceil(2)), quantile(&counts, (samples * 95).div_ceil(100)));
        self.0.p50.store(lower_bound(p50), Ordering::Relaxed);
        self.0.p95.store(lower_bound(p95 + 1) - 1, Ordering::Relaxed);
        self.0.read_in.store(turn + 1, Ordering::Release);
    }
}

impl Half {
    fn new() -> Self {
        Self {
            turn: AtomicU64::new(0),
            samples: AtomicU32::new(0),
            buckets: std::array::from_fn(|_| AtomicU32::new(0)),
        }
    }

    /// Samples that race with this may be lost: a few of thousands.
    fn clear(&self) {
        self.samples.store(0, Ordering::Relaxed);
        for bucket in &self.buckets {
            bucket.store(0, Ordering::Relaxed);
        }
    }
}

/// The bucket in which the sample of this rank (from 1) lies.
fn quantile(counts: &[u64; BUCKETS], rank: u64) -> usize {
    let mut seen = 0;
    counts
        .iter()
        .position(|count| {
            seen += count;
            seen >= rank
        })
        .unwrap_or(BUCKETS - 1)
}

/// Below four a bucket each; above, each power of two has four.
fn bucket_of(micros: u64) -> usize {
    if micros < 1 << SUB_BITS {
        return micros as usize;
    }
    let power = 63 - micros.leading_zeros();
    let within = (micros >> (power - SUB_BITS)) as usize & ((1 << SUB_BITS) - 1);
    ((((power - SUB_BITS + 1) as usize) << SUB_BITS) + within).min(BUCKETS - 1)
}

/// The smallest value of a bucket.
fn lower_bound(bucket: usize) -> u64 {
    if bucket < 1 << SUB_BITS {
        return bucket as u64;
    }
    let power = (bucket >> SUB_BITS) as u32 - 1 + SUB_BITS;
    let within = (bucket & ((1 << SUB_BITS) - 1)) as u64;
    (1 << power) + (within << (power - SUB_BITS))
}

impl fmt::Debug for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latency").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_value_lies_between_the_bounds_of_its_bucket(micros in 0u64..1 << 33) {
            let bucket = bucket_of(micros);
            prop_assert!(lower_bound(bucket) <= micros && micros < lower_bound(bucket + 1));
        }

        #[test]
        fn what_is_usual_is_a_quarter_off_at_most(mut list in prop::collection::vec(1u64..10_000_000, 128)) {
            let latency = Latency::new();
            for took in &list {
                latency.record(Instant::from_micros(5), Duration::from_micros(*took));
            }
            list.sort_unstable();
            let view = latency.view(Instant::from_micros(5)).unwrap();
            let (p50, p95) = (list[63], list[121]);
            let (read50, read95) = (view.p50.as_micros() as u64, view.p95.as_micros() as u64);
            prop_assert!(read50 <= p50 && read50 as f64 >= p50 as f64 * 0.75, "{read50} for {p50}");
            prop_assert!(read95 >= p95 && read95 as f64 <= p95 as f64 * 1.25 + 1.0, "{read95} for {p95}");
        }
    }

    #[test]
    fn nothing_is_said_too_early_nor_from_what_is_long_past() {
        let latency = Latency::new();
        let sample = |at, millis| latency.record(Instant::from_micros(at), Duration::from_millis(millis));
        (0..99).for_each(|_| sample(0, 10));
        assert_eq!(latency.view(Instant::ORIGIN), None);
        sample(0, 10);
        assert!(latency.view(Instant::ORIGIN).is_some());
        assert!(latency.view(Instant::from_micros(TURN)).is_some());
        assert_eq!(latency.view(Instant::from_micros(2 * TURN)), None);
        // The old half is gone when its turn comes again.
        (0..128).for_each(|_| sample(2 * TURN, 100));
        let view = latency.view(Instant::from_micros(2 * TURN)).unwrap();
        assert!(view.p50 >= Duration::from_millis(75), "{view:?}");
    }
}
