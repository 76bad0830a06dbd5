//! The numbers of many keys in a fixed piece of memory: sets of eight places, as in a processor's cache.
//!
//! A place whose number lies in the past belongs to a key that is whole again: as good as empty, whoever's it was. So nothing
//! need ever be swept, and a newcomer takes the place as it is.

use super::gcra::Nanos;
use crate::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug)]
pub(super) struct Table {
    sets: Box<[[Place; WAYS]]>,
    forgotten: AtomicU64,
}

/// Whose it is, zero for nobody's, and the moment at which that key is whole again.
#[derive(Debug)]
struct Place {
    key: AtomicU64,
    tat: AtomicU64,
}

const WAYS: usize = 8;

impl Table {
    pub(super) fn new(keys: usize) -> Self {
        let sets = keys.clamp(WAYS, 1 << 28).div_ceil(WAYS).next_power_of_two();
        let place = |_| Place { key: AtomicU64::new(0), tat: AtomicU64::new(0) };
        Self { sets: (0..sets).map(|_| std::array::from_fn(place)).collect(), forgotten: AtomicU64::new(0) }
    }

    /// The number of this key, in a place that is found or made.
    pub(super) fn slot(&self, now: Nanos, key: u64) -> &AtomicU64 {
        // Zero is nobody; whoever hashes to it shares with whoever hashes to one.
        let key = key.max(1);
        // The upper half chooses the set, so that keys of one set still differ in all that is stored.
        let set = &self.sets[(key >> 32) as usize & (self.sets.len() - 1)];
        loop {
            if let Some(place) = set.iter().find(|place| place.key.load(Ordering::Acquire) == key) {
                return &place.tat;
            }
            if let Some(tat) = self.claim(set, now, key) {
                return tat;
            }
        }
    }

    /// Takes the place that is whole, or the one nearest to it. `None` when somebody else was faster: look again, it may have been for
    /// the same key.
    fn claim<'a>(&self, set: &'a [Place; WAYS], now: Nanos, key: u64) -> Option<&'a AtomicU64> {
        let mut best: Option<(&Place, u64, Nanos)> = None;
        for place in set {
            let (owner, tat) = (place.key.load(Ordering::Acquire), place.tat.load(Ordering::Acquire));
            // Whole is whole: the first of those, so that two newcomers meet.
            let (tat, is_whole) = (tat.max(now), tat <= now);
            if best.is_none_or(|(_, _, least)| tat < least) {
                best = Some((place, owner, tat));
            }
            if is_whole {
                break;
            }
        }
        let (place, owner, tat) = best?;
        place.key.compare_exchange(owner, key, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        if tat > now {
            self.forgotten.fetch_add(1, Ordering::Relaxed);
            // If it changed meanwhile, the newcomer inherits it: stricter, never looser.
            let _ = place.tat.compare_exchange(tat, now, Ordering::AcqRel, Ordering::Relaxed);
        }
        Some(&place.tat)
    }

    pub(super) fn in_use(&self, now: Nanos) -> usize {
        self.sets.iter().flatten().filter(|place| place.tat.load(Ordering::Relaxed) > now).count()
    }

    pub(super) fn capacity(&self) -> usize {
        self.sets.len() * WAYS
    }

    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten.load(Ordering::Relaxed)
    }
}
