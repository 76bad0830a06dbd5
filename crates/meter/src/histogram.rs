//! How long things take, in buckets that need no configuration.

use std::ops::Add;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::parts::Parts;

/// Durations in log-linear buckets: four per power of two of microseconds, from 1 us to about 71 minutes.
///
/// The error of a quantile read from it is at most 25 % of the value (one bucket), which is enough to see a
/// regression and small enough to keep one per statement and route: 33 powers x 4 buckets x 8 bytes, 1 KiB.
/// The bucket scheme is that of HdrHistogram with two significant bits (Tene, 2012).
#[derive(Debug, Clone)]
pub struct Histogram(Arc<Cells>);

#[derive(Debug)]
#[repr(align(128))]
struct Cells {
    buckets: [AtomicU64; BUCKETS],
    sum_micros: AtomicU64,
    parts: Parts<Histogram>,
}

const SUB_BITS: u32 = 2;
const SUB: usize = 1 << SUB_BITS;
const BUCKETS: usize = 32 * SUB + 1;

/// What a [`Histogram`] held at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistogramValue {
    counts: Vec<u64>,
    /// Sum of all recorded durations.
    pub sum: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Self(Arc::new(Cells {
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
            sum_micros: AtomicU64::new(0),
            parts: Parts::default(),
        }))
    }
}

impl Histogram {
    /// Records one duration. Beyond the last bucket it counts in the last bucket.
    pub fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.0.buckets[bucket_of(micros)].fetch_add(1, Ordering::Relaxed);
        self.0.sum_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// A copy of the current counts, parts included. Not a snapshot of one instant: records in flight may be half in it.
    pub fn value(&self) -> HistogramValue {
        let own = HistogramValue {
            counts: self.0.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect(),
            sum: Duration::from_micros(self.0.sum_micros.load(Ordering::Relaxed)),
        };
        self.0.parts.sum(own, Histogram::value)
    }

    /// Buckets of its own that count into this one's: for a core that shares no cache line with others. They live as
    /// long as the whole, so make one per core and not one per request.
    pub fn part(&self) -> Histogram {
        self.0.parts.another()
    }
}

impl Add for HistogramValue {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.sum += other.sum;
        self
    }
}

impl HistogramValue {
    /// How many durations were recorded.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The duration that a share `q` (0 to 1) of the records did not exceed, as the upper bound of its bucket;
    /// `None` when nothing was recorded.
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = ((q.clamp(0.0, 1.0) * count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        self.counts.iter().enumerate().find_map(|(index, bucket)| {
            seen += bucket;
            (seen >= rank).then(|| Duration::from_micros(upper_bound(index)))
        })
    }

    /// How many records were at most `bound`. A bucket that straddles the bound counts as above it.
    pub fn at_most(&self, bound: Duration) -> u64 {
        let micros = u64::try_from(bound.as_micros()).unwrap_or(u64::MAX);
        self.counts
            .iter()
            .enumerate()
            .take_while(|(index, _)| upper_bound(*index) <= micros)
            .map(|(_, n)| n)
            .sum()
    }
}

/// Values below `SUB` have a bucket each; above, each power of two has `SUB` buckets.
fn bucket_of(micros: u64) -> usize {
    if micros < SUB as u64 {
        return micros as usize;
    }
    let power = 63 - micros.leading_zeros();
    let within = (micros >> (power - SUB_BITS)) as usize & (SUB - 1);
    ((power - SUB_BITS + 1) as usize * SUB + within).min(BUCKETS - 1)
}

/// The largest value that falls into the bucket.
fn upper_bound(index: usize) -> u64 {
    if index >= BUCKETS - 1 {
        return u64::MAX;
    }
    if index < SUB {
        return index as u64;
    }
    let power = (index / SUB) as u32 - 1 + SUB_BITS;
    let within = (index % SUB) as u64;
    (1 << power) + ((within + 1) << (power - SUB_BITS)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_value_falls_below_the_upper_bound_of_its_bucket_and_above_the_one_before(micros in 0u64..1 << 40) {
            let index = bucket_of(micros);
            prop_assert!(micros <= upper_bound(index));
            prop_assert!(index == 0 || index == BUCKETS - 1 || micros > upper_bound(index - 1));
        }

        #[test]
        fn a_quantile_is_at_most_a_quarter_off(micros in 1u64..1 << 33) {
            let histogram = Histogram::default();
            histogram.record(Duration::from_micros(micros));
            let read = histogram.value().quantile(0.5).unwrap().as_micros() as u64;
            prop_assert!(read >= micros && read as f64 <= micros as f64 * 1.25, "{} read as {}", micros, read);
        }
    }

    #[test]
    fn quantiles_of_a_known_set() {
        let histogram = Histogram::default();
        assert_eq!(histogram.value().quantile(0.5), None);
        for millis in 1..=100 {
            histogram.record(Duration::from_millis(millis));
        }
        let value = histogram.value();
        assert_eq!(value.count(), 100);
        let median = value.quantile(0.5).unwrap();
        assert!(median >= Duration::from_millis(50) && median <= Duration::from_millis(63), "{median:?}");
        assert_eq!(value.at_most(Duration::from_secs(3600)), 100);
    }
}
