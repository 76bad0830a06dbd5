//! Deterministic chance: the same seed throws the same numbers on every machine and in every release.
//!
//! What this is: SplitMix64 (Steele, Lea, Flood 2014) and a Zipf table, enough to make a believable shop.
//! What it is not: a source of secrets. Tokens and salts come from the operating system.

/// A generator of 64-bit numbers with the handful of throws that seeding needs.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// A generator for this seed.
    #[cfg(test)]
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator for one thing among many, so that adding a thing does not change its neighbours.
    pub(crate) fn of(what: &str, number: u64) -> Self {
        // FNV-1a: short, stable, and good enough to tell the streams apart.
        let seed = what.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        let mut dice = Self(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        dice.next();
        dice
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Evenly from `0..limit`; `0` for an empty range.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        // Multiply and shift: the bias is below 2^-40 for every limit used here.
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }

    /// Evenly from `low..=high`.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below(low.abs_diff(high) + 1) as i64
    }

    /// True so many times in a hundred.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of them, each as likely. The list is never empty: all lists are constants of this crate.
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// An index, each as likely as its weight.
    pub(crate) fn weighted(&mut self, weights: &[u64]) -> usize {
        let mut throw = self.below(weights.iter().sum());
        for (index, &weight) in weights.iter().enumerate() {
            match throw.checked_sub(weight) {
                Some(rest) => throw = rest,
                None => return index,
            }
        }
        weights.len() - 1
    }
}

/// How `total` things fall on `ranks` places when the n-th place is `1 / (n + flatness)` as popular as the first.
///
/// Returns a share per rank; the shares sum up to `total` exactly. Only division is used, which IEEE 754
/// defines to the last bit, so the shares are the same everywhere.
pub(crate) fn zipf(ranks: usize, total: u64, flatness: f64) -> Vec<u64> {
    let weights: Vec<f64> = (1..=ranks).map(|rank| 1.0 / (rank as f64 + flatness)).collect();
    let sum: f64 = weights.iter().sum();
    let mut shares: Vec<u64> = weights.iter().map(|weight| (weight / sum * total as f64) as u64).collect();
    // What rounding down left over is less than one each.
    let missing = total.saturating_sub(shares.iter().sum()) as usize;
    for share in shares.iter_mut().take(missing) {
        *share += 1;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_throws_the_same_numbers() {
        // Reference values of SplitMix64 for seed 1234567.
        let mut dice = Dice::new(1_234_567);
        assert_eq!(dice.next(), 6_457_827_717_110_365_317);
        assert_eq!(dice.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn throws_stay_in_their_range() {
        let mut dice = Dice::of("range", 1);
        for _ in 0..10_000 {
            assert!((-3..=3).contains(&dice.between(-3, 3)));
            assert!(dice.below(7) < 7);
            assert!(dice.weighted(&[0, 1, 0]) == 1);
        }
    }

    #[test]
    fn shares_fall_and_sum_up() {
        let shares = zipf(2_000, 20_000, 12.0);
        assert_eq!(shares.iter().sum::<u64>(), 20_000);
        assert!(shares.is_sorted_by(|a, b| a >= b));
        assert!(shares[0] > 100 * shares[1_999].max(1));
    }
}
