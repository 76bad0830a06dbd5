//! The near store against a plain map, and its policy on real traffic.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::path::Path;
use std::process::Command;

use foldhash::fast::FixedState;
use proptest::prelude::*;

use crate::near::{Near, Rule};

fn hash(key: u32) -> u64 {
    FixedState::with_seed(7).hash_one(key)
}

#[derive(Debug, Clone)]
enum Step {
    Read(u32),
    Put(u32, u32),
    Refused(u32),
    Remove(u32),
    Spared(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0u32..60;
    prop_oneof![
        4 => key.clone().prop_map(Step::Read),
        4 => (key.clone(), 1u32..9).prop_map(|(key, weight)| Step::Put(key, weight)),
        1 => key.clone().prop_map(Step::Refused),
        1 => key.clone().prop_map(Step::Remove),
        1 => key.prop_map(Step::Spared),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn it_is_a_map_that_forgets_and_never_makes_things_up(
        steps in proptest::collection::vec(step(), 1..600),
        capacity in 1u64..120,
        segments in 0u32..3,
    ) {
        let near = Near::with_segments(capacity, capacity, 1 << segments, 4);
        let mut model: HashMap<u32, (usize, u32)> = HashMap::new();
        for (turn, step) in steps.into_iter().enumerate() {
            match step {
                Step::Read(key) => {
                    let found = near.read(hash(key), &key, |value| *value);
                    prop_assert!(found.is_none() || found == model.get(&key).map(|(value, _)| *value));
                }
                Step::Put(key, weight) => {
                    let inserted = near.insert_if(hash(key), key, turn, weight, |present| {
                        // What is shown is what is there.
                        present.is_none_or(|value| Some(*value) == model.get(&key).map(|(value, _)| *value))
                    });
                    prop_assert!(inserted.admitted);
                    model.insert(key, (turn, weight));
                }
                Step::Refused(key) => {
                    prop_assert!(!near.insert_if(hash(key), key, usize::MAX, 1, |_| false).admitted);
                }
                Step::Remove(key) => {
                    let was = near.peek(hash(key), &key);
                    let removed = near.remove_if(hash(key), &key, |_| true);
                    prop_assert_eq!(removed, was.then(|| u64::from(model[&key].1)));
                    model.remove(&key);
                    prop_assert_eq!(near.read(hash(key), &key, |value| *value), None);
                }
                Step::Spared(key) => prop_assert_eq!(near.remove_if(hash(key), &key, |_| false), None),
            }
            let (count, weight) = near.load();
            prop_assert!(weight <= capacity, "{weight} of {capacity}");
            let there: Vec<u32> = (0..60).filter(|key| near.peek(hash(*key), key)).collect();
            prop_assert_eq!(count, there.len());
            let sum: u64 = there.iter().map(|key| u64::from(model[key].1)).sum();
            prop_assert_eq!(weight, sum);
        }
    }
}

#[test]
fn it_fills_up_before_anything_leaves() {
    let near = Near::new(100, 100);
    (0..100).for_each(|key| assert_eq!(near.insert_if(hash(key), key, (), 1, |_| true).evicted, 0));
    assert_eq!(near.load(), (100, 100));
    assert_eq!(near.insert_if(hash(100), 100, (), 1, |_| true).evicted, 1);
}

#[test]
fn more_hits_than_the_ring_holds_are_all_heeded() {
    let near = Near::new(1_000, 1_000);
    let put = |key: u32| near.insert_if(hash(key), key, (), 1, |_| true);
    (0..1_000).for_each(|key| assert!(put(key).admitted));
    // A second miss, so that what was just stored counts as used when it is read.
    put(0);
    (0..900).for_each(|key| assert!(near.read(hash(key), &key, |()| ()).is_some()));
    (1_000..1_100).for_each(|key| assert!(put(key).admitted));
    let left = (0..900).filter(|key| near.peek(hash(*key), key)).count();
    assert_eq!(left, 900);
}

#[test]
fn threads_that_read_write_and_remove_leave_a_sound_store() {
    let near = Near::with_segments(500, 500, 2, 8);
    std::thread::scope(|scope| {
        for thread in 0..4u32 {
            let near = &near;
            scope.spawn(move || {
                for turn in 0..20_000u32 {
                    let key = (turn.wrapping_mul(2_654_435_761).wrapping_add(thread)) % 1_000;
                    match turn % 8 {
                        0 => {
                            near.remove_if(hash(key), &key, |_| true);
                        }
                        1 | 2 => assert!(near.insert_if(hash(key), key, key, 1 + key % 3, |_| true).admitted),
                        _ => assert!(
                            near.read(hash(key), &key, |value| *value).is_none_or(|value| value == key)
                        ),
                    }
                }
            });
        }
    });
    let there = (0..1_000).filter(|key| near.peek(hash(*key), key)).count();
    assert_eq!(near.load().0, there);
    assert!(near.load().1 <= 500);
}

/// Hits of LRU, the plainest way.
fn lru(trace: &[u32], capacity: usize) -> usize {
    let mut last: HashMap<u32, usize> = HashMap::new();
    let mut order: std::collections::BTreeMap<usize, u32> = std::collections::BTreeMap::new();
    let mut hits = 0;
    for (now, key) in trace.iter().enumerate() {
        match last.insert(*key, now) {
            Some(before) => {
                order.remove(&before);
                hits += 1;
            }
            None if last.len() > capacity => {
                let (_, oldest) = order.pop_first().unwrap();
                last.remove(&oldest);
            }
            None => {}
        }
        order.insert(now, *key);
    }
    hits
}

fn ours(trace: &[u32], capacity: usize) -> usize {
    let near = Near::new(capacity as u64, capacity as u64);
    let mut hits = 0;
    for key in trace {
        match near.read(hash(*key), key, |_| ()) {
            Some(()) => hits += 1,
            None => assert!(near.insert_if(hash(*key), *key, (), 1, |_| true).admitted),
        }
    }
    hits
}

/// A real trace, beside the checkout. See `docs/benchmarks.md` for what they are.
fn trace(name: &str, length: usize) -> Option<Vec<u32>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../../../shared/data/cache-traces/{name}.trace.xz"));
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    let Ok(unpacked) = Command::new("xz").arg("-dc").arg(&path).output() else {
        eprintln!("skipped: `xz` is not installed");
        return None;
    };
    assert!(unpacked.status.success(), "{}", String::from_utf8_lossy(&unpacked.stderr));
    let keys = unpacked.stdout.chunks_exact(4).map(|four| u32::from_be_bytes(four.try_into().unwrap()));
    Some(keys.take(length).collect())
}

/// Points below LRU that are let pass.
const GATE: f64 = 0.3;

fn holds_the_gate(name: &str, trace: &[u32], capacities: &[usize]) {
    for capacity in capacities {
        let percent = |hits: usize| 100.0 * hits as f64 / trace.len() as f64;
        let (ours, lru) = (percent(ours(trace, *capacity)), percent(lru(trace, *capacity)));
        println!("{name} @ {capacity}: {ours:.2} %, LRU {lru:.2} %");
        assert!(
            ours >= lru - GATE,
            "{name} @ {capacity}: {ours:.2} % are more than {GATE} below LRU's {lru:.2} %"
        );
    }
}

#[test]
fn on_a_web_shops_product_pages_it_never_falls_below_lru() {
    if let Some(trace) = trace("web07", usize::MAX) {
        holds_the_gate("web07", &trace, &[512, 2_048, 16_384]);
    }
}

#[test]
fn on_a_web_shops_database_objects_it_never_falls_below_lru() {
    if let Some(trace) = trace("orm-busy", 200_000) {
        holds_the_gate("orm-busy", &trace, &[1_000, 4_096]);
    }
}

/// Traffic of a kind for which one rule is far better than the others.
fn made(kind: &str) -> Vec<u32> {
    let mut state = 7u64;
    let mut unit = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        (hash(state as u32) >> 11) as f64 / (1u64 << 53) as f64
    };
    match kind {
        // Written, read once more soon, never again: what a ledger's or a queue's objects do.
        "soon" => (0..30_000u32).flat_map(|n| [2 * n, 2 * n + 1, 2 * n.saturating_sub(290) + 1]).collect(),
        // Popular ones for ever, and a stream of what nobody asks for again.
        "scans" => (0..60_000u32)
            .map(|n| if n % 10 < 7 { 20_000f64.powf(unit()) as u32 } else { 1_000_000 + n })
            .collect(),
        // A bit more than fits, round and round.
        _ => (0..60_000u32).map(|n| n % 1_300).collect(),
    }
}

#[test]
fn it_finds_the_rule_that_suits_the_traffic() {
    for (kind, rule, worst) in
        [("soon", Rule::Recency, 0.29), ("scans", Rule::Queues, 0.38), ("loop", Rule::Frequency, 0.6)]
    {
        let trace = made(kind);
        let part = ours(&trace, 1_000) as f64 / trace.len() as f64;
        assert!(part > worst, "{kind}: {part}");
        let near = Near::new(1_000, 1_000);
        for key in &trace {
            if near.read(hash(*key), key, |_| ()).is_none() {
                near.insert_if(hash(*key), *key, (), 1, |_| true);
            }
        }
        if kind != "scans" {
            assert_eq!(near.rules(), [rule], "{kind}");
        }
    }
}
