//! What the caches of one node tell those of the others, and hear from them.
//!
//! ```text
//!   invalidate ── here ── say ── bus ──▶ hear ── the same there: generation, then entry
//!                          │
//!                          └─ the mark of the message: into the context of whoever did it
//! ```
//!
//! What this is: one listener and one mouth per node for all its caches. Nothing waits: the message has a number before it
//! is on its way, and the number is what a reader elsewhere must have heard ([`Ctx::mark`]).
//!
//! # Invariants
//! - What is said has been done here before. So this node's own messages say nothing to it.
//! - Neighbours hear of changes in the order in which they were made here, whichever caches they are of ([`order`]).
//! - A message that has not left covers whatever happens to the same key until it leaves or one of another cache comes behind it: nobody
//!   has heard it, so whoever hears it does so later. That is how messages of one key, and of a thousand keys of one cache,
//!   become one.
//! - What was lost, or is not understood, may have told of anything: every value is out of date then. And it may have told of
//!   a commit that a replica has not replayed: so each message says how far its sender has ever told of, and until a node
//!   that was missed has said so anew, it is owed, and what is loaded meanwhile is loaded once more afterwards.
//! - And it may have told of what the second tier still holds. So each message says whether the second tier has all that its sender has
//!   told of; while a node is owed, the second tier is not asked, and everything there counts as out of date if the answer is no, or
//!   if there comes none, because the node is gone.
//!
//! # When it breaks
//! While not every node is heard ([`News::Aging`]) no value is served that is older than `age_unheard`. When the link is
//! back, all that came before is loaded anew. Both heal by themselves.

mod message;
mod order;
mod outbox;
mod owed;

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::BuildHasher;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use burgeon_cluster::bus::Listening;
use burgeon_cluster::{Bus, Delivery, Gap, NodeId, Stamp, State};
use burgeon_core::{Ctx, Mark, Position};
use burgeon_meter::{Counter, Histogram, Meters};
use burgeon_resilience::random::Dice;
use burgeon_runtime::Tasks;
use foldhash::quality::RandomState;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use self::message::Item;
pub(crate) use self::message::{About, Message, What};
pub(crate) use self::order::{Order, Out};
pub(crate) use self::outbox::{Outbox, keep};
use self::owed::Owed;
use crate::caches::Rank;
use crate::far::Unsettled;
use crate::sync::{Mutex, Ordering, RwLock, hold, read, write};
use crate::tombstones::Reach;

/// What the caches of this node know of what happens on others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// There are no others to hear.
    Alone,
    /// All are heard.
    Whole,
    /// Not all are heard: values are served for a few seconds only.
    Aging,
}

/// What a cache hears.
#[derive(Debug, Clone)]
pub(crate) enum Heard {
    /// Another node changed something, in this dialect, behind this commit.
    Change { what: What, dialect: u32, telling: Telling },
    /// Something was said that was not heard or not understood. Who loads anew must have come at least this far. `is_far`: the second
    /// tier may hold what it told of.
    Doubt { floor: Position, is_far: bool },
}

/// What goes with a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Telling {
    /// How far the database must be for whoever loads anew.
    pub(crate) floor: Position,
    /// Whether the second tier may still hold what was there before.
    pub(crate) is_doubtful: bool,
    /// What the second tier calls the key, where that is of use. In doubt without it, all that is named is.
    pub(crate) text: Option<Arc<str>>,
}

type Ear = Arc<dyn Fn(&Heard) + Send + Sync>;

/// The caches of this node.
#[derive(Default)]
pub(crate) struct Ears {
    /// With the hashes of their names, what others are made of before what is made of it: whatever concerns all is done in this order.
    of_caches: RwLock<Vec<(Rank, u64, Ear)>>,
    unsettled: Unsettled,
}

/// This node's end.
pub(crate) struct Desk {
    bus: Bus,
    ears: Arc<Ears>,
    waiting: Mutex<Waiting>,
    /// Nodes of which something was missed, and which have not said since how far they had come.
    owed: Owed,
    /// Told when one is no longer owed.
    paid: Notify,
    tasks: Tasks,
    dice: Dice,
    pub(crate) outbox: Outbox,
    pub(crate) order: Order,
    meters: NewsMeters,
    listening: OnceLock<Listening>,
    own: OnceLock<Weak<Desk>>,
    is_demanding: AtomicBool,
}

