//! Who stays: the residents' [`Queues`] under the rule that the [`Duel`] finds best.

use super::duel::Duel;
use super::list::Slot;
use super::queues::{Evicted, Queues, Rule};

/// The policy of one segment.
#[derive(Debug)]
pub(crate) struct Policy {
    queues: Queues,
    duel: Duel,
}

impl Policy {
    /// Room for `capacity` units of weight, guessed to be so many residents.
    pub(crate) fn new(capacity: u64, residents: u64) -> Self {
        // Grown into when it comes to that: a cache of a gigabyte may hold three things.
        let few = usize::try_from(residents).unwrap_or(usize::MAX).min(1 << 10);
        Self { queues: Queues::new(Rule::Queues, capacity, few), duel: Duel::new(capacity, residents) }
    }

    /// A resident was used. A slot that is free by now is passed over: touches are told late.
    pub(crate) fn touch(&mut self, slot: Slot) {
        let Some((hash, weight)) = self.queues.resident(slot) else { return };
        self.asked(hash, weight);
        self.queues.touch(slot);
    }

    /// A newcomer, after a miss. Who must leave is put into `evicted`, which may be the newcomer itself.
    pub(crate) fn insert(&mut self, hash: u64, weight: u32, evicted: &mut Vec<Evicted>) -> Slot {
        self.asked(hash, weight);
        self.queues.insert(hash, weight, evicted)
    }

    /// A resident whose value was replaced.
    pub(crate) fn reweigh(&mut self, slot: Slot, weight: u32, evicted: &mut Vec<Evicted>) {
        self.queues.reweigh(slot, weight, evicted);
    }

    /// A resident that was taken out.
    pub(crate) fn remove(&mut self, slot: Slot) {
        if let Some((hash, _)) = self.queues.resident(slot) {
            self.duel.removed(hash);
            self.queues.remove(slot);
        }
    }

    /// How many are resident.
    pub(crate) fn len(&self) -> usize {
        self.queues.len()
    }

    /// Weight of all residents.
    pub(crate) fn weight(&self) -> u64 {
        self.queues.weight()
    }

    /// The largest weight.
    pub(crate) fn capacity(&self) -> u64 {
        self.queues.capacity()
    }

    /// What is followed now.
    pub(crate) fn rule(&self) -> Rule {
        self.queues.rule()
    }

    fn asked(&mut self, hash: u64, weight: u32) {
        if let Some(rule) = self.duel.asked(hash, weight, self.queues.rule()) {
            self.queues.follow(rule);
        }
    }
}
