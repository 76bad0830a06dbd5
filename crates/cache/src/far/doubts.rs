//! Invalidations that the second tier has not confirmed yet.
//!
//! ```text
//!   raise ─▶ in doubt ── the store has it ─▶ settled
//!               │  ▲
//!               └──┘ tried again
//! ```
//!
//! An invalidation is in doubt from before it changes anything here until the store has confirmed it. What is in doubt is not
//! read from there by this node; so whatever becomes of the store, it brings nothing back that was invalidated here.
//!
//! # Invariants
//! - Bounded: one too many becomes a single invalidation of everything.
//! - Of several invalidations of one thing the last one counts, and the stronger of their reaches.
//! - What was raised again while it was under way stays in doubt: the store may have confirmed the earlier one.
//! - What the neighbours were told before the store had it is counted until it has ([`Unsettled`]): a neighbour that missed the message
//!   learns from any later one whether there is anything in the store that it must not believe.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::store::Burial;
use crate::sync::{Mutex, hold};
use crate::tombstones::Reach;

/// What an invalidation names, in the words of the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum What {
    /// A key's text.
    Key(String),
    /// A tag's stripe.
    Tag(u16),
    Everything,
}

/// How many doubts of all caches of this node the neighbours know of, and the store does not. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unsettled(Arc<AtomicUsize>);

/// The doubts of one cache.
pub(crate) struct Doubts {
    most: usize,
    unsettled: Unsettled,
    // Not a tokio mutex: nothing awaits under it.
    queue: Mutex<Queue>,
    /// How many there are, for readers, who nearly always find none.
    count: AtomicUsize,
}

#[derive(Default)]
struct Queue {
    open: HashMap<What, Doubt>,
    next: u64,
    /// Whether somebody is settling them.
    is_served: bool,
}

#[derive(Debug, Clone, Copy)]
struct Doubt {
    burial: Burial,
    number: u64,
    /// Somebody else brings it to its end: it is not due.
    is_held: bool,
    /// The neighbours were told, or told it.
    is_told: bool,
}

/// One that is due, to be settled under its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) what: What,
    pub(crate) burial: Burial,
    pub(crate) number: u64,
}

/// What came of raising one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Raised {
    pub(crate) number: u64,
    pub(crate) overflowed: bool,
}

impl Unsettled {
    /// Whether there is none.
    pub(crate) fn is_none(&self) -> bool {
        self.0.load(Ordering::SeqCst) == 0
    }

    fn add(&self, more: usize) {
        self.0.fetch_add(more, Ordering::SeqCst);
    }

    fn remove(&self, fewer: usize) {
        self.0.fetch_sub(fewer, Ordering::SeqCst);
    }
}

impl Doubts {
    pub(crate) fn new(most: usize, unsettled: Unsettled) -> Self {
        Self { most, unsettled, queue: Mutex::new(Queue::default()), count: AtomicUsize::new(0) }
    }

    /// From now on this is in doubt. `is_held`: not due before [`release`](Self::release).
    pub(crate) fn raise(&self, what: What, burial: Burial, is_held: bool) -> Raised {
        let mut queue = hold(&self.queue);
        let number = queue.next;
        queue.next += 1;
        let known = queue.open.get(&what).copied();
        let overflowed = known.is_none() && queue.open.len() >= self.most;
        if overflowed || queue.open.contains_key(&What::Everything) {
            // All the others are part of it.
            let told = queue.open.values().filter(|doubt| doubt.is_told).count();
            let all = queue.open.drain().map(|(_, doubt)| doubt.burial).fold(burial, Burial::join);
            let reach = if overflowed { Reach::Remove } else { all.reach };
            let (burial, is_told) = (Burial { reach, ..all }, told > 0);
            queue.open.insert(What::Everything, Doubt { burial, number, is_held: false, is_told });
            self.unsettled.remove(told - usize::from(is_told));
        } else {
            let burial = known.map_or(burial, |known| known.burial.join(burial));
            let is_told = known.is_some_and(|known| known.is_told);
            queue.open.insert(what, Doubt { burial, number, is_held, is_told });
        }
        self.count.store(queue.open.len(), Ordering::SeqCst);
        Raised { number, overflowed }
    }

