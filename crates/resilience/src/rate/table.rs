//! The numbers of many keys in a fixed piece of memory: sets of seven places, as in a processor's cache.
//!
//! A place whose number lies in the past belongs to a key that is whole again: as good as empty, whoever's it was. So nothing
//! need ever be swept.

use std::sync::PoisonError;
use std::time::Duration;

use super::Allowed;
use super::gcra::{Nanos, Rule};
use crate::random;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug)]
pub(super) struct Table {
    // A lock for seven keys, held for some ten instructions: a place is two words, and loom found a way for every order of changing
    // them one by one in which two keys shared a place or one key had two.
    sets: Box<[Set]>,
    forgotten: AtomicU64,
}

/// Whose it is, and the moment at which that key is whole again: at the origin, nobody's.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    key: u64,
    tat: Nanos,
}

/// Two lines of the processor's cache: seven places and their lock.
#[derive(Debug)]
#[repr(align(128))]
struct Set(Mutex<[Place; WAYS]>);

const WAYS: usize = 7;

impl Table {
    pub(super) fn new(keys: usize) -> Self {
        let sets = keys.clamp(1, 1 << 28).div_ceil(WAYS);
        Self {
            sets: (0..sets).map(|_| Set(Mutex::new([Place::default(); WAYS]))).collect(),
            forgotten: AtomicU64::new(0),
        }
    }

    pub(super) fn admit(
        &self,
        rule: &Rule,
        now: Nanos,
        key: u64,
        cost: u32,
    ) -> Result<Allowed, Option<Duration>> {
        let set = &self.sets[random::below(key, self.sets.len() as u64) as usize];
        let mut places = set.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = places.iter_mut().find(|place| place.key == key && place.tat > now) {
            let (tat, allowed) = rule.next(place.tat, now, cost)?;
            place.tat = tat;
            return Ok(allowed);
        }
        let (tat, allowed) = rule.next(now, now, cost)?;
        // One that is whole, or the one nearest to it.
        let whole = places.iter().position(|place| place.tat <= now);
        let nearest = || (0..WAYS).min_by_key(|index| places[*index].tat);
        if let Some(place) = whole.or_else(nearest).and_then(|index| places.get_mut(index)) {
            if place.tat > now {
                self.forgotten.fetch_add(1, Ordering::Relaxed);
            }
            *place = Place { key, tat };
        }
        Ok(allowed)
    }

    pub(super) fn in_use(&self, now: Nanos) -> usize {
        let in_set = |set: &Set| {
            let places = set.0.lock().unwrap_or_else(PoisonError::into_inner);
            places.iter().filter(|place| place.tat > now).count()
        };
        self.sets.iter().map(in_set).sum()
    }

    pub(super) fn capacity(&self) -> usize {
        self.sets.len() * WAYS
    }

    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten.load(Ordering::Relaxed)
    }
}
