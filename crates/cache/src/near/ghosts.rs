//! What was evicted lately: hashes without values, so that a return is known.
//!
//! Four to a bucket, each with the turn it was put there; older than as many turns as there are residents means gone.

/// Remembers evictions.
#[derive(Debug)]
pub(super) struct Ghosts {
    buckets: Vec<[Ghost; 4]>,
    turn: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Ghost {
    mark: u32,
    // Zero: empty.
    turn: u32,
}

impl Ghosts {
    pub(super) fn new(residents: usize) -> Self {
        Self { buckets: vec![[Ghost::default(); 4]; buckets(residents)], turn: 1 }
    }

    /// Makes room for so many residents, keeping what is remembered.
    pub(super) fn grow(&mut self, residents: usize) {
        while self.buckets.len() < buckets(residents) {
            self.buckets.extend_from_within(..);
        }
    }

    pub(super) fn put(&mut self, hash: u64) {
        self.turn = self.turn.checked_add(1).unwrap_or_else(|| {
            self.buckets.fill([Ghost::default(); 4]);
            1
        });
        let turn = self.turn;
        let bucket = self.bucket(hash);
        if let Some(oldest) = bucket.iter_mut().min_by_key(|ghost| ghost.turn) {
            *oldest = Ghost { mark: mark(hash), turn };
        }
    }

    /// Whether it was evicted at most `back` evictions ago. It is asked once: the ghost is laid.
    pub(super) fn take(&mut self, hash: u64, back: usize) -> bool {
        let turn = self.turn;
        let found = self.bucket(hash).iter_mut().find(|ghost| ghost.turn > 0 && ghost.mark == mark(hash));
        let Some(ghost) = found else { return false };
        let age = (turn - ghost.turn) as usize;
        *ghost = Ghost::default();
        age < back
    }

    fn bucket(&mut self, hash: u64) -> &mut [Ghost; 4] {
        let index = mark(hash) as usize & (self.buckets.len() - 1);
        &mut self.buckets[index]
    }
}

/// Twice as many places as ghosts, so that few are pushed out before their time.
fn buckets(residents: usize) -> usize {
    (residents / 2).next_power_of_two().max(4)
}

/// The bucket is found by the mark's low bits, so the mark must have more than any table needs.
fn mark(hash: u64) -> u32 {
    (hash.wrapping_mul(0xd6e8_feb8_6659_fd93) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ghost_is_met_once_and_not_for_ever() {
        let mut ghosts = Ghosts::new(100);
        ghosts.put(7);
        assert!(ghosts.take(7, 100));
        assert!(!ghosts.take(7, 100));
        ghosts.put(7);
        (100..200).for_each(|other| ghosts.put(other));
        assert!(!ghosts.take(7, 100));
    }

    #[test]
    fn nearly_all_of_the_latest_are_remembered_also_after_growing() {
        let mut ghosts = Ghosts::new(64);
        (0..500).for_each(|hash| ghosts.put(hash));
        ghosts.grow(1000);
        (500..1000).for_each(|hash| ghosts.put(hash));
        let known = (500..1000).filter(|hash| ghosts.take(*hash, 1000)).count();
        assert!(known > 480, "{known} of 500");
    }
}
