//! Names for requests and traces.
//!
//! 128 bits, the first 48 of them milliseconds, as in UUID version 7 (RFC 9562), so that they sort by time; the rest comes
//! from splitmix64 (Steele, Lea, Flood 2014) over a counter, from a random start. Unique, and not guessed by accident;
//! they are names, not secrets.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

use burgeon_core::{Error, Result, SpanId, Trace, TraceId};

/// Makes names. One per edge.
#[derive(Debug)]
pub(super) struct Ids {
    // What the wall clock said at `began`. It is for people who read logs; nothing is decided by it.
    epoch_millis: u64,
    began: Instant,
    salt: u64,
    next: AtomicU64,
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Ids {
    pub(super) fn new() -> Result<Self> {
        let mut seed = [0; 16];
        getrandom::fill(&mut seed).map_err(|error| Error::internal(error.to_string()))?;
        let (salt, next) = seed.split_at(8);
        let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        Ok(Self {
            epoch_millis: u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0),
            began: Instant::now(),
            salt: number(salt),
            next: AtomicU64::new(number(next)),
        })
    }

    /// A trace that begins here. Recorded by nobody unless somebody downstream decides so.
    pub(super) fn trace(&self, now: Instant) -> Trace {
        let millis = self.epoch_millis + now.duration_since(self.began).as_millis() as u64;
        let (a, b) = (self.random(), self.random());
        let high = millis << 16 | 0x7000 | (a & 0x0fff);
        let trace_id = u128::from(high) << 64 | u128::from(b);
        let span_id = SpanId::from_bytes((a ^ self.salt).to_be_bytes());
        Trace { trace_id: TraceId::from_bytes(trace_id.to_be_bytes()), span_id, sampled: false }
    }

    /// A step of a trace that began elsewhere.
    pub(super) fn span(&self) -> SpanId {
        SpanId::from_bytes(self.random().to_be_bytes())
    }

    fn random(&self) -> u64 {
        let mut z = self.next.fetch_add(GOLDEN, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Whether an id from a trusted proxy may stand in a log: short, and without anything that could break a line.
pub(super) fn is_sane(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use super::*;

    #[test]
    fn names_differ_and_sort_by_time() {
        let ids = Ids::new().unwrap();
        let now = ids.began;
        let name = |at| ids.trace(at).trace_id.to_string();
        let names: HashSet<_> = (0..10_000).map(|_| name(now)).collect();
        assert_eq!(names.len(), 10_000);
        let later = name(now + Duration::from_millis(2));
        assert!(names.iter().all(|earlier| *earlier < later));
    }

    #[test]
    fn an_id_that_could_break_a_log_line_is_not_sane() {
        assert!(is_sane("0192f0c1-7b9a-7cc3"));
        for id in ["", "a b", "a\nb", "\u{e9}", &"x".repeat(65)] {
            assert!(!is_sane(id), "{id:?}");
        }
    }
}
