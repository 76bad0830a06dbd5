//! Three counters over the last few seconds, exact, without a lock: a ring of slots of equal width.
//!
//! A slot is one word, so that its three counts and the turn of the ring they belong to change together:
//!
//! ```text
//! | turn, 16 bits | third, 16 bits | second, 16 bits | first, 16 bits |
//! ```
//!
//! Not a decaying average: that hides a burst, and "half of the last 20 calls" would have no exact meaning.
//!
//! # Limits
//! - A count stops at 65,535 per slot.
//! - After exactly 65,536 turns without any call (a week for ten seconds) a slot would be taken for a fresh one.

use crate::Instant;
use crate::sync::atomic::{AtomicU64, Ordering};

/// What was counted.
pub(crate) type Counts = [u32; 3];

#[derive(Debug)]
pub(crate) struct Window<const SLOTS: usize> {
    width: u64,
    slots: [AtomicU64; SLOTS],
}

impl<const SLOTS: usize> Window<SLOTS> {
    /// A window of `SLOTS` slots of so many microseconds each.
    pub(crate) fn new(width: u64) -> Self {
        Self { width: width.max(1), slots: std::array::from_fn(|_| AtomicU64::new(0)) }
    }

    /// Counts one of `kind` (0, 1 or 2).
    pub(crate) fn add(&self, now: Instant, kind: usize) {
        self.add_if(now, kind, |_, _| true);
    }

    /// Counts one of `kind` if `allowed`, which is given the current slot and the sum of all slots, and is asked anew
    /// when another thread came between. False if it was not allowed.
    pub(crate) fn add_if(&self, now: Instant, kind: usize, allowed: impl Fn(Counts, Counts) -> bool) -> bool {
        let (index, turn) = self.place(now);
        let slot = &self.slots[index];
        let mut word = slot.load(Ordering::Relaxed);
        loop {
            let (counts, behind) = match ahead(word, turn) {
                0 => (counts(word), false),
                // The ring has gone round since this caller read its clock: too old to be counted, but not to be asked.
                1..=0x7fff => (counts(word), true),
                _ => ([0; 3], false),
            };
            if !allowed(counts, self.sum(now)) {
                return false;
            }
            if behind {
                return true;
            }
            let mut more = counts;
            more[kind] = (more[kind] + 1).min(0xffff);
            match slot.compare_exchange_weak(word, pack(turn, more), Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(seen) => word = seen,
            }
        }
    }

    /// The counts of all slots: of the last `SLOTS - 1` to `SLOTS` widths.
    pub(crate) fn sum(&self, now: Instant) -> Counts {
        self.latest(now, SLOTS)
    }

    /// The counts of the current slot and those before it, `slots` in all.
    pub(crate) fn latest(&self, now: Instant, slots: usize) -> Counts {
        let (mut index, mut turn) = self.place(now);
        let mut sum = [0; 3];
        for _ in 0..slots.min(SLOTS) {
            let word = self.slots[index].load(Ordering::Relaxed);
            // One turn ahead: another thread's clock is ahead of ours. That is the newest there is.
            if ahead(word, turn) <= 1 {
                for (sum, count) in sum.iter_mut().zip(counts(word)) {
                    *sum += count;
                }
            }
            if index == 0 {
                index = SLOTS;
                turn = turn.wrapping_sub(1);
            }
            index -= 1;
        }
        sum
    }

    /// Forgets everything. For when nobody counts: it is not one step.
    pub(crate) fn clear(&self) {
        for slot in &self.slots {
            slot.store(0, Ordering::Relaxed);
        }
    }

    fn place(&self, now: Instant) -> (usize, u16) {
        let tick = now.as_micros() / self.width;
        ((tick % SLOTS as u64) as usize, (tick / SLOTS as u64) as u16)
    }
}

/// By how many turns the slot is ahead of the caller, modulo 2^16.
fn ahead(word: u64, turn: u16) -> u16 {
    ((word >> 48) as u16).wrapping_sub(turn)
}

fn counts(word: u64) -> Counts {
    [word as u32 & 0xffff, (word >> 16) as u32 & 0xffff, (word >> 32) as u32 & 0xffff]
}

fn pack(turn: u16, counts: Counts) -> u64 {
    let [first, second, third] = counts.map(u64::from);
    u64::from(turn) << 48 | third << 32 | second << 16 | first
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a list of everything that ever happened.
        #[test]
        fn it_counts_what_a_list_would(steps in prop::collection::vec((0u64..2_500, 0usize..3), 0..200)) {
            let window = Window::<4>::new(1_000);
            let mut list: Vec<(u64, usize)> = Vec::new();
            let mut now = 0;
            for (pause, kind) in steps {
                now += pause;
                window.add(Instant::from_micros(now), kind);
                list.push((now / 1_000, kind));
                for slots in 1..=4 {
                    let first = (now / 1_000 + 1).saturating_sub(slots as u64);
                    let expected = [0, 1, 2].map(|kind| {
                        list.iter().filter(|(tick, one)| *tick >= first && *one == kind).count() as u32
                    });
                    prop_assert_eq!(window.latest(Instant::from_micros(now), slots), expected);
                }
            }
        }
    }

    #[test]
    fn a_caller_whose_clock_is_behind_neither_loses_nor_revives_counts() {
        let window = Window::<4>::new(1_000);
        let late = Instant::from_micros(9_000);
        window.add(late, 0);
        window.add(Instant::from_micros(8_500), 0);
        assert_eq!(window.sum(late), [2, 0, 0]);
        // Its own clock says that the slot of 9,000 is ahead by a turn; it counts for the newest.
        assert_eq!(window.sum(Instant::from_micros(8_500)), [2, 0, 0]);
        window.add(Instant::from_micros(5_000), 1);
        assert_eq!(window.sum(late), [2, 0, 0], "what is a turn old is not counted into a newer slot");
    }

    #[test]
    fn a_full_count_stays_full_and_spills_nowhere() {
        let window = Window::<2>::new(1_000);
        for _ in 0..70_000 {
            window.add(Instant::ORIGIN, 1);
        }
        assert_eq!(window.sum(Instant::ORIGIN), [0, 65_535, 0]);
    }
}
