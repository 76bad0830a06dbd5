//! How often keys were asked for lately: a count-min sketch of four-bit counters that forgets by halving.
//!
//! Cormode and Muthukrishnan (2005); halving and the block of one cache line per key as in TinyLFU (Einziger, Friedman,
//! Manes, 2017). A count is never too low but for what was forgotten; it is too high where keys collide.

/// The largest count.
const MOST: u64 = 15;

/// One half of every counter's lower three bits.
const HALVES: u64 = 0x7777_7777_7777_7777;

/// Counts of hashes.
#[derive(Debug)]
pub(super) struct Sketch {
    // Sixteen counters a word, a word per resident.
    words: Vec<u64>,
    counted: usize,
}

impl Sketch {
    pub(super) fn new(residents: usize) -> Self {
        Self { words: vec![0; residents.next_power_of_two().max(BLOCK)], counted: 0 }
    }

    /// Makes room for so many residents. What was counted is kept: a key's place in a table twice as large is one of two
    /// that hold what it had.
    pub(super) fn grow(&mut self, residents: usize) {
        while self.words.len() < residents {
            self.words.extend_from_within(..);
        }
    }

    pub(super) fn count(&mut self, hash: u64) {
        let mut counted = false;
        for (word, shift) in places(hash, self.words.len()) {
            let word = &mut self.words[word];
            if (*word >> shift) & MOST < MOST {
                *word += 1 << shift;
                counted = true;
            }
        }
        if counted {
            self.counted += 1;
            // Ten counts a resident, as the paper has it: an age in which a resident's counter can fill.
            if self.counted >= self.words.len() * 10 {
                self.forget();
            }
        }
    }

    pub(super) fn frequency(&self, hash: u64) -> u64 {
        places(hash, self.words.len())
            .map(|(word, shift)| (self.words[word] >> shift) & MOST)
            .min()
            .unwrap_or(0)
    }

    fn forget(&mut self) {
        for word in &mut self.words {
            *word = (*word >> 1) & HALVES;
        }
        self.counted /= 2;
    }
}

/// Words in a cache line.
const BLOCK: usize = 8;

/// A key's four counters, in two words each of one cache line.
fn places(hash: u64, words: usize) -> impl Iterator<Item = (usize, u32)> {
    let mixed = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let block = (mixed as usize & (words - 1)) & !(BLOCK - 1);
    (0..4).map(move |row| {
        let bits = mixed >> (32 + row * 8);
        // Two words and all sixteen counters for each row: rows do not share counters.
        let word = block + row * 2 + (bits & 1) as usize;
        (word, ((bits >> 1) & 15) as u32 * 4)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_count_is_never_too_low_until_something_is_forgotten(hashes in proptest::collection::vec(any::<u64>(), 1..80)) {
            let mut sketch = Sketch::new(64);
            for hash in &hashes {
                sketch.count(*hash);
            }
            for hash in &hashes {
                let times = hashes.iter().filter(|other| *other == hash).count() as u64;
                prop_assert!(sketch.frequency(*hash) >= times.min(MOST));
            }
            sketch.grow(4096);
            for hash in &hashes {
                let times = hashes.iter().filter(|other| *other == hash).count() as u64;
                prop_assert!(sketch.frequency(*hash) >= times.min(MOST));
            }
        }
    }

    #[test]
    fn what_was_popular_is_forgotten() {
        let mut sketch = Sketch::new(64);
        (0..15).for_each(|_| sketch.count(7));
        assert_eq!(sketch.frequency(7), 15);
        (0..20_000u64).for_each(|other| sketch.count(other.wrapping_mul(0x2545_f491_4f6c_dd1d)));
        assert!(sketch.frequency(7) < 15);
    }
}
