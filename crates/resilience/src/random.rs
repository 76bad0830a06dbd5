//! Randomness that is handed in: machines take a `u64` of which every value is equally likely; skins hold [`Dice`].

use crate::sync::atomic::{AtomicU64, Ordering};

/// A number in `0..1`, from the upper 53 bits.
pub fn unit(random: u64) -> f64 {
    (random >> 11) as f64 / (1u64 << 53) as f64
}

/// A number in `0..bound`; 0 when the bound is. The high half of the product (Lemire, "Fast Random Integer Generation
/// in an Interval", 2019), whose bias is below `bound / 2^64`.
pub fn below(random: u64, bound: u64) -> u64 {
    ((u128::from(random) * u128::from(bound)) >> 64) as u64
}

/// A number between `low` and `high`.
pub fn between(random: u64, low: f64, high: f64) -> f64 {
    low + (high - low) * unit(random)
}

/// A source of random numbers that threads share: SplitMix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number
/// Generators", 2014). One atomic addition per number. Good for jitter and shedding, not for secrets.
///
/// ```
/// use burgeon_resilience::random::Dice;
///
/// let dice = Dice::seeded(7); // in a test; in a program seed it from the system's generator
/// assert_ne!(dice.roll(), dice.roll());
/// ```
#[derive(Debug)]
pub struct Dice(AtomicU64);

impl Dice {
    /// Dice that always fall the same way for the same seed. Two processes must not share a seed: they would jitter in step.
    pub fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// The next number.
    pub fn roll(&self) -> u64 {
        const WEYL: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.fetch_add(WEYL, Ordering::Relaxed).wrapping_add(WEYL);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_gives_the_published_numbers() {
        let dice = Dice::seeded(1_234_567);
        let rolled: Vec<u64> = (0..3).map(|_| dice.roll()).collect();
        assert_eq!(rolled, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn numbers_stay_in_their_ranges() {
        for random in [0, 1, u64::MAX / 2, u64::MAX - 1, u64::MAX] {
            assert!((0.0..1.0).contains(&unit(random)));
            assert!(below(random, 10) < 10);
            assert_eq!(below(random, 0), 0);
            assert!((0.75..=1.25).contains(&between(random, 0.75, 1.25)));
        }
        assert_eq!(below(u64::MAX, u64::MAX), u64::MAX - 1);
    }
}