/// What was said and has not left yet.
#[derive(Default)]
struct Waiting {
    queue: VecDeque<(u64, Subject)>,
    latest: HashMap<Subject, (u64, Telling)>,
    /// The furthest commit that was told of.
    high: Position,
    /// The cache that the last message was about, and the last message that was about another one.
    last: Option<About>,
    before: u64,
    /// The last question that others answer, and when it was asked.
    asked: Option<(u64, Instant)>,
}

type Subject = (About, What);

struct NewsMeters {
    said: Counter,
    covered: Counter,
    storms: Counter,
    heard: Counter,
    foreign: Counter,
    doubts: Counter,
    lag: Histogram,
}

/// What questions are about that are about no cache.
const NOBODY: About = About { cache: 0, dialect: 0 };

const TOPIC: &str = "cache";

/// With so many messages on their way, one that tells of the whole cache is cheaper for everybody.
const STORM: usize = 1_024;

/// So often at most the others are asked how long a message took.
const ASKS: Duration = Duration::from_secs(1);

impl Ears {
    pub(crate) fn add(&self, rank: Rank, cache: u64, ear: impl Fn(&Heard) + Send + Sync + 'static) {
        let mut all = write(&self.of_caches);
        let place = all.partition_point(|(other, ..)| *other <= rank);
        all.insert(place, (rank, cache, Arc::new(ear)));
    }

    /// What these caches have told and the second tier does not have.
    pub(crate) fn unsettled(&self) -> &Unsettled {
        &self.unsettled
    }

    /// Every value of every cache may be out of date, by what was committed up to `floor`; with `is_far` in the second tier, too.
    pub(crate) fn doubt(&self, floor: Position, is_far: bool) {
        let all = read(&self.of_caches).clone();
        all.iter().for_each(|(.., ear)| ear(&Heard::Doubt { floor, is_far }));
    }

    fn tell(&self, cache: u64, heard: &Heard) {
        let of_it = |(_, other, ear): &(Rank, u64, Ear)| (*other == cache).then(|| ear.clone());
        let ears: Vec<Ear> = read(&self.of_caches).iter().filter_map(of_it).collect();
        ears.iter().for_each(|ear| ear(heard));
    }
}

impl Desk {
    pub(crate) fn open(bus: &Bus, ears: &Arc<Ears>, tasks: &Tasks, meters: &Meters) -> Arc<Self> {
        let desk = Arc::new(Self {
            bus: bus.clone(),
            ears: ears.clone(),
            waiting: Mutex::default(),
            owed: Owed::default(),
            paid: Notify::new(),
            tasks: tasks.clone(),
            // Nodes must not ask under the same numbers.
            dice: Dice::seeded(RandomState::default().hash_one(bus.node())),
            outbox: Outbox::default(),
            order: Order::default(),
            meters: NewsMeters::new(meters),
            listening: OnceLock::new(),
            own: OnceLock::new(),
            is_demanding: AtomicBool::new(false),
        });
        let weak: Weak<Self> = Arc::downgrade(&desk);
        let listening = bus.listen(TOPIC, move |delivery| {
            if let Some(desk) = weak.upgrade() {
                desk.listen(delivery);
            }
        });
        // Set once, here.
        drop((desk.listening.set(listening), desk.own.set(Arc::downgrade(&desk))));
        desk
    }

    pub(crate) fn bus(&self) -> &Bus {
        &self.bus
    }

    /// Whether every node is heard, and none is owed. Every hit asks: two atomic loads.
    pub(crate) fn is_whole(&self) -> bool {
        self.bus.state() == State::Whole && !self.owed.is_anybody()
    }

    /// Whether something of that node was missed that it has not made up for.
    pub(crate) fn is_owed(&self, node: NodeId) -> bool {
        self.owed.contains(node)
    }

    /// Whether something was missed of any node that it has not made up for: the second tier must not be asked.
    pub(crate) fn is_owed_anything(&self) -> bool {
        self.owed.is_anybody()
    }

    /// Tells the others what was done here, and marks the context of whoever did it.
    pub(crate) fn say(&self, ctx: &Ctx, about: About, what: What, telling: Telling) {
        let Some(sequence) = self.number(about, what, telling) else { return };
        ctx.mark(Mark { node: self.bus.node().bits(), sequence });
    }