    /// It is due after all, if it still waits under this number.
    pub(crate) fn release(&self, what: &What, number: u64) {
        if let Some(doubt) = hold(&self.queue).open.get_mut(what)
            && doubt.number == number
        {
            doubt.is_held = false;
        }
    }

    /// The neighbours are about to be told of it, or have told it. Nothing, if the store has it by now.
    pub(crate) fn tell(&self, what: &What) {
        let mut queue = hold(&self.queue);
        let here = if queue.open.contains_key(what) { what } else { &What::Everything };
        if let Some(doubt) = queue.open.get_mut(here)
            && !std::mem::replace(&mut doubt.is_told, true)
        {
            self.unsettled.add(1);
        }
    }

    /// The store has it.
    pub(crate) fn settle(&self, what: &What, number: u64) {
        let mut queue = hold(&self.queue);
        if queue.open.get(what).is_some_and(|doubt| doubt.number == number)
            && let Some(doubt) = queue.open.remove(what)
        {
            self.unsettled.remove(usize::from(doubt.is_told));
            self.count.store(queue.open.len(), Ordering::SeqCst);
        }
    }

    /// Whether anything that names this key, or everything, is in doubt.
    pub(crate) fn covers_key(&self, key: &str) -> bool {
        if self.count.load(Ordering::SeqCst) == 0 {
            return false;
        }
        let queue = hold(&self.queue);
        queue.open.contains_key(&What::Everything) || queue.open.contains_key(&What::Key(key.to_owned()))
    }

    /// Whether any of these tags, or everything, is in doubt.
    pub(crate) fn covers_tags(&self, tags: &[u16]) -> bool {
        if self.count.load(Ordering::SeqCst) == 0 {
            return false;
        }
        let queue = hold(&self.queue);
        queue.open.contains_key(&What::Everything)
            || tags.iter().any(|tag| queue.open.contains_key(&What::Tag(*tag)))
    }

    /// Whether this, or what it became part of, is still in doubt.
    pub(crate) fn is_open(&self, what: &What) -> bool {
        if self.count.load(Ordering::SeqCst) == 0 {
            return false;
        }
        let queue = hold(&self.queue);
        queue.open.contains_key(&What::Everything) || queue.open.contains_key(what)
    }

    /// Makes the caller the one who settles, unless somebody is at it.
    pub(crate) fn serve(&self) -> bool {
        let mut queue = hold(&self.queue);
        let is_free = !queue.is_served && queue.open.values().any(|doubt| !doubt.is_held);
        queue.is_served |= is_free;
        is_free
    }

    /// What is due now, at most so many; if nothing is, the caller serves no longer.
    pub(crate) fn due(&self, most: usize) -> Vec<Due> {
        let mut queue = hold(&self.queue);
        let due: Vec<Due> = queue
            .open
            .iter()
            .filter(|(_, doubt)| !doubt.is_held)
            .take(most)
            .map(|(what, doubt)| Due { what: what.clone(), burial: doubt.burial, number: doubt.number })
            .collect();
        queue.is_served = !due.is_empty();
        due
    }

    /// The caller serves no longer, whatever is left.
    pub(crate) fn leave(&self) {
        hold(&self.queue).is_served = false;
    }

    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

impl Drop for Doubts {
    /// Its cache is gone, and its name with it.
    fn drop(&mut self) {
        let told = hold(&self.queue).open.values().filter(|doubt| doubt.is_told).count();
        self.unsettled.remove(told);
    }
}

#[cfg(test)]
mod tests {
    use burgeon_core::Position;

    use super::*;

    fn burial(reach: Reach) -> Burial {
        Burial { reach, floor: Position::START }
    }

    fn key(text: &str) -> What {
        What::Key(text.to_owned())
    }

