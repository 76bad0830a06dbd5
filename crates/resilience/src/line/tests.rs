//! The line against a plain list that is searched from end to end, and its promises one by one.

use std::time::Duration;

use burgeon_core::Criticality::{self, Critical, CriticalPlus, Sheddable, SheddablePlus};
use proptest::prelude::*;

use super::{CoDel, Config, Full, Key, Line, Next, Pushed};
use crate::Instant;

fn at(millis: u64) -> Instant {
    Instant::from_micros(millis * 1_000)
}

fn plain() -> Config {
    Config { codel: None, reserve: 0.0, ..Config::default() }
}

/// Pushes without a deadline and without displacing anybody.
fn push(line: &mut Line<u32>, now: Instant, class: Criticality, item: u32) -> Key {
    let pushed = line.push(now, class, None, item).expect("there is room");
    assert_eq!(pushed.displaced, None);
    pushed.key
}

/// Everyone who comes out at this moment, negative if late.
fn drain(line: &mut Line<u32>, now: Instant) -> Vec<i64> {
    std::iter::from_fn(|| line.next(now))
        .map(|next| match next {
            Next::Serve { item, .. } => i64::from(item),
            Next::Late { item, .. } => -i64::from(item),
        })
        .collect()
}

#[test]
fn the_most_critical_is_served_first_and_within_a_class_the_oldest() {
    let mut line = Line::new(plain());
    for (item, class) in
        [(1, Sheddable), (2, Critical), (3, CriticalPlus), (4, SheddablePlus), (5, CriticalPlus)]
    {
        push(&mut line, at(0), class, item);
    }
    assert_eq!(drain(&mut line, at(0)), [3, 5, 2, 4, 1]);
    assert!(line.is_empty());
}

#[test]
fn who_has_waited_a_head_start_longer_overtakes_the_class_above() {
    let mut line = Line::new(plain());
    push(&mut line, at(0), SheddablePlus, 1);
    push(&mut line, at(99), Critical, 2);
    push(&mut line, at(101), Critical, 3);
    assert_eq!(drain(&mut line, at(110)), [2, 1, 3]);
}

#[test]
fn one_turn_in_twenty_goes_to_the_lowest_class_under_a_flood_from_above() {
    let mut line = Line::new(Config { reserve: 0.05, ..plain() });
    for item in 0..100 {
        push(&mut line, at(0), Sheddable, 1_000 + item);
    }
    let mut low = 0;
    for turn in 0..1_000 {
        push(&mut line, at(0), CriticalPlus, turn);
        if line.next(at(0)).expect("somebody waits").into_item() >= 1_000 {
            low += 1;
        }
    }
    assert!((46..=50).contains(&low), "{low} of 1,000 turns");
}

#[test]
fn of_a_reserve_that_nobody_needed_one_turn_is_kept() {
    let mut line = Line::new(Config { reserve: 0.25, ..plain() });
    for item in 0..100 {
        push(&mut line, at(0), Critical, item);
        line.next(at(0));
    }
    push(&mut line, at(0), Sheddable, 100);
    push(&mut line, at(0), Sheddable, 101);
    push(&mut line, at(0), Critical, 102);
    push(&mut line, at(0), Critical, 103);
    assert_eq!(drain(&mut line, at(0)), [100, 102, 103, 101]);
}

#[test]
fn a_burst_is_buffered_and_a_standing_queue_is_cut_short() {
    let mut line = Line::new(Config { codel: Some(CoDel::default()), ..plain() });
    push(&mut line, at(0), Critical, 1);
    push(&mut line, at(0), Critical, 2);
    assert_eq!(line.next(at(99)), Some(Next::Serve { item: 1, waited: Duration::from_millis(99) }));
    push(&mut line, at(98), Critical, 3);
    push(&mut line, at(101), Critical, 4);
    // Somebody has been waiting since 0: what waited for more than 5 ms is late, the second included.
    assert_eq!(drain(&mut line, at(105)), [-2, -3, 4]);
    // It was empty: patience is back.
    push(&mut line, at(106), Critical, 5);
    assert_eq!(drain(&mut line, at(200)), [5]);
}

#[test]
fn a_class_whose_queue_stands_does_not_shorten_the_patience_of_another() {
    let mut line = Line::new(Config { codel: Some(CoDel::default()), ..plain() });
    push(&mut line, at(0), Sheddable, 1);
    push(&mut line, at(80), Critical, 2);
    push(&mut line, at(80), Sheddable, 3);
    let view = line.view(at(101));
    assert!(view.classes[0].overloaded && !view.classes[2].overloaded);
    assert_eq!(drain(&mut line, at(101)), [-1, -3, 2]);
}

