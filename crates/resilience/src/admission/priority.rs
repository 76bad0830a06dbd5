//! Who goes first: the class, and within it the cohort.

use burgeon_core::Criticality;

/// One of 128 equal parts of all users, drawn anew every hour.
///
/// When a class does not fit as a whole, whole cohorts of it are refused rather than everybody now and then: a user who is served is
/// served throughout, so that his page of twenty requests loads. Drawn by the hour, so that it is not always the same ones. (DAGOR, Zhou et al., SoCC
/// 2018; Uber's Cinnamon.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Cohort(u8);

impl Cohort {
    /// How many there are.
    pub const COUNT: usize = 128;

    /// The cohort of a user, tenant or address in an hour (say, whole hours since 1970). The same on every node: all of them refuse the
    /// same users, so that trying another node does not help.
    pub fn of(who: &[u8], hour: u64) -> Self {
        // FNV-1a (Fowler, Noll, Vo), finished as SplitMix64 does: the standard library's hashers may change with its version.
        let hash = who.iter().chain(&hour.to_le_bytes()).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let mixed = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        Self((mixed >> 57) as u8)
    }
}

/// A criticality and a cohort as one number: greater is served first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u16);

impl Priority {
    /// How many there are.
    pub const COUNT: usize = 4 * Cohort::COUNT;

    /// The priority of a cohort within a class.
    pub fn new(criticality: Criticality, cohort: Cohort) -> Self {
        Self(criticality as u16 * Cohort::COUNT as u16 + u16::from(cohort.0))
    }

    /// Its class.
    pub fn criticality(self) -> Criticality {
        Criticality::ALL[self.index() / Cohort::COUNT]
    }

    /// 0 to 511.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_decides_before_the_cohort() {
        let all: Vec<Priority> = Criticality::ALL
            .into_iter()
            .flat_map(|class| (0..128).map(move |cohort| Priority::new(class, Cohort(cohort))))
            .collect();
        assert!(all.is_sorted());
        assert_eq!(all.len(), Priority::COUNT);
        for (index, priority) in all.into_iter().enumerate() {
            assert_eq!(priority.index(), index);
            assert_eq!(priority.criticality(), Criticality::ALL[index / 128]);
        }
    }

    #[test]
    fn cohorts_are_even_and_drawn_anew_every_hour() {
        let mut sizes = [0_u32; Cohort::COUNT];
        let mut stayed = 0;
        for user in 0..12_800_u64 {
            let cohort = Cohort::of(&user.to_le_bytes(), 500_000);
            sizes[usize::from(cohort.0)] += 1;
            stayed += u32::from(cohort == Cohort::of(&user.to_le_bytes(), 500_001));
        }
        assert!(sizes.iter().all(|size| (60..=150).contains(size)), "{sizes:?}");
        assert!((50..=160).contains(&stayed), "{stayed} of 12,800 where 100 are expected");
    }

    #[test]
    fn the_cohort_of_a_user_is_the_same_in_every_version() {
        assert_eq!(
            [Cohort::of(b"", 0), Cohort::of(b"a", 0), Cohort::of(b"a", 1)].map(|cohort| cohort.0),
            [42, 118, 48]
        );
    }
}
