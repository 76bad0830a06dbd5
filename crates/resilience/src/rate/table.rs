//! The numbers of many keys in a fixed piece of memory: sets of eight places, as in a processor's cache.
//!
//! A place whose number lies in the past belongs to a key that is whole again: as good as empty, whoever's it was. So nothing
//! need ever be swept.

use std::sync::PoisonError;
use std::time::Duration;

use super::Allowed;
use super::gcra::{Nanos, Rule};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug)]
pub(super) struct Table {
    // A lock for eight keys, held for some ten instructions: a place is two words, and loom found a way for every order of changing
    // them one by one in which two keys shared a place or one key had two.
    sets: Box<[Mutex<[Place; WAYS]>]>,
    forgotten: AtomicU64,
}

/// Whose it is, and the moment at which that key is whole again: at the origin, nobody's.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    key: u64,
    tat: Nanos,
}

const WAYS: usize = 8;

impl Table {
    pub(super) fn new(keys: usize) -> Self {
        let sets = keys.clamp(WAYS, 1 << 28).div_ceil(WAYS).next_power_of_two();
        Self {
            sets: (0..sets).map(|_| Mutex::new([Place::default(); WAYS])).collect(),
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
        // The upper half chooses the set; all of it is compared.
        let set = &self.sets[(key >> 32) as usize & (self.sets.len() - 1)];
        let mut places = set.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = places.iter_mut().find(|place| place.key == key && place.tat > now) {
            let (tat, allowed) = rule.next(place.tat, now, cost)?;
            place.tat = tat;
            return Ok(allowed);
        }
        let (tat, allowed) = rule.next(now, now, cost)?;
        // One that is whole, or the one nearest to it.
        if let Some(place) = places.iter_mut().min_by_key(|place| place.tat.max(now)) {
            if place.tat > now {
                self.forgotten.fetch_add(1, Ordering::Relaxed);
            }
            *place = Place { key, tat };
        }
        Ok(allowed)
    }

    pub(super) fn in_use(&self, now: Nanos) -> usize {
        let in_set = |set: &Mutex<[Place; WAYS]>| {
            let places = set.lock().unwrap_or_else(PoisonError::into_inner);
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