#[test]
fn under_adaptive_lifo_the_youngest_is_served_while_the_queue_stands() {
    let lifo = CoDel { lifo: true, target: Duration::from_millis(50), ..CoDel::default() };
    let mut line = Line::new(Config { codel: Some(lifo), ..plain() });
    for item in 1..=3 {
        push(&mut line, at(u64::from(item) * 20), Critical, item);
    }
    assert_eq!(line.next(at(100)).map(Next::into_item), Some(1), "not standing yet");
    for item in 4..=5 {
        push(&mut line, at(100), Critical, item);
    }
    assert_eq!(drain(&mut line, at(121)), [-2, -3, 5, 4]);
}

#[test]
fn what_is_past_its_deadline_is_never_served_wherever_it_stands() {
    let mut line = Line::new(plain());
    line.push(at(0), Critical, Some(at(100)), 1).expect("room");
    line.push(at(0), Critical, Some(at(10)), 2).expect("room");
    line.push(at(0), Critical, None, 3).expect("room");
    assert_eq!(drain(&mut line, at(10)), [1, -2, 3]);
}

#[test]
fn a_full_line_makes_room_for_greater_arrivals_only() {
    let mut line = Line::new(Config { capacity: 2, ..plain() });
    push(&mut line, at(0), SheddablePlus, 1);
    push(&mut line, at(0), SheddablePlus, 2);
    assert_eq!(line.push(at(0), SheddablePlus, None, 3), Err(Full(3)));
    let Pushed { displaced, .. } = line.push(at(0), Critical, None, 4).expect("room is made");
    assert_eq!(displaced, Some(2), "the youngest of the lowest goes");
    assert_eq!(drain(&mut line, at(0)), [4, 1]);
}

#[test]
fn a_key_is_good_for_its_own_entry_only() {
    let mut line = Line::new(plain());
    let first = push(&mut line, at(0), Critical, 1);
    assert_eq!(line.cancel(first), Some(1));
    let second = push(&mut line, at(0), Critical, 2);
    assert_eq!(line.cancel(first), None, "the place is the same, the entry is not");
    assert_eq!(line.cancel(second), Some(2));
    assert_eq!(line.cancel(second), None);
}

#[test]
fn a_clock_that_steps_back_makes_nobody_late_and_nothing_panic() {
    let mut line = Line::new(Config::default());
    push(&mut line, at(1_000), Critical, 1);
    push(&mut line, at(10), Critical, 2);
    assert_eq!(drain(&mut line, at(0)), [1, 2]);
}

#[test]
fn places_are_used_again() {
    let mut line = Line::new(Config { capacity: 8, ..Config::default() });
    for round in 0..1_000 {
        let keys: Vec<Key> = (0..8).map(|item| push(&mut line, at(round), Critical, item)).collect();
        for key in keys.iter().step_by(2) {
            assert!(line.cancel(*key).is_some());
        }
        assert_eq!(drain(&mut line, at(round)).len(), 4);
    }
    assert_eq!(line.places.len(), 8);
}

#[test]
fn a_configuration_that_cannot_work_is_named() {
    assert!(Config { capacity: 0, ..Config::default() }.validate().is_err_and(|e| e.contains("capacity")));
    assert!(
        Config { reserve: f64::NAN, ..Config::default() }.validate().is_err_and(|e| e.contains("reserve"))
    );
    let codel = CoDel { target: Duration::from_secs(1), ..CoDel::default() };
    let config = Config { codel: Some(codel), ..Config::default() };
    assert!(config.validate().is_err_and(|e| e.contains("target")));
}

/// The same rules over a list that is searched from end to end.
struct Plain {
    config: Config,
    entries: Vec<Entry>,
    standing: [Option<u64>; 4],
    credit: f64,
}

#[derive(Debug, Clone)]
struct Entry {
    class: usize,
    since: u64,
    deadline: u64,
    item: u32,
}

impl Plain {
    fn push(&mut self, entry: Entry) -> Result<Option<u32>, u32> {
        let mut displaced = None;
        if self.entries.len() == self.config.capacity {
            let lowest = self.entries.iter().map(|entry| entry.class).min().expect("it is full");
            if lowest >= entry.class {
                return Err(entry.item);
            }
            let youngest = self.entries.iter().rposition(|entry| entry.class == lowest).expect("it waits");
            displaced = Some(self.remove(youngest).item);
        }
        self.standing[entry.class].get_or_insert(entry.since);
        self.entries.push(entry);
        Ok(displaced)
    }

    fn remove(&mut self, index: usize) -> Entry {
        let entry = self.entries.remove(index);
        if !self.entries.iter().any(|other| other.class == entry.class) {
            self.standing[entry.class] = None;
        }
        entry
    }

    fn overloaded(&self, class: usize, now: u64) -> bool {
        let codel = self.config.codel.as_ref();
        codel.is_some_and(|codel| {
            self.standing[class].is_some_and(|since| u128::from(now - since) > codel.interval.as_micros())
        })
    }

