//! What a cache knows of the same cache on other nodes: whether it hears of their changes, and what a reader must not be
//! served who has made one of them.
//!
//! A reader's marks name the messages that tell of what it has changed. Once this node has heard a message, what it keeps
//! is as new. Until then everything that was loaded before the reader showed the mark may be older, for this reader; what
//! is loaded after that is not, because the change was committed before the reader had the mark. So one number per node is
//! enough: the version of the cache at which a mark was shown first.
//!
//! # Invariants
//! - A reader with marks never gets a value that was loaded before a change that one of the marks tells of, unless this node
//!   has heard of it and the value has survived that; neither fresh nor stale, neither from memory nor from a load under way.
//! - It waits for a message at most `own_write_wait`, and once per mark.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use burgeon_cluster::{NodeId, Stamp, State};
use burgeon_core::{Ctx, Deadline, Mark, Position};
use tokio::sync::broadcast;
use tokio::time::Instant;

use crate::far::{Burial, Named};
use crate::inner::Inner;
use crate::news::{About, Desk, Heard, Telling, What};
use crate::sync::{Mutex, hold};
use crate::tombstones::Reach;

/// One cache's part in the news.
pub(crate) struct Neighbours {
    pub(crate) desk: Arc<Desk>,
    pub(crate) about: About,
    shown: Mutex<HashMap<NodeId, Shown>>,
    /// Keys of which another node has made the load for all.
    pub(crate) arrivals: broadcast::Sender<u64>,
}

/// The furthest mark of a node that was shown before its message was heard.
#[derive(Debug, Clone, Copy)]
struct Shown {
    sequence: u64,
    floor: Position,
    /// What was loaded from this version on has it.
    version: u64,
}

/// Who waits for a load of another node looks by itself if so many others landed before.
const ARRIVALS: usize = 64;

/// Nodes whose marks are shown unheard: those that died with a message unsaid, mostly. Of more, one is forgotten, which
/// costs its clients a load.
const SHOWN: usize = 256;

impl Neighbours {
    pub(crate) fn new(desk: Arc<Desk>, about: About) -> Self {
        Self { desk, about, shown: Mutex::default(), arrivals: broadcast::Sender::new(ARRIVALS) }
    }

    pub(crate) fn are_heard(&self) -> bool {
        self.desk.is_whole()
    }

    /// Whether a mark was shown whose message is still to come.
    fn is_something_unheard(&self) -> bool {
        let mut shown = hold(&self.shown);
        let bus = self.desk.bus();
        shown.retain(|node, shown| !bus.has_applied(Stamp { node: *node, sequence: shown.sequence }));
        // Of those that are gone nothing comes any more.
        !shown.is_empty() && bus.heard().iter().any(|node| shown.contains_key(node))
    }

    /// The marks that were shown, whose messages are still to come. A doubt after that has made everything out of date, whatever
    /// they tell of.
    fn unheard(&self, doubted: u64) -> Vec<Mark> {
        let bus = self.desk.bus();
        let shown = hold(&self.shown);
        let unheard = shown.iter().filter(|(node, shown)| {
            let stamp = Stamp { node: **node, sequence: shown.sequence };
            shown.version > doubted && (!bus.has_applied(stamp) || self.desk.is_owed(**node))
        });
        unheard.map(|(node, shown)| Mark { node: node.bits(), sequence: shown.sequence }).collect()
    }

    fn knows(&self, stamp: Stamp, floor: Position) -> Option<u64> {
        let shown = hold(&self.shown).get(&stamp.node).copied()?;
        (shown.sequence >= stamp.sequence && shown.floor >= floor).then_some(shown.version)
    }
}

