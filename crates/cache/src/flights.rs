//! Loads under way: at most one for a key and generation.
//!
//! # Invariants
//! - Whoever asks after an invalidation never joins a load that began before it: its generation is another one.
//! - A flight is taken off the list after its value was stored, and whoever finds no flight looks at the store once more
//!   under the list's lock. So a value that has just landed is not loaded again.

use crate::generations::Generations;
use crate::sync::{Mutex, hold};

/// The list. `C` is what those aboard share.
pub(crate) struct Flights<K, C> {
    stripes: Box<[Mutex<Stripe<K, C>>]>,
}

struct Stripe<K, C> {
    flights: Vec<Flight<K, C>>,
    next: u64,
}

struct Flight<K, C> {
    hash: u64,
    key: K,
    generation: u64,
    id: u64,
    cargo: C,
}

/// Where somebody who asked for a flight finds himself.
pub(crate) enum Boarded<C, R> {
    /// Aboard of one under way.
    Joined(C),
    /// In charge of a new one, to be [`land`](Flights::land)ed under this number.
    Leads { id: u64, generation: u64, cargo: C },
    /// On the ground: what he wanted has just landed.
    There(R),
}

/// Short lists: loads under way are few.
const STRIPES: usize = 64;

impl<K: Eq + Clone, C: Clone> Flights<K, C> {
    pub(crate) fn new() -> Self {
        Self { stripes: (0..STRIPES).map(|_| Mutex::new(Stripe { flights: Vec::new(), next: 0 })).collect() }
    }

    /// Joins the flight to this key, if it has the key's present generation and `fits`; otherwise looks once more whether
    /// it is `there`, and begins a new one with what `load` makes.
    pub(crate) fn board<R>(
        &self,
        hash: u64,
        key: &K,
        generations: &Generations,
        fits: impl FnOnce(&C) -> bool,
        there: impl FnOnce() -> Option<R>,
        load: impl FnOnce() -> C,
    ) -> Boarded<C, R> {
        let mut stripe = hold(self.stripe(hash));
        let generation = generations.now(hash);
        let known = stripe.flights.iter().position(|flight| flight.hash == hash && flight.key == *key);
        if let Some(at) = known
            && stripe.flights[at].generation == generation
            && fits(&stripe.flights[at].cargo)
        {
            return Boarded::Joined(stripe.flights[at].cargo.clone());
        }
        if let Some(there) = there() {
            return Boarded::There(there);
        }
        let cargo = load();
        let id = stripe.next;
        stripe.next += 1;
        let flight = Flight { hash, key: key.clone(), generation, id, cargo: cargo.clone() };
        match known {
            // The old one flies on for those aboard; nobody joins it any more.
            Some(at) => stripe.flights[at] = flight,
            None => stripe.flights.push(flight),
        }
        Boarded::Leads { id, generation, cargo }
    }

    /// How many are under way.
    pub(crate) fn len(&self) -> usize {
        self.stripes.iter().map(|stripe| hold(stripe).flights.len()).sum()
    }
}

impl<K, C> Flights<K, C> {
    /// Takes the flight off the list, unless a later one has its place.
    pub(crate) fn land(&self, hash: u64, id: u64) {
        let mut stripe = hold(self.stripe(hash));
        let at = stripe.flights.iter().position(|flight| flight.id == id);
        let gone = at.map(|at| stripe.flights.swap_remove(at));
        drop(stripe);
        // What those aboard share ends outside of the lock.
        drop(gone);
    }

    fn stripe(&self, hash: u64) -> &Mutex<Stripe<K, C>> {
        &self.stripes[(hash >> 24) as usize % STRIPES]
    }
}
