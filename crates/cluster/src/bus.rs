//! The bus: tells something to every node.
//!
//! ```text
//!   publish ── outbox ──┬── own listeners
//!                       └── packets ── link ── every node's ear ── sources ── listeners
//! ```
//!
//! What this is: publish and subscribe, at most once, in each sender's order, with every loss noticed. What it is not: a
//! queue (who is away misses it), a store, or a way to send much (a message is at most 4 KiB; send a key, not a
//! value).
//!
//! Each node numbers what it says. Whoever hears a number beyond the next one has missed something, and its listeners get a
//! [`Gap`] before the message; a heartbeat carries the last number, so that silence hides nothing. What a listener knows
//! only from the bus it must then distrust: flush it, or read it again.
//!
//! # Invariants
//! - A listener hears each message at most once, and those of one node in the order in which that node said them.
//! - Between two messages of a node that a listener hears, either there was none, or it hears a gap.
//! - Own messages are heard like all others, also while the link is cut.
//! - Listeners are called one after the other, by one task: what they have seen, [`Bus::has_applied`] knows.
//! - The outbox is bounded. What falls out of it is a gap to the others.
//! - What a node of a newer version says, and this one does not understand, is counted and is a gap.
//!
//! # When it breaks
//! A cut link is noticed within three heartbeats, even if it looks open, because each node listens for its own. Then the
//! state is [`State::Cut`]; it is tried again with growing, random pauses, and once it is back every listener hears
//! [`Gap::Reconnected`]. A node that falls silent makes the state [`State::Partial`] until it speaks, says good-bye, or
//! the members know that it is gone.

mod config;
mod delivery;
mod hub;
mod link;
mod listeners;
mod meters;
mod outbox;
mod packet;
mod run;
mod sources;
mod subscription;

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burgeon_core::{Deadline, Error, Result};
use burgeon_meter::Meters;
use burgeon_runtime::{Restart, Tasks};
use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use self::listeners::Listeners;
use self::meters::BusMeters;
use self::outbox::Outbox;
use self::sources::Sources;
use crate::NodeId;

pub use config::Config;
pub use delivery::{Delivery, Gap, Message, Stamp};
pub use hub::{Fate, Hub};
pub use link::Link;
pub use listeners::Listening;
pub use subscription::{Received, Subscription};

/// The longest message, in bytes: with its head it fits into one Postgres notification, and so into any link.
pub const LONGEST: usize = 4 * 1024;

/// The longest name of a topic, in bytes.
pub const LONGEST_TOPIC: usize = 128;

/// One node's end of the bus. Cloning shares it.
#[derive(Clone)]
pub struct Bus(Arc<Shared>);

struct Shared {
    node: NodeId,
    config: Config,
    outbox: Outbox,
    listeners: Listeners,
    // Not a tokio mutex: nothing awaits under it.
    sources: Mutex<Sources>,
    /// Nodes that were forgotten, for the listeners to hear of. Bounded by the sources they came from.
    // Not a tokio mutex: nothing awaits under it.
    gone: Mutex<Vec<NodeId>>,
    /// Told after every step of the sources.
    stepped: Notify,
    state: AtomicU8,
    /// The last of this node's messages that the link has taken.
    sent: AtomicU64,
    meters: BusMeters,
}

/// How much of what others say is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// Everybody is heard.
    Whole = 0,
    /// A node has fallen silent without a good-bye: it may be dead, or cut off and still working.
    Partial = 1,
    /// Nobody is heard: the link is down.
    Cut = 2,
}

impl Bus {
    /// Joins the bus. The link is opened, and kept open, by a task of `tasks`.
    ///
    /// # Errors
    /// [`Kind::Invalid`](burgeon_core::Kind::Invalid) when the configuration makes no sense.
    pub fn join(link: Link, config: Config, tasks: &Tasks, meters: &Meters) -> Result<Self> {
        Self::join_as(NodeId::draw()?, link, config, tasks, meters)
    }

