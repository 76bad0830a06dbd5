//! Which rule suits the traffic: a contest in miniature.
//!
//! Each rule runs on its own small [`Queues`] over the keys whose hash falls into a sample, with a capacity as much
//! smaller as the sample is; the residents then follow the rule that would have missed least (miniature simulation:
//! Waldspurger, Saemundsson, Ahmad, Park, USENIX ATC 2017). No rule is best on all traffic: on real traces of web shops
//! the best of three differs by the capacity alone, and the wrong one costs up to thirty points.

use hashbrown::HashTable;

use super::list::Slot;
use super::queues::{Evicted, Queues, Rule};

/// Residents of a miniature that is large enough to judge by: below, one key more or less decides.
const ENOUGH: u64 = 1024;

/// The contest.
#[derive(Debug)]
pub(super) struct Duel {
    sample: u64,
    minis: [Mini; 3],
    events: u32,
    period: u32,
}

#[derive(Debug)]
struct Mini {
    queues: Queues,
    index: HashTable<Slot>,
    // Misses, older ones counting less and less.
    misses: f64,
    evicted: Vec<Evicted>,
}

impl Duel {
    /// A contest about `capacity` units of weight, guessed to be so many residents.
    pub(super) fn new(capacity: u64, residents: u64) -> Self {
        // At most every key in four: the contest must stay cheaper than what it decides.
        let shift = (residents / ENOUGH).max(4).ilog2();
        let small = capacity >> shift;
        let guess = usize::try_from(residents >> shift).unwrap_or(usize::MAX).min(1 << 16);
        Self {
            sample: (1 << shift) - 1,
            minis: Rule::ALL.map(|rule| Mini::new(rule, small.max(1), guess)),
            events: 0,
            period: (guess as u32 * 4).max(64),
        }
    }

    /// A key was asked for. Answers the rule to follow, when there is something new to say.
    pub(super) fn asked(&mut self, hash: u64, weight: u32, follows: Rule) -> Option<Rule> {
        if !self.is_sampled(hash) {
            return None;
        }
        for mini in &mut self.minis {
            mini.asked(hash, weight);
        }
        self.events += 1;
        if self.events < self.period {
            return None;
        }
        self.events = 0;
        let judged = self.judge(follows);
        for mini in &mut self.minis {
            mini.misses *= KEPT;
        }
        (judged != follows).then_some(judged)
    }

    /// A key was removed: it must be missed in the miniatures as well.
    pub(super) fn removed(&mut self, hash: u64) {
        if self.is_sampled(hash) {
            for mini in &mut self.minis {
                mini.removed(hash);
            }
        }
    }

    fn is_sampled(&self, hash: u64) -> bool {
        // Not the bits that tables and stripes are chosen by.
        (hash.wrapping_mul(0x9fb2_1c65_1e98_df25) >> 40) & self.sample == 0
    }

    fn judge(&self, follows: Rule) -> Rule {
        let misses = |rule: Rule| self.minis[rule as usize].misses;
        let best = Rule::ALL.into_iter().min_by(|a, b| misses(*a).total_cmp(&misses(*b))).unwrap_or(follows);
        // A change costs residents, so it must be worth something.
        if misses(best) < misses(follows) * WORTH { best } else { follows }
    }
}

/// What of the past still counts after a period.
const KEPT: f64 = 0.9;

/// A rule is followed when it misses less than this part of what the present one does.
const WORTH: f64 = 0.97;

impl Mini {
    fn new(rule: Rule, capacity: u64, residents: usize) -> Self {
        Self {
            queues: Queues::new(rule, capacity, residents),
            index: HashTable::with_capacity(residents),
            misses: 0.0,
            evicted: Vec::new(),
        }
    }

    fn asked(&mut self, hash: u64, weight: u32) {
        let Self { queues, index, misses, evicted } = self;
        if let Some(slot) = index.find(hash, |slot| queues.hash(*slot) == hash) {
            queues.touch(*slot);
            return;
        }
        *misses += 1.0;
        evicted.clear();
        let newcomer = queues.insert(hash, weight, evicted);
        let mut stays = true;
        for Evicted { hash, slot } in evicted.drain(..) {
            stays &= slot != newcomer;
            if let Ok(entry) = index.find_entry(hash, |other| *other == slot) {
                entry.remove();
            }
        }
        if stays {
            index.insert_unique(hash, newcomer, |slot| queues.hash(*slot));
        }
    }

    fn removed(&mut self, hash: u64) {
        let Self { queues, index, .. } = self;
        if let Ok(entry) = index.find_entry(hash, |slot| queues.hash(*slot) == hash) {
            let (slot, _) = entry.remove();
            queues.remove(slot);
        }
    }
}
