//! Which invalidation of a key was the latest: the rule by which an invalidation wins every race.
//!
//! A load notes its key's generation before it begins, and its value is stored only if the generation is still the same,
//! asked under the lock that the value is stored under. An invalidation raises the generation first and removes second. So
//! either the load asks after the raise and is refused, or it stored before and the removal finds its value.
//!
//! Keys share counters: a stripe that two keys fall into costs a load too many, never a stale value. And so the generation
//! of a key that is absent exists, too.

use burgeon_core::Position;

use crate::sync::{AtomicU64, Mutex, Ordering, hold};

/// The counters, and how far the database must be for a refill.
pub(crate) struct Generations {
    stripes: Box<[Stripe]>,
}

struct Stripe {
    generation: AtomicU64,
    /// The latest commit that invalidated here. A load reads from a copy that has come this far, so that a replica that
    /// lags brings nothing back. It is never taken away: once every replica is past it, it costs nothing.
    floor: Mutex<Position>,
}

impl Generations {
    pub(crate) fn new(stripes: usize) -> Self {
        let stripe = || Stripe { generation: AtomicU64::new(0), floor: Mutex::new(Position::START) };
        Self { stripes: (0..stripes).map(|_| stripe()).collect() }
    }

    pub(crate) fn now(&self, hash: u64) -> u64 {
        self.stripe(hash).generation.load(Ordering::SeqCst)
    }

    /// Whatever was begun before this is not stored. Answers the new generation.
    pub(crate) fn raise(&self, hash: u64, floor: Position) -> u64 {
        let stripe = self.stripe(hash);
        // The floor first: whoever sees the new generation sees the floor.
        if floor > Position::START {
            let mut known = hold(&stripe.floor);
            *known = known.join(floor);
        }
        stripe.generation.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// How far the database must be for a load that has read [`now`](Self::now) before this.
    pub(crate) fn floor(&self, hash: u64) -> Position {
        *hold(&self.stripe(hash).floor)
    }

    fn stripe(&self, hash: u64) -> &Stripe {
        &self.stripes[(hash >> 16) as usize & (self.stripes.len() - 1)]
    }
}