    #[test]
    fn what_is_raised_again_while_it_is_under_way_stays_in_doubt() {
        let doubts = Doubts::new(8, Unsettled::default());
        let first = doubts.raise(key("a"), burial(Reach::Remove), false).number;
        assert!(doubts.covers_key("a") && !doubts.covers_key("b"));
        let second = doubts.raise(key("a"), burial(Reach::Expire), false).number;
        doubts.settle(&key("a"), first);
        assert!(doubts.covers_key("a"));
        // The stronger reach has stayed.
        assert_eq!(doubts.due(9), [Due { what: key("a"), burial: burial(Reach::Remove), number: second }]);
        doubts.settle(&key("a"), second);
        assert!(!doubts.covers_key("a") && doubts.len() == 0);
    }

    #[test]
    fn one_too_many_becomes_one_of_everything() {
        let doubts = Doubts::new(2, Unsettled::default());
        doubts.raise(key("a"), burial(Reach::Expire), false);
        doubts.raise(What::Tag(7), burial(Reach::Expire), true);
        // Known already, so not one too many.
        assert!(!doubts.raise(key("a"), burial(Reach::Expire), false).overflowed);
        assert!(doubts.covers_tags(&[6, 7]) && !doubts.covers_tags(&[6]));
        let all = doubts.raise(key("b"), burial(Reach::Expire), false);
        assert!(all.overflowed && doubts.len() == 1);
        assert_eq!(
            doubts.due(9),
            [Due { what: What::Everything, burial: burial(Reach::Remove), number: all.number }]
        );
        assert!(doubts.covers_key("c") && doubts.covers_tags(&[]) && doubts.is_open(&key("a")));
        // What comes while everything is in doubt is part of it, and keeps it open.
        let later = doubts.raise(key("d"), burial(Reach::Expire), false).number;
        doubts.settle(&What::Everything, all.number);
        assert!(doubts.covers_key("d"));
        doubts.settle(&What::Everything, later);
        assert!(!doubts.covers_key("d"));
    }

    #[test]
    fn what_was_told_counts_until_the_store_has_it_whatever_it_becomes_part_of() {
        let unsettled = Unsettled::default();
        let (doubts, others) = (Doubts::new(2, unsettled.clone()), Doubts::new(2, unsettled.clone()));
        let first = doubts.raise(key("a"), burial(Reach::Remove), false).number;
        assert!(unsettled.is_none(), "the neighbours know nothing of it");
        doubts.tell(&key("a"));
        doubts.tell(&key("a"));
        assert!(!unsettled.is_none());
        let second = doubts.raise(key("a"), burial(Reach::Remove), false).number;
        doubts.settle(&key("a"), first);
        assert!(!unsettled.is_none());
        doubts.settle(&key("a"), second);
        assert!(unsettled.is_none());
        // Too late: the store has it.
        doubts.tell(&key("a"));
        assert!(unsettled.is_none());

        for text in ["a", "b"] {
            doubts.raise(key(text), burial(Reach::Remove), false);
            doubts.tell(&key(text));
        }
        let all = doubts.raise(key("c"), burial(Reach::Remove), false);
        assert!(all.overflowed && !unsettled.is_none());
        doubts.tell(&key("c"));
        doubts.settle(&What::Everything, all.number);
        assert!(unsettled.is_none());

        others.raise(key("a"), burial(Reach::Remove), false);
        others.tell(&key("a"));
        assert!(!unsettled.is_none());
        drop(others);
        assert!(unsettled.is_none());
    }

    #[test]
    fn one_serves_until_nothing_is_due() {
        let doubts = Doubts::new(8, Unsettled::default());
        assert!(!doubts.serve());
        let held = doubts.raise(key("a"), burial(Reach::Remove), true).number;
        assert!(!doubts.serve());
        doubts.release(&key("a"), held);
        assert!(doubts.serve() && !doubts.serve());
        for due in doubts.due(9) {
            doubts.settle(&due.what, due.number);
        }
        assert_eq!(doubts.due(9), []);
        doubts.raise(key("b"), burial(Reach::Remove), false);
        assert!(doubts.serve());
        doubts.leave();
        assert!(doubts.serve());
    }
}