    /// The number of the message that tells it: a new one, or one that covers it.
    fn number(&self, about: About, what: What, telling: Telling) -> Option<u64> {
        // Held while the message gets its number, so that the queue is in their order.
        let mut waiting = hold(&self.waiting);
        let (what, telling) = match waiting.queue.len() {
            many if many >= STORM => (What::All(Reach::Remove), Telling { text: None, ..telling }),
            _ => (what, telling),
        };
        if let Some(sequence) = waiting.covers(about, what, &telling) {
            self.meters.covered.increment();
            return Some(sequence);
        }
        if waiting.queue.len() >= STORM {
            self.meters.storms.increment();
        }
        let mut items = vec![Item { about, what }];
        items.extend(self.ask(&mut waiting, about));
        waiting.high = waiting.high.join(telling.floor);
        let telling = Telling { floor: waiting.high, ..telling };
        let stamp = self.publish(telling.clone().message(items))?;
        waiting.said(stamp.sequence, about, what, telling);
        Some(stamp.sequence)
    }

    /// Says what another process has written down and not said, and does it here. What is said has come as far as `floor`.
    pub(crate) fn say_again(&self, written: &[u8], floor: Position) {
        let Some(mut message) = Message::read(written) else {
            // Of a newer version: its own nodes will understand the row no sooner than they hear that something was missed.
            self.meters.foreign.increment();
            // Who died may not have come to tell the second tier.
            self.ears.doubt(floor, true);
            return;
        };
        // Who died may not have come to tell the second tier.
        message.is_doubtful = true;
        message.floor = {
            let mut waiting = hold(&self.waiting);
            waiting.high = waiting.high.join(message.floor).join(floor);
            waiting.high
        };
        self.apply(&message);
        let _in_turn = hold(&self.waiting);
        self.publish(message);
    }

    /// Tells the nodes that a load for all of them has ended.
    pub(crate) fn say_arrived(&self, about: About, key: u64) {
        self.say_beside(vec![Item { about, what: What::Arrived(key) }]);
    }

    /// Says what is no change.
    fn say_beside(&self, items: Vec<Item>) {
        let waiting = hold(&self.waiting);
        self.publish(Telling::sure(waiting.high).message(items));
    }

    /// Under the lock of those that wait: of two messages the later one knows at least of what the earlier one told.
    fn publish(&self, mut message: Message) -> Option<Stamp> {
        message.is_settled = self.ears.unsettled.is_none();
        match self.bus.publish(TOPIC, message.write()) {
            Ok(stamp) => {
                self.meters.said.increment();
                Some(stamp)
            }
            Err(error) => {
                // It is never too long; should it be, the others notice nothing, so somebody must.
                tracing::error!(error = error.detail(), "an invalidation was not told to the other nodes");
                None
            }
        }
    }

    /// Now and then a message asks to be answered.
    fn ask(&self, waiting: &mut Waiting, about: About) -> Option<Item> {
        let now = Instant::now();
        if waiting.asked.is_some_and(|(_, at)| now.duration_since(at) < ASKS) {
            return None;
        }
        let number = self.dice.roll();
        waiting.asked = Some((number, now));
        Some(Item { about, what: What::Ask(number) })
    }

    fn listen(&self, delivery: Delivery<'_>) {
        match delivery {
            // Before anybody else has heard it: from now on it covers nothing.
            Delivery::Message(message) if message.is_own => hold(&self.waiting).left(message.stamp.sequence),
            Delivery::Message(message) => match Message::read(&message.payload) {
                Some(read) => {
                    self.pays(message.stamp.node, &read);
                    self.apply(&read);
                }
                None => {
                    self.meters.foreign.increment();
                    self.ears.doubt(Position::START, Message::is_doubtful_in_any(&message.payload));
                }
            },
            // What this node could not say, it has done.
            Delivery::Gap(Gap::Missed(node)) if node == self.bus.node() => {}
            Delivery::Gap(gap) => {
                self.meters.doubts.increment();
                let missed = match gap {
                    Gap::Missed(node) => vec![node],
                    Gap::Reconnected | Gap::Overflowed => self.bus.heard(),
                };
                // Owed first: who finds nothing owed finds everything doubted.
                self.owed.add(missed);
                self.ears.doubt(Position::START, false);
                self.demand();
            }
        }
    }

    /// A node of which something was missed has said how far it has come: that and all before it.
    fn pays(&self, node: NodeId, said: &Message) {
        if self.is_owed(node) {
            // Once more, for what was loaded since from a copy that lags.
            self.ears.doubt(said.floor, !said.is_settled);
            self.owed.strike_off(&[node]);
            self.paid.notify_waiters();
        }
    }

