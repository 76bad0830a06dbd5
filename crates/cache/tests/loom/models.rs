//! Two loaders and one invalidator; a leader, a follower and a landing.

use burgeon_core::Position;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use crate::flights::{Boarded, Flights};
use crate::generations::Generations;
use crate::near::Near;

const KEY: u8 = 1;
const HASH: u64 = 1;

/// A cache reduced to what races.
struct Model {
    near: Near<u8, u64>,
    flights: Flights<u8, ()>,
    generations: Generations,
    truth: AtomicU64,
    loads: AtomicU64,
}

impl Model {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            near: Near::with_segments(8, 8, 1, 1),
            flights: Flights::new(),
            generations: Generations::new(1),
            truth: AtomicU64::new(1),
            loads: AtomicU64::new(0),
        })
    }

    fn peek(&self) -> Option<u64> {
        self.near.read(HASH, &KEY, |value| *value)
    }

    /// As the walk does it; who joins another's flight is not waited with here.
    fn get(&self) -> Option<u64> {
        if let Some(value) = self.peek() {
            return Some(value);
        }
        let boarded = self.flights.board(HASH, &KEY, &self.generations, |()| true, || self.peek(), || ());
        match boarded {
            Boarded::There(value) => Some(value),
            Boarded::Joined(()) => None,
            Boarded::Leads { id, generation, cargo: () } => {
                self.loads.fetch_add(1, Ordering::SeqCst);
                let value = self.truth.load(Ordering::SeqCst);
                self.near.insert_if(HASH, KEY, value, 1, |_| self.generations.now(HASH) == generation);
                self.flights.land(HASH, id);
                Some(value)
            }
        }
    }

    fn invalidate(&self) {
        self.generations.raise(HASH, Position::START);
        self.near.remove_if(HASH, &KEY, |_| true);
    }
}

#[test]
fn after_an_invalidation_neither_loader_brings_the_old_value_back() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let model = Model::new();
        let loaders: Vec<_> = (0..2)
            .map(|_| {
                let model = model.clone();
                thread::spawn(move || model.get())
            })
            .collect();
        model.truth.store(2, Ordering::SeqCst);
        model.invalidate();
        // From here on nobody may see the 1: neither now nor when the loaders have ended.
        if let Some(value) = model.get() {
            assert_eq!(value, 2);
        }
        for loader in loaders {
            loader.join().unwrap();
        }
        assert_eq!(model.get(), Some(2));
    });
}

#[test]
fn without_an_invalidation_two_readers_load_once() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let model = Model::new();
        let other = thread::spawn({
            let model = model.clone();
            move || model.get()
        });
        model.get();
        other.join().unwrap();
        assert_eq!(model.loads.load(Ordering::SeqCst), 1);
        assert_eq!(model.peek(), Some(1));
    });
}

#[test]
fn a_landing_takes_no_later_flight_off_the_list() {
    loom::model(|| {
        let model = Model::new();
        let other = thread::spawn({
            let model = model.clone();
            move || {
                model.invalidate();
                model.get()
            }
        });
        model.get();
        other.join().unwrap();
        assert_eq!(model.flights.len(), 0);
    });
}