impl<K, V> Inner<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// Whether this reader has marks, which nearly none has. One atomic load.
    pub(crate) fn is_bound(&self, ctx: &Ctx) -> bool {
        self.neighbours.is_some() && ctx.is_marked()
    }

    /// From which version on what was loaded is new enough for this reader. Waits a moment for what was not heard yet.
    pub(crate) async fn least(&self, ctx: &Ctx) -> u64 {
        let Some(neighbours) = self.neighbours.as_ref().filter(|_| ctx.is_marked()) else { return 0 };
        let bus = neighbours.desk.bus();
        // What this node has done itself was done here before it was said.
        let others = || {
            let stamp = |mark: Mark| Stamp { node: NodeId::from_bits(mark.node), sequence: mark.sequence };
            ctx.marks().iter().map(stamp).filter(|stamp| stamp.node != bus.node()).collect::<Vec<_>>()
        };
        let floor = ctx.position();
        let mut least = 0;
        let until = Deadline::after(Instant::now().into_std(), self.config.own_write_wait);
        let until = ctx.deadline().map_or(until, |deadline| deadline.earlier(until));
        for stamp in others() {
            // It counts as heard also when it was lost, and then only once its sender has said how far it had come.
            let is_heard = || bus.has_applied(stamp) && !neighbours.desk.is_owed(stamp.node);
            if is_heard() {
                continue;
            }
            let version = match neighbours.knows(stamp, floor) {
                Some(version) => version,
                // A link that is down brings nothing within milliseconds.
                None if bus.state() != State::Cut && bus.applied(stamp, until).await && is_heard() => {
                    continue;
                }
                None => self.was_shown(neighbours, stamp, floor),
            };
            least = least.max(version);
        }
        // Last: a message that was lost counts as heard once everything was doubted.
        least.max(self.tombstones.doubted())
    }

    /// Whether this reader, or one before, knows of a change that this node has not heard of. Then the second tier may not have
    /// heard, either; and whoever knows of it may come aboard of anybody's flight.
    pub(crate) fn is_behind(&self, ctx: &Ctx) -> bool {
        let Some(neighbours) = &self.neighbours else { return false };
        if neighbours.is_something_unheard() {
            return true;
        }
        let bus = neighbours.desk.bus();
        ctx.marks().iter().any(|mark| {
            let node = NodeId::from_bits(mark.node);
            node != bus.node() && !bus.has_applied(Stamp { node, sequence: mark.sequence })
        })
    }

    /// See [`Neighbours::unheard`].
    pub(crate) fn unheard(&self) -> Vec<Mark> {
        let doubted = self.tombstones.doubted();
        self.neighbours.as_ref().map(|neighbours| neighbours.unheard(doubted)).unwrap_or_default()
    }

    fn was_shown(&self, neighbours: &Neighbours, stamp: Stamp, floor: Position) -> u64 {
        let mut shown = hold(&neighbours.shown);
        let version = self.tombstones.mark(floor);
        if shown.len() >= SHOWN
            && !shown.contains_key(&stamp.node)
            && let Some(any) = shown.keys().next().copied()
        {
            shown.remove(&any);
        }
        let known = shown.entry(stamp.node).or_insert(Shown { sequence: 0, floor, version });
        known.sequence = known.sequence.max(stamp.sequence);
        known.floor = known.floor.join(floor);
        known.version = version;
        self.meters.unheard.increment();
        version
    }

    /// Whether the second tier may hold what another node has invalidated, which this one has missed.
    pub(crate) fn has_missed_something(&self) -> bool {
        self.neighbours.as_ref().is_some_and(|neighbours| neighbours.desk.is_owed_anything())
    }

    /// Tells the other nodes what was done here.
    pub(crate) fn tell(&self, ctx: &Ctx, what: What, telling: Telling) {
        if let Some(neighbours) = &self.neighbours {
            neighbours.desk.say(ctx, neighbours.about, what, telling);
        }
    }

    /// Does what another node has done.
    pub(crate) fn hear(&self, heard: &Heard) {
        let (what, dialect, telling) = match heard {
            Heard::Change { what, dialect, telling } => (*what, *dialect, telling),
            Heard::Doubt { floor, is_far } => {
                if *is_far {
                    self.distrust_far(Named::Everything, Burial { reach: Reach::Expire, floor: *floor });
                }
                self.tombstones.doubt_everything(*floor);
                return;
            }
        };
        if telling.is_doubtful {
            // Before memory is changed: nothing old must come back from there.
            self.hear_doubt(what, telling);
        }
        if self.neighbours.as_ref().is_some_and(|neighbours| neighbours.about.dialect != dialect) {
            self.tombstones.bury_everything(Reach::Remove, telling.floor);
            return;
        }
        match what {
            What::Key(shared, reach) => self.change_hash(self.hashes.of_shared(shared), reach, telling.floor),
            What::Tag(shared, reach) => {
                self.tombstones.bury_tag(shared, reach, telling.floor);
            }
            What::All(reach) => {
                self.tombstones.bury_everything(reach, telling.floor);
            }
            // Nobody may wait for it.
            What::Arrived(shared) => drop(self.neighbours.as_ref().map(|it| it.arrivals.send(shared))),
            What::Ask(_) | What::Echo(_) => {}
        }
    }

    /// The second tier may hold what another node has invalidated and could not tell it. Exactly that is invalidated there from here,
    /// too, and not read from there before; what the message cannot name there is everything.
    fn hear_doubt(&self, what: What, Telling { floor, text, .. }: &Telling) {
        let (named, reach) = match (what, text) {
            (What::Key(_, reach), Some(text)) => (Named::Key(text), reach),
            (What::Tag(tag, reach), _) => (Named::Tag(tag), reach),
            (What::All(reach), _) => (Named::Everything, reach),
            (What::Key(..), None) => (Named::Everything, Reach::Remove),
            (What::Arrived(_) | What::Ask(_) | What::Echo(_), _) => return,
        };
        self.distrust_far(named, Burial { reach, floor: *floor });
    }
}
