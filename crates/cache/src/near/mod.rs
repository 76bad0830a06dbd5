//! The near store: a bounded map in this process.
//!
//! What this is: keys and values in tables, and beside them the [`Policy`] that says who leaves. What it is not: a cache;
//! it knows no time, no loader and no tag. What the values mean is decided by whoever asks.
//!
//! A hit holds its table's lock together with other readers, compares the key, and says "used" only when the entry has
//! not been used since the latest miss: then its slot goes into a ring that the next miss takes along. A hit on a hot
//! entry writes to no memory but the lock. What costs it most is memory that the processor has not at hand, so an entry lies in
//! one piece, and what every hit asks for at its head.
//!
//! ```text
//!   hash ─▶ segment (from 8,192 residents on there are several)
//!             ├─ tables      key ─▶ entry          readers: shared lock
//!             ├─ touches     slots of used entries readers push
//!             └─ policy      slots in order        misses, under one mutex
//! ```
//!
//! # Invariants
//! - The weight of what is stored is at most the capacity, in every segment.
//! - Locks are taken in one order: policy, then a table; never two tables at once.
//! - Whether a value may be stored is asked under the same lock as it is stored under: [`Near::insert_if`].

mod duel;
mod ghosts;
mod list;
mod policy;
mod queues;
mod sketch;
mod touches;

use std::borrow::Borrow;

use hashbrown::HashTable;

use self::list::Slot;
use self::policy::Policy;
use self::queues::Evicted;
pub(crate) use self::queues::Rule;
use self::touches::Touches;
use crate::sync::{AtomicU32, Mutex, Ordering, RwLock, hold, read, try_hold, write};

/// The store. `K` is compared, `V` is whatever is kept under it.
pub(crate) struct Near<K, V> {
    segments: Box<[Segment<K, V>]>,
}

struct Segment<K, V> {
    tables: Box<[Line<Locked<K, V>>]>,
    policy: Mutex<Policy>,
    touches: Touches,
    /// Counts misses: the policy's only clock.
    turn: AtomicU32,
}

type Table<K, V> = HashTable<Box<Entry<K, V>>>;
type Locked<K, V> = RwLock<Table<K, V>>;

/// What is stored under a key.
// In this order: a hit reads the fields from the first to the value's first few.
#[repr(C)]
struct Entry<K, V> {
    /// The turn of its latest use.
    used: AtomicU32,
    slot: Slot,
    key: K,
    value: V,
    hash: u64,
}

/// A cache line of its own: neighbours' locks must not slow each other down.
#[repr(align(64))]
struct Line<T>(T);

/// What came of an insertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Inserted {
    /// Whether the value was let in. It may have been evicted at once.
    pub(crate) admitted: bool,
    /// How many had to leave, the newcomer included.
    pub(crate) evicted: usize,
    /// By how many residents there are more now.
    pub(crate) residents: i64,
    /// By what they weigh more.
    pub(crate) weight: i64,
}

/// Residents from which on a second segment is worth its imbalance: then the fullest holds about one in a hundred more.
const SEGMENT: u64 = 8_192;

/// The most segments.
const SEGMENTS: u64 = 64;

/// Tables over all segments, at least.
const TABLES: usize = 64;

impl<K: Eq, V> Near<K, V> {
    /// Room for `capacity` units of weight, guessed to be so many residents.
    pub(crate) fn new(capacity: u64, residents: u64) -> Self {
        let segments = (residents / SEGMENT).clamp(1, SEGMENTS).next_power_of_two().min(SEGMENTS);
        Self::with_segments(capacity, residents, segments as usize, TABLES)
    }

    pub(crate) fn with_segments(capacity: u64, residents: u64, segments: usize, tables: usize) -> Self {
        let part = |index: usize, whole: u64| {
            let (count, index) = (segments as u64, index as u64);
            whole / count + u64::from(index < whole % count)
        };
        let segment = |index| Segment {
            tables: (0..(tables / segments).max(1)).map(|_| Line(RwLock::new(HashTable::new()))).collect(),
            policy: Mutex::new(Policy::new(part(index, capacity), part(index, residents).max(1))),
            touches: Touches::new(),
            turn: AtomicU32::new(1),
        };
        Self { segments: (0..segments).map(segment).collect() }
    }

