use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Insert(u64, u32),
    Touch(usize),
    Reweigh(usize, u32),
    Remove(usize),
    Follow(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u64..200, 1u32..20).prop_map(|(hash, weight)| Step::Insert(hash, weight)),
        6 => any::<usize>().prop_map(Step::Touch),
        1 => (any::<usize>(), 1u32..40).prop_map(|(which, weight)| Step::Reweigh(which, weight)),
        1 => any::<usize>().prop_map(Step::Remove),
        1 => (0usize..3).prop_map(Step::Follow),
    ]
}

proptest! {
    #[test]
    fn every_resident_is_in_one_queue_and_the_weight_is_bounded_whatever_the_rule(
        steps in proptest::collection::vec(step(), 1..400),
        capacity in 1u64..150,
    ) {
        let mut queues = Queues::new(Rule::Queues, capacity, 4);
        let mut residents: Vec<(Slot, u32)> = Vec::new();
        for step in steps {
            let mut evicted = Vec::new();
            let pick = |which: usize| (!residents.is_empty()).then(|| which % residents.len());
            match step {
                Step::Insert(hash, weight) => {
                    let slot = queues.insert(hash, weight, &mut evicted);
                    prop_assert!(residents.iter().all(|(other, _)| *other != slot), "a slot was given twice");
                    residents.push((slot, weight));
                }
                Step::Touch(which) => {
                    if let Some(at) = pick(which) {
                        queues.touch(residents[at].0);
                    }
                }
                Step::Reweigh(which, weight) => {
                    if let Some(at) = pick(which) {
                        residents[at].1 = weight;
                        queues.reweigh(residents[at].0, weight, &mut evicted);
                    }
                }
                Step::Remove(which) => {
                    if let Some(at) = pick(which) {
                        queues.remove(residents.swap_remove(at).0);
                    }
                }
                Step::Follow(rule) => queues.follow(Rule::ALL[rule]),
            }
            for gone in evicted {
                let at = residents.iter().position(|(slot, _)| *slot == gone.slot);
                prop_assert!(at.is_some(), "evicted twice");
                residents.swap_remove(at.unwrap());
            }
            let weight: u64 = residents.iter().map(|(_, weight)| u64::from(*weight)).sum();
            prop_assert!(weight <= capacity);
            prop_assert_eq!(queues.weight(), weight);
            prop_assert_eq!(queues.len(), residents.len());
            let mut queued: Vec<Slot> = queues.queues.iter().flat_map(|queue| queue.members(&queues.slab)).collect();
            let mut recent = queues.recency.members(&queues.slab);
            let mut known: Vec<Slot> = residents.iter().map(|(slot, _)| *slot).collect();
            for slots in [&mut queued, &mut recent, &mut known] {
                slots.sort_unstable();
            }
            prop_assert_eq!(&queued, &known);
            prop_assert_eq!(&recent, &known);
        }
    }
}

/// Inserts and touches, and answers who is left.
fn left(rule: Rule, capacity: u64, asked: &[u64]) -> Vec<u64> {
    let mut queues = Queues::new(rule, capacity, 64);
    let mut residents: Vec<(u64, Slot)> = Vec::new();
    for hash in asked {
        if let Some((_, slot)) = residents.iter().find(|(other, _)| other == hash) {
            queues.touch(*slot);
            continue;
        }
        let mut evicted = Vec::new();
        let slot = queues.insert(*hash, 1, &mut evicted);
        residents.push((*hash, slot));
        residents.retain(|(_, slot)| evicted.iter().all(|gone| gone.slot != *slot));
    }
    let mut left: Vec<u64> = residents.into_iter().map(|(hash, _)| hash).collect();
    left.sort_unstable();
    left
}

#[test]
fn by_recency_the_longest_unused_leaves() {
    assert_eq!(left(Rule::Recency, 3, &[1, 2, 3, 1, 4, 5]), [1, 4, 5]);
}

#[test]
fn by_queues_what_was_used_survives_a_stream_of_strangers() {
    let asked: Vec<u64> = [1, 2, 1, 2].into_iter().chain(100..200).collect();
    let left = left(Rule::Queues, 10, &asked);
    assert!(left.starts_with(&[1, 2]), "{left:?}");
}

#[test]
fn by_frequency_a_stranger_does_not_push_out_what_is_popular() {
    let popular = (0..10u64).cycle().take(60);
    let asked: Vec<u64> = popular.chain(100..140).collect();
    let left = left(Rule::Frequency, 10, &asked);
    assert_eq!(left.iter().filter(|hash| **hash < 10).count(), 9, "{left:?}");
}