    /// Asks those who are owed to say something, until they have, or are gone.
    fn demand(&self) {
        let Some(desk) = self.own.get().and_then(Weak::upgrade) else { return };
        if desk.is_demanding.swap(true, Ordering::AcqRel) {
            return;
        }
        let stopping = self.tasks.stopping();
        drop(self.tasks.spawn("cache.news", async move {
            while !desk.is_even() && !stopping.is_cancelled() {
                let paid = desk.paid.notified();
                let items = vec![Item { about: NOBODY, what: What::Ask(desk.dice.roll()) }];
                desk.say_beside(items);
                // One word is enough of each; a lost question is asked again.
                drop(timeout(ASKS, paid).await);
            }
            desk.is_demanding.store(false, Ordering::Release);
            // One that came in between has found this at work.
            if !desk.is_even() && !stopping.is_cancelled() {
                desk.demand();
            }
        }));
    }

    /// Whether nobody is owed who could still pay.
    fn is_even(&self) -> bool {
        let heard: HashSet<NodeId> = self.bus.heard().into_iter().collect();
        let gone = self.owed.beside(&heard);
        if !gone.is_empty() {
            // Nobody can be asked any more what they did not come to tell the second tier.
            self.ears.doubt(Position::START, true);
        }
        self.owed.strike_off(&gone);
        !self.owed.is_anybody()
    }

    fn apply(&self, message: &Message) {
        self.meters.heard.increment();
        for Item { about, what } in &message.items {
            match *what {
                What::Ask(number) => {
                    let items = vec![Item { about: *about, what: What::Echo(number) }];
                    self.say_beside(items);
                }
                What::Echo(number) => {
                    let asked = hold(&self.waiting).asked.filter(|(asked, _)| *asked == number);
                    if let Some((_, at)) = asked {
                        self.meters.lag.record(at.elapsed());
                    }
                }
                what => {
                    let (floor, is_doubtful) = (message.floor, message.is_doubtful);
                    let telling = Telling { floor, is_doubtful, text: message.text.clone() };
                    let heard = Heard::Change { what, dialect: about.dialect, telling };
                    self.ears.tell(about.cache, &heard);
                }
            }
        }
    }
}

impl Telling {
    /// Behind this commit, and done in the second tier, if there is one.
    pub(crate) const fn sure(floor: Position) -> Self {
        Self { floor, is_doubtful: false, text: None }
    }

    /// Behind this commit, and the second tier may not have it.
    pub(crate) const fn doubtful(floor: Position, text: Option<Arc<str>>) -> Self {
        Self { floor, is_doubtful: true, text }
    }

    /// The one message of a change whose commit is still to come. Whoever says it for one who died must know what the second tier
    /// calls the key.
    pub(crate) fn before_commit(about: About, what: What, text: Option<Arc<str>>) -> Message {
        Self { text, ..Self::sure(Position::START) }.message(vec![Item { about, what }])
    }

    fn message(self, items: Vec<Item>) -> Message {
        Message {
            floor: self.floor,
            is_doubtful: self.is_doubtful,
            is_settled: false,
            text: self.text,
            items,
        }
    }

    /// Whether it says as much. Keys of one hash may have several texts.
    fn covers(&self, other: &Self) -> bool {
        let is_doubted = self.is_doubtful && (self.text.is_none() || self.text == other.text);
        self.floor >= other.floor && (is_doubted || !other.is_doubtful)
    }
}

impl Waiting {
    /// The message that tells at least as much and has not left.
    fn covers(&self, about: About, what: What, telling: &Telling) -> Option<u64> {
        let stronger = match what {
            What::Key(hash, _) => [Some(What::Key(hash, Reach::Remove)), Some(What::All(Reach::Remove))],
            What::Tag(hash, _) => [Some(What::Tag(hash, Reach::Remove)), Some(What::All(Reach::Remove))],
            What::All(_) => [Some(What::All(Reach::Remove)), None],
            What::Arrived(_) | What::Ask(_) | What::Echo(_) => return None,
        };
        let known = |what: What| self.latest.get(&(about, what)).filter(|(_, known)| known.covers(telling));
        let same = std::iter::once(what).chain(stronger.into_iter().flatten());
        let since = if self.last == Some(about) { self.before } else { u64::MAX };
        same.filter_map(known).map(|(sequence, _)| *sequence).find(|sequence| *sequence > since)
    }

