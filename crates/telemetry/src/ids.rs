//! Names for traces and their steps, and trace context in and out (W3C Trace Context, level 1).

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use burgeon_core::{SpanId, Trace, TraceId};

/// Makes ids that no other process makes: a counter, hashed under keys the system drew at random when this was made
/// (SipHash as a pseudo-random function). No system call and no lock per id. Cloning shares it.
///
/// ```
/// let ids = burgeon_telemetry::Ids::new();
/// let incoming = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let here = ids.accept(Some(incoming), false);
/// assert_eq!(here.trace_id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
/// let header_of_a_call_to_another_service = ids.child(here).to_string();
/// # assert!(header_of_a_call_to_another_service.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
/// ```
#[derive(Debug, Clone)]
pub struct Ids(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    // Two keys, because the halves of a trace id must not follow from each other.
    high: RandomState,
    low: RandomState,
    next: AtomicU64,
}

impl Default for Ids {
    fn default() -> Self {
        Self::new()
    }
}

impl Ids {
    /// With new random keys.
    pub fn new() -> Self {
        Self(Arc::new(Inner { high: RandomState::new(), low: RandomState::new(), next: AtomicU64::new(0) }))
    }

    /// The first step of a new trace.
    pub fn trace(&self, sampled: bool) -> Trace {
        let number = self.next();
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.0.high.hash_one(number).to_be_bytes());
        bytes[8..].copy_from_slice(&self.0.low.hash_one(number).to_be_bytes());
        Trace { trace_id: TraceId::from_bytes(bytes), span_id: self.span(), sampled }
    }

    /// The next step of a trace: what an outgoing call carries in `traceparent`.
    pub fn child(&self, trace: Trace) -> Trace {
        trace.child(self.span())
    }

    /// A step of the trace a caller sent in `traceparent`, or of a new one when it sent none or nonsense, as the
    /// standard asks. `sampled` is for new traces; a caller's decision stands.
    pub fn accept(&self, traceparent: Option<&str>, sampled: bool) -> Trace {
        match traceparent.and_then(|text| text.parse().ok()) {
            Some(caller) => self.child(caller),
            None => self.trace(sampled),
        }
    }

    fn span(&self) -> SpanId {
        SpanId::from_bytes(self.0.high.hash_one(self.next()).to_be_bytes())
    }

    fn next(&self) -> u64 {
        self.0.next.fetch_add(1, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_differ_and_their_bits_are_even() {
        let (one, other) = (Ids::new(), Ids::new());
        let traces: Vec<_> =
            (0..20_000).map(|n| if n % 2 == 0 { one.trace(true) } else { other.trace(true) }).collect();
        assert_eq!(traces.iter().map(|trace| trace.trace_id).collect::<HashSet<_>>().len(), traces.len());
        assert_eq!(traces.iter().map(|trace| trace.span_id).collect::<HashSet<_>>().len(), traces.len());
        for bit in 0..128 {
            let ones = traces
                .iter()
                .filter(|trace| trace.trace_id.to_bytes()[bit / 8] >> (bit % 8) & 1 == 1)
                .count();
            // Fourteen standard deviations: chance does not get there.
            assert!((9_000..11_000).contains(&ones), "bit {bit}: {ones}");
        }
    }

    #[test]
    fn a_callers_trace_goes_on_and_nonsense_begins_a_new_one() {
        let ids = Ids::new();
        let caller = ids.trace(true);
        let here = ids.accept(Some(&caller.to_string()), false);
        assert_eq!((here.trace_id, here.sampled), (caller.trace_id, true));
        assert_ne!(here.span_id, caller.span_id);
        for nonsense in
            [None, Some(""), Some("00-zz"), Some("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")]
        {
            let new = ids.accept(nonsense, false);
            assert!(new.trace_id != caller.trace_id && !new.sampled);
        }
    }
}
