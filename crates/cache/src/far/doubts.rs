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

use std::collections::HashMap;
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

/// The doubts of one cache.
pub(crate) struct Doubts {
    most: usize,
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

impl Doubts {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, queue: Mutex::new(Queue::default()), count: AtomicUsize::new(0) }
    }

    /// From now on this is in doubt. `is_held`: not due before [`release`](Self::release).
    pub(crate) fn raise(&self, what: What, burial: Burial, is_held: bool) -> Raised {
        let mut queue = hold(&self.queue);
        let number = queue.next;
        queue.next += 1;
        let known = queue.open.get(&what).map(|doubt| doubt.burial);
        let overflowed = known.is_none() && queue.open.len() >= self.most;
        let everything = queue.open.get(&What::Everything).map(|doubt| doubt.burial);
        if overflowed || everything.is_some() {
            // All the others are part of it.
            let all = queue.open.drain().map(|(_, doubt)| doubt.burial).fold(burial, Burial::join);
            let reach = if overflowed { Reach::Remove } else { all.reach };
            let burial = Burial { reach, ..all };
            queue.open.insert(What::Everything, Doubt { burial, number, is_held: false });
        } else {
            let burial = known.map_or(burial, |known| known.join(burial));
            queue.open.insert(what, Doubt { burial, number, is_held });
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

    /// The store has it.
    pub(crate) fn settle(&self, what: &What, number: u64) {
        let mut queue = hold(&self.queue);
        if queue.open.get(what).is_some_and(|doubt| doubt.number == number) {
            queue.open.remove(what);
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
        let doubts = Doubts::new(8);
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
        let doubts = Doubts::new(2);
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
    fn one_serves_until_nothing_is_due() {
        let doubts = Doubts::new(8);
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