    /// As [`join`](Self::join), for a node that has its id already.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub fn join_as(node: NodeId, link: Link, config: Config, tasks: &Tasks, meters: &Meters) -> Result<Self> {
        config.validate().map_err(Error::invalid)?;
        let bus = Self(Arc::new(Shared {
            node,
            outbox: Outbox::new(node, config.outbox),
            listeners: Listeners::default(),
            sources: Mutex::new(Sources::new(node)),
            gone: Mutex::new(Vec::new()),
            stepped: Notify::new(),
            state: AtomicU8::new(State::Cut as u8),
            sent: AtomicU64::new(0),
            meters: BusMeters::new(meters, link.name()),
            config,
        }));
        let (running, stopping) = (bus.clone(), tasks.stopping());
        // Supervised for its panics only: a cut link is its own daily bread.
        let link = Arc::new(link);
        drop(tasks.supervise("cluster.bus", Restart::default(), move || {
            run::run(running.clone(), link.clone(), stopping.clone())
        }));
        Ok(bus)
    }

    /// This node.
    pub fn node(&self) -> NodeId {
        self.0.node
    }

    /// Tells every node, this one included. Returns at once: it is on its way, which is not to say that it arrives. What
    /// was lost is known to be lost by those who lost it.
    ///
    /// # Errors
    /// [`Kind::Invalid`](burgeon_core::Kind::Invalid) when payload or topic is too long.
    pub fn publish(&self, topic: impl Into<Arc<str>>, payload: impl Into<Bytes>) -> Result<Stamp> {
        let (topic, payload) = (topic.into(), payload.into());
        if payload.len() > LONGEST {
            return Err(Error::invalid(format!(
                "a message on the bus has at most {LONGEST} bytes, this one of `{topic}` has {}: send a key and let \
                 the others read the value",
                payload.len()
            )));
        }
        if topic.len() > LONGEST_TOPIC {
            return Err(Error::invalid(format!("a topic has at most {LONGEST_TOPIC} bytes")));
        }
        let (sequence, lost) = self.0.outbox.push(topic, payload);
        self.0.meters.published.increment();
        self.0.meters.overflowed.add(lost);
        Ok(Stamp { node: self.0.node, sequence })
    }

    /// Calls `hear` for every message on `topic` from now on, and for every gap, until what it returns is dropped.
    ///
    /// `hear` runs on the bus's task, which everybody waits for: it must be quick and must not block. Who has more to do
    /// takes a [`subscribe`](Self::subscribe). A panic in it is logged and otherwise ignored.
    pub fn listen(
        &self,
        topic: impl Into<Arc<str>>,
        hear: impl Fn(Delivery<'_>) + Send + Sync + 'static,
    ) -> Listening {
        self.0.listeners.add(topic.into(), hear)
    }

    /// A queue of what is said on `topic` from now on. What does not fit is dropped, and a gap stands in its place.
    pub fn subscribe(&self, topic: impl Into<Arc<str>>, capacity: usize) -> Subscription {
        Subscription::open(self, topic.into(), capacity)
    }

    /// How much of what others say is heard at this moment. One atomic load.
    pub fn state(&self) -> State {
        match self.0.state.load(Ordering::Acquire) {
            0 => State::Whole,
            1 => State::Partial,
            _ => State::Cut,
        }
    }

    /// Whether this node's listeners have seen that message, or know that they have missed it.
    pub fn has_applied(&self, stamp: Stamp) -> bool {
        self.0.sources().applied(stamp.node) >= stamp.sequence
    }

    /// Waits until [`has_applied`](Self::has_applied) or the deadline, and says which.
    pub async fn applied(&self, stamp: Stamp, until: Deadline) -> bool {
        let applied = self.until(|bus| bus.has_applied(stamp));
        timeout_at(Instant::from_std(until.instant()), applied).await.is_ok()
    }

    /// Waits until the link has taken all that this node has said so far, or the deadline, and says which. For a process
    /// that ends soon after it has said something.
    pub async fn flushed(&self, until: Deadline) -> bool {
        let last = self.0.outbox.last();
        let sent = self.until(move |bus| bus.0.sent.load(Ordering::Acquire) >= last);
        timeout_at(Instant::from_std(until.instant()), sent).await.is_ok()
    }

    /// Resolves once everybody is heard.
    pub async fn whole(&self) {
        self.until(|bus| bus.state() == State::Whole).await;
    }

    /// The nodes heard of, this one not included, that have neither said good-bye nor been forgotten.
    pub fn heard(&self) -> Vec<NodeId> {
        self.0.sources().nodes()
    }

    /// Forgets whoever is silent and not among those who live, so that its silence counts no more. Listeners hear
    /// [`Gap::Missed`]: it left without a good-bye, and may have done something that it did not come to tell.
    ///
    /// To be said again and again, as the list of members does: a message of a dead node that was long on its way brings it
    /// back to mind, and nothing else would end its silence.
    pub fn forget_gone(&self, living: &[NodeId]) {
        let (now, silence) = (Instant::now().into_std(), self.0.config.silence());
        let is_anyone_silent = {
            let mut sources = self.0.sources();
            let gone = sources.forget_gone(living, now, silence);
            if gone.is_empty() {
                return;
            }
            self.0.gone().extend(gone);
            sources.anyone_silent(now, silence)
        };
        // The bus's task tells them, as it tells everything.
        self.0.outbox.wake();
        if !is_anyone_silent && self.state() == State::Partial {
            self.set_state(State::Whole);
        }
    }

    /// Resolves once `met` holds. It is asked now, and after every message, heartbeat and change of state.
    pub async fn until(&self, met: impl Fn(&Bus) -> bool) {
        loop {
            let stepped = self.0.stepped.notified();
            let mut stepped = std::pin::pin!(stepped);
            // Registered before the look, so that no step between look and wait is missed.
            stepped.as_mut().enable();
            if met(self) {
                return;
            }
            stepped.await;
        }
    }

    fn set_state(&self, state: State) {
        self.0.state.store(state as u8, Ordering::Release);
        self.0.meters.state.set(state as i64);
        self.0.stepped.notify_waiters();
    }
}

impl Shared {
    fn gone(&self) -> MutexGuard<'_, Vec<NodeId>> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sources(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bus")
            .field("node", &self.0.node)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
