//! What tags and the whole cache were invalidated by: versions instead of lists, so that it costs the same for one entry and
//! for a million.
//!
//! Every invalidation by tag or of everything takes the next version. An entry carries the version its load *began* at, and
//! is dead when one of its tags, or the cache, was invalidated at a later one. So a load that was under way is dead at birth.
//!
//! Tags share counters, as keys do: a tombstone never needs to be forgotten, and so never dies before what it killed. Tags
//! that share one cost each other a load now and then, never a stale value.
//!
//! # Invariants
//! - Whoever sees a version sees every tombstone up to it: it is published last.
//! - Versions are counted, never read from a clock.

use std::sync::OnceLock;

use burgeon_core::Position;

use crate::sync::{AtomicU64, Mutex, Ordering, hold};

/// The versions of one cache.
pub(crate) struct Tombstones {
    version: AtomicU64,
    everything: Grave,
    // Only caches that use tags pay for them.
    tags: OnceLock<Box<[Grave]>>,
    /// The version of the last doubt: what was missed then may have told of anything.
    doubted: AtomicU64,
    /// Writers take turns, and share the latest commit that invalidated by tag or everything.
    floor: Mutex<Position>,
}

#[derive(Default)]
struct Grave {
    removed: AtomicU64,
    expired: AtomicU64,
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// Nothing.
    Alive,
    /// It is stale, and may be served when nothing better can be had.
    Expired,
    /// It must never be seen again.
    Removed,
}

/// What an invalidation does to what it hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reach {
    Remove,
    Expire,
}

/// Counters of tags: 1 MiB, in caches that use tags.
const STRIPES: usize = 1 << 16;

impl Tombstones {
    pub(crate) fn new() -> Self {
        Self {
            version: AtomicU64::new(1),
            everything: Grave::default(),
            tags: OnceLock::new(),
            doubted: AtomicU64::new(0),
            floor: Mutex::new(Position::START),
        }
    }

    /// The version now: what a load that begins is stamped with.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.version.load(Ordering::SeqCst)
    }

    /// Invalidates everything under the tag with this hash. Answers the version that it took.
    pub(crate) fn bury_tag(&self, tag: u64, reach: Reach, floor: Position) -> u64 {
        let stripe = &self.tags.get_or_init(|| (0..STRIPES).map(|_| Grave::default()).collect())[index(tag)];
        self.bury(stripe, reach, floor)
    }

    /// Invalidates everything. Answers the version that it took.
    pub(crate) fn bury_everything(&self, reach: Reach, floor: Position) -> u64 {
        self.bury(&self.everything, reach, floor)
    }

    /// Everything may be out of date, and nobody knows what. Answers the version that it took.
    pub(crate) fn doubt_everything(&self, floor: Position) -> u64 {
        self.next(floor, |version| {
            self.everything.expired.store(version, Ordering::SeqCst);
            self.doubted.store(version, Ordering::SeqCst);
        })
    }

    /// The version of the last doubt; zero without one.
    pub(crate) fn doubted(&self) -> u64 {
        self.doubted.load(Ordering::SeqCst)
    }

    /// Takes a version that invalidates nothing: whatever load begins from now on carries it, or a later one, and reads
    /// from a database that has come this far.
    pub(crate) fn mark(&self, floor: Position) -> u64 {
        self.next(floor, |_| {})
    }

    /// How far the database must be for a load that has read [`now`](Self::now) before this. A load's tags are known only
    /// when it ends, so this holds for all loads of the cache.
    pub(crate) fn floor(&self) -> Position {
        *hold(&self.floor)
    }

    /// The latest version at which something with these tags was invalidated, and how.
    pub(crate) fn verdict(&self, stamp: u64, tags: &[u64]) -> Verdict {
        let stripes = self.tags.get();
        let of_tags = tags.iter().filter_map(|tag| stripes.map(|stripes| &stripes[index(*tag)]));
        std::iter::once(&self.everything).chain(of_tags).fold(Verdict::Alive, |verdict, grave| {
            let here = match stamp {
                _ if grave.removed.load(Ordering::SeqCst) > stamp => Verdict::Removed,
                _ if grave.expired.load(Ordering::SeqCst) > stamp => Verdict::Expired,
                _ => Verdict::Alive,
            };
            verdict.max(here)
        })
    }

    /// The latest version at which anything with these tags was invalidated, in either way.
    pub(crate) fn latest(&self, tags: &[u64]) -> u64 {
        let stripes = self.tags.get();
        let of_tags = tags.iter().filter_map(|tag| stripes.map(|stripes| &stripes[index(*tag)]));
        let latest =
            |grave: &Grave| grave.removed.load(Ordering::SeqCst).max(grave.expired.load(Ordering::SeqCst));
        std::iter::once(&self.everything).chain(of_tags).map(latest).max().unwrap_or(0)
    }

    fn bury(&self, grave: &Grave, reach: Reach, floor: Position) -> u64 {
        self.next(floor, |version| match reach {
            Reach::Remove => grave.removed.store(version, Ordering::SeqCst),
            Reach::Expire => grave.expired.store(version, Ordering::SeqCst),
        })
    }

    fn next(&self, position: Position, write: impl FnOnce(u64)) -> u64 {
        let mut floor = hold(&self.floor);
        *floor = floor.join(position);
        let version = self.version.load(Ordering::SeqCst) + 1;
        write(version);
        self.version.store(version, Ordering::SeqCst);
        version
    }
}

fn index(tag: u64) -> usize {
    (tag >> 8) as usize & (STRIPES - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_began_before_is_dead_and_what_begins_after_lives() {
        let tombstones = Tombstones::new();
        let (red, blue) = (1 << 8, 2 << 8);
        let before = tombstones.now();
        assert_eq!(tombstones.verdict(before, &[red, blue]), Verdict::Alive);
        tombstones.bury_tag(red, Reach::Expire, Position::START);
        assert_eq!(tombstones.verdict(before, &[red, blue]), Verdict::Expired);
        assert_eq!(tombstones.verdict(before, &[blue]), Verdict::Alive);
        tombstones.bury_tag(blue, Reach::Remove, Position { timeline: 1, lsn: 9 });
        assert_eq!(tombstones.verdict(before, &[red, blue]), Verdict::Removed);
        let after = tombstones.now();
        assert_eq!(tombstones.verdict(after, &[red, blue]), Verdict::Alive);
        tombstones.bury_everything(Reach::Remove, Position { timeline: 1, lsn: 3 });
        assert_eq!(tombstones.verdict(after, &[]), Verdict::Removed);
        assert_eq!(tombstones.floor(), Position { timeline: 1, lsn: 9 });
        assert_eq!(tombstones.latest(&[]), tombstones.now());
    }
}
