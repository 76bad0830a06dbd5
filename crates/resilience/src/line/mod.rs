//! Who is served next when there is not enough for all: a bounded waiting line, ordered by criticality.
//!
//! What this is: a plain data structure. Its owner keeps it behind a lock of his own, puts in whatever stands for a
//! waiter (a oneshot sender, a waker, a number) and, whenever he has something to give, takes out who gets it. What it is not: it
//! counts no slots and wakes nobody.
//!
//! ```text
//!              critical_plus  [ oldest .. youngest ] ─┐  greatest (class x head start + wait) first;
//!   push ───>  critical       [ oldest .. youngest ] ─┤  one turn in twenty: the lowest class that waits
//!              sheddable_plus [ oldest .. youngest ] ─┼──────────> next: Serve, or Late
//!              sheddable      [ oldest .. youngest ] ─┘
//!                    full: the youngest of the lowest class makes room for a greater arrival
//! ```
//!
//! - **Order.** A class is worth a head start ([`Config::head_start`]): who has waited that much longer overtakes the class above. So
//!   entries age, and nothing starves. Within a class first come, first served, unless [`CoDel::lifo`] says otherwise.
//! - **Reserve.** A share of the turns ([`Config::reserve`]) goes to the lowest class that waits, whatever waits above it.
//! - **CoDel** ([`CoDel`]). While a class has had somebody waiting for longer than an interval, its entries may wait for the short target
//!   only. A burst is buffered, a standing queue is not: it would add its length to every answer and serve nobody more. (Nichols
//!   and Jacobson, "Controlling Queue Delay", ACM Queue 2012; in this form for servers: Maurer, "Fail at Scale", ACM Queue 2015.)
//! - **Deadline.** Looked at when an entry is taken out: what came too late is never served.
//!
//! # Invariants
//! - What was pushed comes out exactly once: served, late, displaced, or cancelled.
//! - Never more than [`Config::capacity`] wait. Nothing is allocated once that many have waited at one time.
//! - Every operation is O(1), whatever the length.
//!
//! # When not to use it
//! For work that must be done whatever it takes: that belongs into a durable queue, not into memory. With one class and no deadline
//! it is a ring buffer with extra steps.

mod codel;
#[cfg(test)]
mod tests;

use std::time::Duration;

use burgeon_core::Criticality;
use serde::{Deserialize, Serialize};

pub use self::codel::CoDel;
use self::codel::Standing;
use crate::Instant;
use crate::time::micros;

/// How long a line may get, and in which order it is served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How many may wait. Default 1,000: with CoDel the line is short long before; without it, multiply by the time
    /// one turn takes to see how long the last one would wait.
    pub capacity: usize,
    /// How much longer somebody must have waited to be served before the class above. Default 100 ms, which is CoDel's
    /// interval: where CoDel rules, classes are strict; where waits are longer (connection pools), they age.
    #[serde(with = "burgeon_core::units::duration")]
    pub head_start: Duration,
    /// The share of turns that goes to the lowest class that waits, 0 to 0.5. Default 0.05.
    pub reserve: f64,
    /// Sheds what has waited too long. Default on; off for a line whose waiters have deadlines and nothing else to try.
    pub codel: Option<CoDel>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            capacity: 1_000,
            head_start: Duration::from_millis(100),
            reserve: 0.05,
            codel: Some(CoDel::default()),
        }
    }
}

impl Config {
    /// What is wrong with it, as a sentence that names the field.
    pub fn validate(&self) -> Result<(), String> {
        if self.capacity == 0 || self.capacity >= NONE as usize {
            return Err(format!("capacity must be between 1 and {}, not {}", NONE - 1, self.capacity));
        }
        if !(0.0..=0.5).contains(&self.reserve) {
            return Err(format!("reserve must be between 0 and 0.5, not {}", self.reserve));
        }
        self.codel.as_ref().map_or(Ok(()), CoDel::validate)
    }
}

/// Bounded, ordered by criticality; see the [module](self).
#[derive(Debug)]
pub struct Line<T> {
    capacity: usize,
    head_start: u64,
    reserve: f64,
    codel: Option<CoDel>,
    /// Entries and free places, linked by index, so that one in the middle can leave.
    places: Vec<Place<T>>,
    free: u32,
    classes: [Class; 4],
    waiting: usize,
    /// What the lowest class has coming, in turns; at most one.
    credit: f64,
    /// The newest "now" that was seen.
    now: Instant,
}

/// Where an entry stands; it stays valid, and harmless, after the entry has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    place: u32,
    generation: u32,
}

/// An accepted entry.
#[derive(Debug, PartialEq, Eq)]
pub struct Pushed<T> {
    /// For [`Line::cancel`].
    pub key: Key,
    /// Who had to make room: the line was full, and his class is lower.
    pub displaced: Option<T>,
}