    /// This message came behind all others.
    fn said(&mut self, sequence: u64, about: About, what: What, telling: Telling) {
        if self.last != Some(about) {
            // What stood there until now was of another one.
            self.before = sequence - 1;
            self.last = Some(about);
        }
        self.queue.push_back((sequence, (about, what)));
        self.latest.insert((about, what), (sequence, telling));
    }

    fn left(&mut self, sequence: u64) {
        while self.queue.front().is_some_and(|(first, _)| *first <= sequence) {
            let Some((first, subject)) = self.queue.pop_front() else { return };
            // A later one of the same subject may still wait.
            if self.latest.get(&subject).is_some_and(|(latest, _)| *latest == first) {
                self.latest.remove(&subject);
            }
        }
    }
}

impl NewsMeters {
    fn new(meters: &Meters) -> Self {
        let news = |what| {
            meters.counter(
                "cache_news_total",
                "Messages about caches: said, saved because one on its way tells it, said for a whole cache because there \
                 were too many, heard, not understood; and times that something was missed.",
                &[("what", what)],
            )
        };
        Self {
            said: news("said"),
            covered: news("covered"),
            storms: news("storm"),
            heard: news("heard"),
            foreign: news("not_understood"),
            doubts: news("missed"),
            lag: meters.histogram(
                "cache_invalidation_seconds",
                "From an invalidation here until another node's word that it has applied it: the way there and back, of \
                 one message a second.",
                &[],
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABOUT: About = About { cache: 1, dialect: 2 };

    fn at(lsn: u64) -> Telling {
        Telling::sure(Position { timeline: 1, lsn })
    }

    #[test]
    fn a_message_covers_what_is_weaker_and_earlier_until_it_leaves() {
        let mut waiting = Waiting::default();
        let say =
            |waiting: &mut Waiting, sequence, what, telling| waiting.said(sequence, ABOUT, what, telling);
        say(&mut waiting, 1, What::Key(7, Reach::Remove), at(5));
        assert_eq!(waiting.covers(ABOUT, What::Key(7, Reach::Expire), &at(5)), Some(1));
        assert_eq!(waiting.covers(ABOUT, What::Key(7, Reach::Remove), &at(6)), None);
        let doubtful = Telling { is_doubtful: true, ..at(5) };
        assert_eq!(waiting.covers(ABOUT, What::Key(7, Reach::Remove), &doubtful), None);
        assert_eq!(waiting.covers(ABOUT, What::Key(8, Reach::Remove), &at(5)), None);
        assert_eq!(waiting.covers(ABOUT, What::All(Reach::Remove), &at(5)), None);
        say(&mut waiting, 2, What::Key(7, Reach::Remove), at(6));
        waiting.left(1);
        assert_eq!(waiting.covers(ABOUT, What::Key(7, Reach::Remove), &at(6)), Some(2));
        say(&mut waiting, 3, What::All(Reach::Remove), at(6));
        assert_eq!(waiting.covers(ABOUT, What::Tag(9, Reach::Remove), &at(6)), Some(3));
        assert_eq!(waiting.covers(About { cache: 3, dialect: 2 }, What::Tag(9, Reach::Remove), &at(6)), None);
        waiting.left(3);
        assert!(waiting.queue.is_empty() && waiting.latest.is_empty());
    }

    #[test]
    fn a_message_covers_nothing_that_comes_after_one_of_another_cache() {
        let (mut waiting, other) = (Waiting::default(), About { cache: 3, dialect: 2 });
        let page = What::Key(7, Reach::Remove);
        waiting.said(1, other, page, at(5));
        waiting.said(2, ABOUT, page, at(5));
        assert_eq!(waiting.covers(other, page, &at(5)), None);
        assert_eq!(waiting.covers(ABOUT, page, &at(5)), Some(2));
        waiting.said(3, other, page, at(5));
        assert_eq!(waiting.covers(other, page, &at(5)), Some(3));
        assert_eq!(waiting.covers(ABOUT, page, &at(5)), None);
    }

    #[test]
    fn a_doubt_covers_that_of_its_own_key_and_one_of_everything_covers_all() {
        let doubt = |text: Option<&str>| Telling { is_doubtful: true, text: text.map(Into::into), ..at(5) };
        assert!(doubt(Some("a")).covers(&doubt(Some("a"))) && doubt(Some("a")).covers(&at(5)));
        assert!(!doubt(Some("a")).covers(&doubt(Some("b"))) && !doubt(Some("a")).covers(&doubt(None)));
        assert!(doubt(None).covers(&doubt(Some("b"))) && !at(5).covers(&doubt(Some("a"))));
    }
}
