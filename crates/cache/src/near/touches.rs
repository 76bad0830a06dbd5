//! Hits on their way to the policy: a small ring that readers write into and whoever holds the policy empties.
//!
//! # Invariants
//! - Pushing takes no lock and allocates nothing.
//! - A touch may be lost (the ring is full, or a reader was interrupted between taking a place and filling it). Then an
//!   entry counts as used a little less; nothing else depends on it.

use crate::sync::{AtomicU32, Ordering};

use super::list::{NIL, Slot};

/// As many as a miss takes along at most.
const PLACES: usize = 128;

/// The ring.
#[derive(Debug)]
pub(super) struct Touches {
    places: Box<[AtomicU32]>,
    taken: AtomicU32,
}

impl Touches {
    pub(super) fn new() -> Self {
        Self { places: (0..PLACES).map(|_| AtomicU32::new(NIL)).collect(), taken: AtomicU32::new(0) }
    }

    /// Notes a touch. Answers whether there was no room.
    pub(super) fn push(&self, slot: Slot) -> bool {
        // Looked at first, so that the counter of a full ring stays where it is.
        if self.taken.load(Ordering::Relaxed) as usize >= PLACES {
            return true;
        }
        let place = self.taken.fetch_add(1, Ordering::Relaxed) as usize;
        match self.places.get(place) {
            Some(place) => {
                place.store(slot, Ordering::Relaxed);
                false
            }
            None => true,
        }
    }

    /// Takes out what is in it.
    pub(super) fn drain(&self, mut each: impl FnMut(Slot)) {
        let taken = self.taken.load(Ordering::Relaxed) as usize;
        if taken == 0 {
            return;
        }
        for place in &self.places[..taken.min(PLACES)] {
            let slot = place.swap(NIL, Ordering::Relaxed);
            if slot != NIL {
                each(slot);
            }
        }
        self.taken.store(0, Ordering::Relaxed);
    }
}