/// Not accepted: the line is full of waiters at least as critical.
#[derive(Debug, PartialEq, Eq)]
pub struct Full<T>(pub T);

/// Who comes out of the line.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<T> {
    /// It is his turn.
    Serve {
        /// What was pushed.
        item: T,
        /// How long he waited.
        waited: Duration,
    },
    /// He waited too long, or his deadline has passed: to be refused.
    Late {
        /// What was pushed.
        item: T,
        /// How long he waited.
        waited: Duration,
    },
}

/// What a person sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct View {
    /// How many wait.
    pub waiting: usize,
    /// How many may.
    pub capacity: usize,
    /// The four classes, least critical first.
    pub classes: [ClassView; 4],
}

/// One class of a [`View`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ClassView {
    /// Which.
    pub criticality: Criticality,
    /// How many wait.
    pub waiting: usize,
    /// How long its oldest entry has waited.
    #[serde(with = "burgeon_core::units::duration")]
    pub oldest: Duration,
    /// Whether its queue has been standing for so long that CoDel cuts it short.
    pub overloaded: bool,
}

#[derive(Debug)]
struct Place<T> {
    /// `None` is a free place.
    item: Option<T>,
    generation: u32,
    class: u8,
    since: Instant,
    deadline: Instant,
    /// Towards the oldest.
    before: u32,
    /// Towards the youngest; of a free place, the next free one.
    after: u32,
}

#[derive(Debug, Clone, Copy)]
struct Class {
    oldest: u32,
    youngest: u32,
    waiting: usize,
    standing: Standing,
}

const NONE: u32 = u32::MAX;