    /// Reads the value under the key, which counts as a use. `look` runs under the table's lock: it must be brief and
    /// must not come back here.
    pub(crate) fn read<Q, R>(&self, hash: u64, key: &Q, look: impl FnOnce(&V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let segment = self.segment(hash);
        let table = read(segment.table(hash));
        let entry = table.find(hash, |entry| entry.key.borrow() == key)?;
        let result = look(&entry.value);
        let turn = segment.turn.load(Ordering::Relaxed);
        if entry.used.load(Ordering::Relaxed) == turn {
            return Some(result);
        }
        entry.used.store(turn, Ordering::Relaxed);
        let slot = entry.slot;
        // Before the policy: nobody waits for a table with the policy in hand that somebody else in a table waits for.
        drop(table);
        segment.used(slot);
        Some(result)
    }

    /// Stores the value, if `admit` agrees. It is shown what is there now, under the lock that the value is then stored
    /// under: nothing can come between the question and the deed.
    pub(crate) fn insert_if(
        &self,
        hash: u64,
        key: K,
        value: V,
        weight: u32,
        admit: impl FnOnce(Option<&V>) -> bool,
    ) -> Inserted {
        let segment = self.segment(hash);
        let mut policy = hold(&segment.policy);
        segment.touches.drain(|slot| policy.touch(slot));
        let mut table = write(segment.table(hash));
        let present = table.find_mut(hash, |entry| entry.key == key);
        if !admit(present.as_ref().map(|entry| &entry.value)) {
            return Inserted { admitted: false, evicted: 0, residents: 0, weight: 0 };
        }
        // Dropped last, without any lock: what a value's end does is not known here.
        let mut gone = Vec::new();
        let mut evicted = Vec::new();
        let before = (policy.len(), policy.weight());
        let turn = segment.turn.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let entry = |slot| Box::new(Entry { used: AtomicU32::new(turn), slot, key, value, hash });
        match present {
            Some(present) => {
                let slot = present.slot;
                gone.push(std::mem::replace(present, entry(slot)));
                policy.reweigh(slot, weight, &mut evicted);
            }
            None => {
                let slot = policy.insert(hash, weight, &mut evicted);
                table.insert_unique(hash, entry(slot), |entry| entry.hash);
            }
        }
        drop(table);
        let count = evicted.len();
        gone.extend(evicted.into_iter().filter_map(|Evicted { hash, slot }| segment.take(hash, slot)));
        let more = |now: u64, before: u64| now as i64 - before as i64;
        let residents = more(policy.len() as u64, before.0 as u64);
        let weight = more(policy.weight(), before.1);
        drop(policy);
        Inserted { admitted: true, evicted: count, residents, weight }
    }

    /// Takes out what is under the key, if `doomed` agrees. Answers what it weighed, if it was taken out.
    pub(crate) fn remove_if<Q>(&self, hash: u64, key: &Q, doomed: impl FnOnce(&V) -> bool) -> Option<u64>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let segment = self.segment(hash);
        // Most that is invalidated is not here. Whoever would store it after this look asks `admit` after it, too.
        read(segment.table(hash)).find(hash, |entry| entry.key.borrow() == key)?;
        let mut policy = hold(&segment.policy);
        let mut table = write(segment.table(hash));
        let Ok(found) = table.find_entry(hash, |entry| entry.key.borrow() == key) else { return None };
        if !doomed(&found.get().value) {
            return None;
        }
        let (gone, _) = found.remove();
        let before = policy.weight();
        policy.remove(gone.slot);
        let weight = before - policy.weight();
        drop(table);
        drop(policy);
        drop(gone);
        Some(weight)
    }

    /// Takes out whatever has this hash, and says of each what it weighed.
    pub(crate) fn remove_hash(&self, hash: u64, mut removed: impl FnMut(u64)) {
        let segment = self.segment(hash);
        loop {
            // As in `remove_if`: most that is invalidated is not here.
            if read(segment.table(hash)).find(hash, |entry| entry.hash == hash).is_none() {
                return;
            }
            let mut policy = hold(&segment.policy);
            let mut table = write(segment.table(hash));
            let Ok(found) = table.find_entry(hash, |entry| entry.hash == hash) else { return };
            let (gone, _) = found.remove();
            let before = policy.weight();
            policy.remove(gone.slot);
            let weight = before - policy.weight();
            drop(table);
            drop(policy);
            drop(gone);
            removed(weight);
        }
    }

    /// Shows whatever has this hash, without using it. `look` runs under the table's lock.
    pub(crate) fn read_hash(&self, hash: u64, look: impl Fn(&V)) {
        let table = read(self.segment(hash).table(hash));
        table.iter_hash(hash).filter(|entry| entry.hash == hash).for_each(|entry| look(&entry.value));
    }

    /// Whether something is under the key, without using it.
    #[cfg(test)]
    pub(crate) fn peek(&self, hash: u64, key: &K) -> bool {
        read(self.segment(hash).table(hash)).find(hash, |entry| entry.key == *key).is_some()
    }

    /// How many are stored, and what they weigh.
    pub(crate) fn load(&self) -> (usize, u64) {
        self.segments.iter().fold((0, 0), |(count, weight), segment| {
            let policy = hold(&segment.policy);
            (count + policy.len(), weight + policy.weight())
        })
    }

    /// The largest weight.
    pub(crate) fn capacity(&self) -> u64 {
        self.segments.iter().map(|segment| hold(&segment.policy).capacity()).sum()
    }

    /// The rule that each segment follows now.
    pub(crate) fn rules(&self) -> Vec<Rule> {
        self.segments.iter().map(|segment| hold(&segment.policy).rule()).collect()
    }

    fn segment(&self, hash: u64) -> &Segment<K, V> {
        &self.segments[(hash >> 48) as usize & (self.segments.len() - 1)]
    }
}

impl<K, V> Segment<K, V> {
    fn table(&self, hash: u64) -> &RwLock<Table<K, V>> {
        &self.tables[(hash >> 40) as usize & (self.tables.len() - 1)].0
    }

    #[cold]
    fn used(&self, slot: Slot) {
        if self.touches.push(slot)
            // Whoever holds it empties the ring.
            && let Some(mut policy) = try_hold(&self.policy)
        {
            self.touches.drain(|slot| policy.touch(slot));
            policy.touch(slot);
        }
    }

    fn take(&self, hash: u64, slot: Slot) -> Option<Box<Entry<K, V>>> {
        let mut table = write(self.table(hash));
        table.find_entry(hash, |entry| entry.slot == slot).ok().map(|found| found.remove().0)
    }
}
