//! Who leaves when there is no room: three queues and three rules over them.
//!
//! ```text
//!             ┌───────────────┐ used again   ┌──────────────────┐  used again   ┌──────┐
//!   new ────▶ │ small (10 %)  │ ───────────▶ │ main             │ ────────────▶ │ hot  │  (by frequency only)
//!             └──────┬────────┘              └──────┬───────────┘ ◀──────────── └──────┘
//!                    ▼ not used: ghost              ▼ oldest
//! ```
//!
//! The rules share the queues, so that one can follow another without moving anything:
//!
//! - [`Rule::Queues`]: S3-FIFO (Yang et al., SOSP 2023). What passes the small queue unused leaves and becomes a ghost; a
//!   ghost that returns goes to main, which gives a used entry another round.
//! - [`Rule::Recency`]: plain LRU, over all queues.
//! - [`Rule::Frequency`]: W-TinyLFU (Einziger, Friedman, Manes, 2017). What leaves the small queue must have been asked
//!   for more often than what it would push out of main.
//!
//! It knows hashes, weights and slots, no keys and no values; it reads no clock and takes no lock.
//!
//! # Invariants
//! - After every call the weight of all residents is at most the capacity.
//! - A slot is in exactly one queue and in the order of recency, or free.

use super::ghosts::Ghosts;
use super::list::{Chain, List, Slab, Slot};
use super::sketch::Sketch;

/// How the next to leave is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// S3-FIFO.
    Queues,
    /// LRU.
    Recency,
    /// W-TinyLFU.
    Frequency,
}

impl Rule {
    pub(crate) const ALL: [Rule; 3] = [Rule::Queues, Rule::Recency, Rule::Frequency];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Rule::Queues => "queues",
            Rule::Recency => "recency",
            Rule::Frequency => "frequency",
        }
    }
}

/// Who had to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Evicted {
    pub(crate) hash: u64,
    pub(crate) slot: Slot,
}

const SMALL: u8 = 0;
const MAIN: u8 = 1;
const HOT: u8 = 2;
const NOWHERE: u8 = 3;

/// The small queue's part of the capacity: a tenth, by both papers' own measurements and ours.
const SMALL_PART: u64 = 10;

/// Rounds in main that uses can earn at most (S3-FIFO's two bits).
const MOST_USES: u8 = 3;

/// The residents in order.
#[derive(Debug)]
pub(crate) struct Queues {
    rule: Rule,
    capacity: u64,
    slab: Slab,
    queues: [List; 3],
    recency: List,
    ghosts: Ghosts,
    sketch: Sketch,
}

impl Queues {
    /// Room for `capacity` units of weight; `residents` is a guess at how many that will be.
    pub(crate) fn new(rule: Rule, capacity: u64, residents: usize) -> Self {
        Self {
            rule,
            capacity,
            slab: Slab::default(),
            queues: [Chain::Queue; 3].map(List::new),
            recency: List::new(Chain::Recency),
            ghosts: Ghosts::new(residents),
            sketch: Sketch::new(residents),
        }
    }

    /// From now on this rule decides.
    pub(crate) fn follow(&mut self, rule: Rule) {
        self.rule = rule;
    }

    pub(crate) fn rule(&self) -> Rule {
        self.rule
    }

    /// Weight of all residents.
    pub(crate) fn weight(&self) -> u64 {
        self.recency.weight()
    }

    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Hash and weight of the resident in this slot, if there is one.
    pub(crate) fn resident(&self, slot: Slot) -> Option<(u64, u32)> {
        self.slab.get(slot).filter(|node| node.queue != NOWHERE).map(|node| (node.hash, node.weight))
    }

    /// The hash of whatever is or was in this slot.
    pub(crate) fn hash(&self, slot: Slot) -> u64 {
        self.slab.at(slot).hash
    }

    /// The resident was used.
    pub(crate) fn touch(&mut self, slot: Slot) {
        let node = self.slab.at_mut(slot);
        node.uses = (node.uses + 1).min(MOST_USES);
        let (hash, queue) = (node.hash, node.queue);
        self.sketch.count(hash);
        self.recency.renew(&mut self.slab, slot);
        match (self.rule, queue) {
            // The order stays that of arrival; uses are counted, and judged when the turn comes.
            (Rule::Queues, _) => {}
            (Rule::Frequency, MAIN) => self.protect(slot),
            (_, queue) => self.queues[queue as usize].renew(&mut self.slab, slot),
        }
    }

    /// A newcomer. Who must leave for it is put into `evicted`, which may be the newcomer itself.
    pub(crate) fn insert(&mut self, hash: u64, weight: u32, evicted: &mut Vec<Evicted>) -> Slot {
        let residents = self.slab.len() + 1;
        self.ghosts.grow(residents);
        self.sketch.grow(residents);
        self.sketch.count(hash);
        // As many ghosts as main has residents, by S3-FIFO.
        let returned = self.ghosts.take(hash, residents - residents / SMALL_PART as usize);
        let queue = if returned && self.rule == Rule::Queues { MAIN } else { SMALL };
        let slot = self.slab.add(hash, weight, queue);
        self.queues[queue as usize].push(&mut self.slab, slot);
        self.recency.push(&mut self.slab, slot);
        self.make_room(evicted);
        slot
    }