impl<T> Line<T> {
    /// An empty line.
    ///
    /// # Panics
    /// If the configuration does not [`validate`](Config::validate).
    #[track_caller]
    pub fn new(config: Config) -> Self {
        let valid = config.validate();
        assert!(valid.is_ok(), "a waiting line cannot be made of this: {valid:?}");
        Self {
            capacity: config.capacity,
            head_start: micros(config.head_start),
            reserve: config.reserve,
            codel: config.codel,
            places: Vec::new(),
            free: NONE,
            classes: [Class::EMPTY; 4],
            waiting: 0,
            credit: 0.0,
            now: Instant::ORIGIN,
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// How many of this class wait.
    pub fn len_of(&self, criticality: Criticality) -> usize {
        self.classes[criticality as usize].waiting
    }

    /// The newest moment this line was told of.
    pub fn latest(&self) -> Instant {
        self.now
    }

    /// Joins the line. When it is full, the youngest of the lowest class makes room, if that class is lower.
    ///
    /// Without a deadline pass `None`: then CoDel is the only bound of the wait, and the owner needs his own where CoDel is off.
    pub fn push(
        &mut self,
        now: Instant,
        criticality: Criticality,
        deadline: Option<Instant>,
        item: T,
    ) -> Result<Pushed<T>, Full<T>> {
        self.advance(now);
        let mut displaced = None;
        if self.waiting == self.capacity {
            match self.lowest().filter(|lowest| *lowest < criticality as usize) {
                Some(lowest) => displaced = self.take(self.classes[lowest].youngest).map(|(item, _)| item),
                None => return Err(Full(item)),
            }
        }
        let key = self.settle_down(criticality as usize, deadline, item);
        Ok(Pushed { key, displaced })
    }

    /// Who comes out next, `None` when nobody waits. Entries that are late come out before anybody is served: call it in a
    /// loop until it answers [`Next::Serve`], which uses up what the owner has to give.
    pub fn next(&mut self, now: Instant) -> Option<Next<T>> {
        if let Some(late) = self.late(now) {
            return Some(late);
        }
        let class = self.whose_turn()?;
        let place = self.candidate(class);
        let entry = &self.places[place as usize];
        // The oldest was looked at above; the youngest, served first under adaptive LIFO, was not.
        let passed = entry.deadline <= self.now;
        let (item, waited) = self.take(place)?;
        if passed {
            return Some(Next::Late { item, waited });
        }
        self.account(class);
        Some(Next::Serve { item, waited })
    }

    /// Takes out somebody at the head of his class who waited too long, `None` when there is none. For an owner with nothing to
    /// give, so that those who cannot be served in time hear of it and make room.
    pub fn late(&mut self, now: Instant) -> Option<Next<T>> {
        self.advance(now);
        let late = (0..self.classes.len()).find_map(|class| {
            let oldest = self.classes[class].oldest;
            let entry = self.places.get(oldest as usize)?;
            let waited = self.now.micros_since(entry.since);
            (entry.deadline <= self.now || waited > self.patience(class)).then_some(oldest)
        })?;
        self.take(late).map(|(item, waited)| Next::Late { item, waited })
    }

    /// Leaves the line; `None` when the entry has left already.
    pub fn cancel(&mut self, key: Key) -> Option<T> {
        let place = self.places.get(key.place as usize)?;
        if place.generation != key.generation {
            return None;
        }
        self.take(key.place).map(|(item, _)| item)
    }

    /// What a person sees.
    pub fn view(&self, now: Instant) -> View {
        let now = now.max(self.now);
        let class = |criticality: Criticality| {
            let class = &self.classes[criticality as usize];
            let oldest = self.places.get(class.oldest as usize);
            ClassView {
                criticality,
                waiting: class.waiting,
                oldest: oldest.map_or(Duration::ZERO, |entry| now.since(entry.since)),
                overloaded: self.codel.as_ref().is_some_and(|codel| class.standing.is_too_long(codel, now)),
            }
        };
        View { waiting: self.waiting, capacity: self.capacity, classes: Criticality::ALL.map(class) }
    }

    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// For how many microseconds the entries of a class may wait, as things stand.
    fn patience(&self, class: usize) -> u64 {
        self.codel.as_ref().map_or(u64::MAX, |codel| self.classes[class].standing.patience(codel, self.now))
    }

    fn lowest(&self) -> Option<usize> {
        self.classes.iter().position(|class| class.waiting > 0)
    }

    /// Who would be served of this class: its oldest, or under adaptive LIFO its youngest.
    fn candidate(&self, class: usize) -> u32 {
        let lifo = self
            .codel
            .as_ref()
            .is_some_and(|codel| codel.lifo && self.classes[class].standing.is_too_long(codel, self.now));
        if lifo { self.classes[class].youngest } else { self.classes[class].oldest }
    }

    fn whose_turn(&self) -> Option<usize> {
        let lowest = self.lowest()?;
        if self.credit >= 1.0 {
            return Some(lowest);
        }
        let merit = |class: usize| {
            let waited = self.now.micros_since(self.places[self.candidate(class) as usize].since);
            (class as u64).saturating_mul(self.head_start).saturating_add(waited)
        };
        (lowest..self.classes.len())
            .filter(|class| self.classes[*class].waiting > 0)
            .max_by_key(|class| (merit(*class), *class))
    }

    /// Called after a turn was given to `class`.
    fn account(&mut self, class: usize) {
        let passed_over = self.classes[class + 1..].iter().any(|above| above.waiting > 0);
        if self.credit >= 1.0 && passed_over {
            self.credit -= 1.0;
        } else {
            self.credit = (self.credit + self.reserve).min(1.0);
        }
    }

    fn settle_down(&mut self, class: usize, deadline: Option<Instant>, item: T) -> Key {
        let deadline = deadline.unwrap_or(Instant::from_micros(u64::MAX));
        let youngest = self.classes[class].youngest;
        let place = self.place();
        let index = place as usize;
        let generation = self.places[index].generation;
        self.places[index] = Place {
            item: Some(item),
            generation,
            class: class as u8,
            since: self.now,
            deadline,
            before: youngest,
            after: NONE,
        };
        match self.places.get_mut(youngest as usize) {
            Some(youngest) => youngest.after = place,
            None => {
                self.classes[class].oldest = place;
                self.classes[class].standing.begin(self.now);
            }
        }
        self.classes[class].youngest = place;
        self.classes[class].waiting += 1;
        self.waiting += 1;
        Key { place, generation }
    }

    /// A free place, a new one if need be.
    fn place(&mut self) -> u32 {
        if let Some(place) = self.places.get(self.free as usize) {
            let free = self.free;
            self.free = place.after;
            return free;
        }
        self.places.push(Place {
            item: None,
            generation: 0,
            class: 0,
            since: Instant::ORIGIN,
            deadline: Instant::ORIGIN,
            before: NONE,
            after: NONE,
        });
        (self.places.len() - 1) as u32
    }

    fn take(&mut self, place: u32) -> Option<(T, Duration)> {
        let entry = self.places.get_mut(place as usize)?;
        let item = entry.item.take()?;
        let (before, after, class) = (entry.before, entry.after, usize::from(entry.class));
        let waited = self.now.since(entry.since);
        entry.generation = entry.generation.wrapping_add(1);
        entry.after = self.free;
        self.free = place;

        match self.places.get_mut(before as usize) {
            Some(before) => before.after = after,
            None => self.classes[class].oldest = after,
        }
        match self.places.get_mut(after as usize) {
            Some(after) => after.before = before,
            None => self.classes[class].youngest = before,
        }
        self.classes[class].waiting -= 1;
        self.waiting -= 1;
        if self.classes[class].waiting == 0 {
            self.classes[class].standing.end();
        }
        Some((item, waited))
    }
}

impl<T> Next<T> {
    /// Who it is, whatever his lot.
    pub fn into_item(self) -> T {
        match self {
            Next::Serve { item, .. } | Next::Late { item, .. } => item,
        }
    }
}

impl Class {
    const EMPTY: Class = Class { oldest: NONE, youngest: NONE, waiting: 0, standing: Standing::EMPTY };
}
