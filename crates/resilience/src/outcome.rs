//! How an admitted call ended, in the only distinctions a machine can act on.

/// What a permit is settled with. A permit that is dropped instead was cancelled, and counts as nothing.
///
/// | | breaker | client throttle | adaptive limit |
/// |---|---|---|---|
/// | `Ok` | well | accepted | a sample |
/// | `Slow` | too slow | accepted | a sample |
/// | `Fail` | ill | not accepted | a sample when it took longer than usual |
/// | `Shed` | nothing; fails a probe | not accepted | none; many shrink it |
/// | `Ignored` | nothing | nothing | none |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was answered in time. That includes 4xx: who says "no such page" is well.
    Ok,
    /// It was answered, but later than is acceptable.
    Slow,
    /// Connect error, reset, timeout, 5xx: the other side is ill.
    Fail,
    /// The other side said that it is busy (429, a 503 marked as shed): load, not ill health.
    Shed,
    /// It ended in a way that says nothing about the other side: the caller gave up, or sent nonsense.
    Ignored,
}