    /// A resident that weighs something else now; it counts as used.
    pub(crate) fn reweigh(&mut self, slot: Slot, weight: u32, evicted: &mut Vec<Evicted>) {
        let queue = self.slab.at(slot).queue;
        self.queues[queue as usize].remove(&mut self.slab, slot);
        self.recency.remove(&mut self.slab, slot);
        self.slab.at_mut(slot).weight = weight;
        self.queues[queue as usize].push(&mut self.slab, slot);
        self.recency.push(&mut self.slab, slot);
        self.touch(slot);
        self.make_room(evicted);
    }

    /// A resident that is wanted no more. It leaves no ghost.
    pub(crate) fn remove(&mut self, slot: Slot) {
        let queue = self.slab.at(slot).queue;
        self.queues[queue as usize].remove(&mut self.slab, slot);
        self.recency.remove(&mut self.slab, slot);
        self.slab.at_mut(slot).queue = NOWHERE;
        self.slab.free(slot);
    }

    fn make_room(&mut self, evicted: &mut Vec<Evicted>) {
        while self.weight() > self.capacity {
            let victim = match self.rule {
                Rule::Queues => self.by_queues(),
                Rule::Recency => self.recency.oldest(),
                Rule::Frequency => self.by_frequency(),
            };
            // Without a resident there is no weight, and so no turn of this loop.
            let Some(slot) = victim else { return };
            let node = self.slab.at(slot);
            let (hash, queue) = (node.hash, node.queue);
            if queue == SMALL {
                self.ghosts.put(hash);
            }
            self.remove(slot);
            evicted.push(Evicted { hash, slot });
        }
        if self.rule == Rule::Frequency {
            self.settle();
        }
    }

    fn by_queues(&mut self) -> Option<Slot> {
        loop {
            let from = if self.small_is_full() { SMALL } else { self.main_or_hot() };
            let slot = self.queues[from as usize].oldest()?;
            let node = self.slab.at_mut(slot);
            if node.uses == 0 {
                return Some(slot);
            }
            node.uses = if from == SMALL { 0 } else { node.uses - 1 };
            self.move_to(slot, MAIN);
        }
    }

    fn by_frequency(&mut self) -> Option<Slot> {
        let victim = self.queues[self.main_or_hot() as usize].oldest();
        let candidate = self.queues[SMALL as usize].oldest();
        let (Some(victim), Some(candidate)) = (victim, candidate) else { return victim.or(candidate) };
        if self.queues[SMALL as usize].weight() <= self.capacity / SMALL_PART {
            return Some(victim);
        }
        let frequency = |slot| self.sketch.frequency(self.slab.at(slot).hash);
        if frequency(candidate) > frequency(victim) {
            self.move_to(candidate, MAIN);
            return Some(victim);
        }
        Some(candidate)
    }

    /// While there is room in main, the small queue's surplus goes there unjudged.
    fn settle(&mut self) {
        while self.queues[SMALL as usize].weight() > (self.capacity / SMALL_PART).max(1) {
            let Some(oldest) = self.queues[SMALL as usize].oldest() else { return };
            self.move_to(oldest, MAIN);
        }
    }

    /// Used again in main: to the hot ones, whose surplus goes back.
    fn protect(&mut self, slot: Slot) {
        self.move_to(slot, HOT);
        // Four fifths of main, by the paper.
        let most = (self.capacity - self.capacity / SMALL_PART) / 5 * 4;
        while self.queues[HOT as usize].weight() > most {
            let Some(oldest) = self.queues[HOT as usize].oldest() else { return };
            self.move_to(oldest, MAIN);
        }
    }

    fn move_to(&mut self, slot: Slot, queue: u8) {
        let from = std::mem::replace(&mut self.slab.at_mut(slot).queue, queue);
        self.queues[from as usize].remove(&mut self.slab, slot);
        self.queues[queue as usize].push(&mut self.slab, slot);
    }

    fn small_is_full(&self) -> bool {
        let rest = self.queues[MAIN as usize].weight() + self.queues[HOT as usize].weight();
        rest == 0 || self.queues[SMALL as usize].weight() > (self.capacity / SMALL_PART).max(1)
    }

    fn main_or_hot(&self) -> u8 {
        match self.rule {
            // What an earlier rule had made hot comes first: it has waited longest.
            Rule::Queues if self.queues[HOT as usize].oldest().is_some() => HOT,
            _ if self.queues[MAIN as usize].oldest().is_none() => HOT,
            _ => MAIN,
        }
    }
}

#[cfg(test)]
mod tests;