    fn next(&mut self, now: u64) -> Option<Result<u32, u32>> {
        for class in 0..4 {
            let patience = match &self.config.codel {
                None => u128::MAX,
                Some(codel) if self.overloaded(class, now) => codel.target.as_micros(),
                Some(codel) => codel.interval.as_micros(),
            };
            if let Some(oldest) = self.entries.iter().position(|entry| entry.class == class) {
                let entry = &self.entries[oldest];
                if entry.deadline <= now || u128::from(now - entry.since) > patience {
                    return Some(Err(self.remove(oldest).item));
                }
            }
        }
        let candidate = |class: usize| {
            let youngest_first =
                self.config.codel.as_ref().is_some_and(|codel| codel.lifo) && self.overloaded(class, now);
            let mut of_class = (0..self.entries.len()).filter(|index| self.entries[*index].class == class);
            if youngest_first { of_class.next_back() } else { of_class.next() }
        };
        let lowest = self.entries.iter().map(|entry| entry.class).min()?;
        let index = if self.credit >= 1.0 {
            candidate(lowest)?
        } else {
            let merit = |index: &usize| {
                let entry = &self.entries[*index];
                let head_start = entry.class as u128 * self.config.head_start.as_micros();
                (head_start + u128::from(now - entry.since), entry.class)
            };
            (0..4).filter_map(candidate).max_by_key(merit)?
        };
        let entry = self.remove(index);
        if entry.deadline <= now {
            return Some(Err(entry.item));
        }
        let passed_over = self.entries.iter().any(|other| other.class > entry.class);
        if self.credit >= 1.0 && passed_over {
            self.credit -= 1.0;
        } else {
            self.credit = (self.credit + self.config.reserve).min(1.0);
        }
        Some(Ok(entry.item))
    }
}

#[derive(Debug, Clone)]
enum Step {
    Wait(u64),
    Push { class: usize, budget: Option<u64> },
    Next,
    Cancel(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..40_000u64).prop_map(Step::Wait),
        4 => (0..4usize, proptest::option::of(1_000..150_000u64))
            .prop_map(|(class, budget)| Step::Push { class, budget }),
        3 => Just(Step::Next),
        1 => (0..30usize).prop_map(Step::Cancel),
    ]
}

proptest! {
    #[test]
    fn the_line_does_what_a_plain_list_does(
        steps in proptest::collection::vec(step(), 1..300),
        capacity in 1..12usize,
        codel in any::<bool>(),
        lifo in any::<bool>(),
        reserve in prop_oneof![Just(0.0), Just(0.05), Just(0.25), Just(0.5)],
    ) {
        let config = Config {
            capacity,
            head_start: Duration::from_millis(30),
            reserve,
            codel: codel.then(|| CoDel { lifo, ..CoDel::default() }),
        };
        let mut line = Line::new(config.clone());
        let mut plain = Plain { config, entries: Vec::new(), standing: [None; 4], credit: 0.0 };
        let mut keys: Vec<(u32, Key)> = Vec::new();
        let mut now = 0;
        for (item, step) in (0..).zip(steps) {
            match step {
                Step::Wait(micros) => now += micros,
                Step::Push { class, budget } => {
                    let deadline = budget.map(|budget| Instant::from_micros(now + budget));
                    let pushed = line.push(Instant::from_micros(now), Criticality::ALL[class], deadline, item);
                    let deadline = budget.map_or(u64::MAX, |budget| now + budget);
                    let expected = plain.push(Entry { class, since: now, deadline, item });
                    if let Ok(Pushed { key, .. }) = &pushed {
                        keys.push((item, *key));
                    }
                    prop_assert_eq!(pushed.map(|pushed| pushed.displaced).map_err(|full| full.0), expected);
                }
                Step::Next => {
                    let came = line.next(Instant::from_micros(now)).map(|next| match next {
                        Next::Serve { item, .. } => Ok(item),
                        Next::Late { item, .. } => Err(item),
                    });
                    prop_assert_eq!(came, plain.next(now));
                }
                Step::Cancel(which) if !keys.is_empty() => {
                    let (item, key) = keys[which % keys.len()];
                    let waits = plain.entries.iter().position(|entry| entry.item == item);
                    let expected = waits.map(|index| plain.remove(index).item);
                    prop_assert_eq!(line.cancel(key), expected);
                }
                Step::Cancel(_) => {}
            }
            prop_assert_eq!(line.len(), plain.entries.len());
            prop_assert!(line.places.len() <= capacity);
            for class in Criticality::ALL {
                let expected = plain.entries.iter().filter(|entry| entry.class == class as usize).count();
                prop_assert_eq!(line.len_of(class), expected);
            }
        }
    }
}
