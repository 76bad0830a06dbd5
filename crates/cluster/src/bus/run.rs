//! The life of a node on the bus: open the link, talk over it until it breaks, open it again.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use burgeon_core::{Cancel, Error, Result};
use burgeon_resilience::backoff::Backoff;
use burgeon_resilience::random::Dice;
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _, OptionFuture};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::delivery::{Gap, Message, Stamp};
use super::link::{Ear, Link, Mouth};
use super::packet::{Frame, LONGEST_PACKET, Read, Said, frames};
use super::sources::Verdict;
use super::{Bus, Shared, State};

/// A broker that is back is found within this, and not by all nodes at once.
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(50), cap: Duration::from_secs(1) };
/// How long good-bye may take.
const GOODBYE: Duration = Duration::from_millis(500);

/// Runs until `stopping`.
pub(super) async fn run(bus: Bus, link: Arc<Link>, stopping: Cancel) -> Result<()> {
    let mut speaker = Speaker { bus: bus.clone(), unsent: VecDeque::new(), on_the_way: 0 };
    let dice = Dice::seeded(bus.node().bits() as u64);
    let (mut failures, mut has_been_whole) = (0, false);
    loop {
        let opened = tokio::select! {
            opened = link.open() => opened,
            never = speaker.listen_to_own() => match never {},
            () = stopping.cancelled() => return Ok(()),
        };
        let broke = match opened {
            Ok((mouth, ear)) => {
                let opened = Instant::now();
                if bus.0.connected(has_been_whole) {
                    tracing::info!("the bus is heard again");
                }
                has_been_whole = true;
                let ended = speaker.converse(mouth, ear, &stopping).await;
                // A link that opens and breaks at once is no better than one that does not open.
                if opened.elapsed() > bus.0.config.silence() {
                    failures = 0;
                }
                match ended {
                    Ok(()) => return Ok(()),
                    Err(broke) => broke,
                }
            }
            Err(refused) => refused,
        };
        if bus.state() != State::Cut {
            bus.set_state(State::Cut);
            tracing::warn!(error = broke.detail(), "the bus is cut: nodes go on alone until it is back");
        }
        let pause = BACKOFF.delay(failures, dice.roll());
        failures += 1;
        tokio::select! {
            () = sleep(pause) => {}
            never = speaker.listen_to_own() => match never {},
            () = stopping.cancelled() => return Ok(()),
        }
    }
}

/// What this node says, from the outbox to the link.
struct Speaker {
    bus: Bus,
    /// Heard by this node's listeners, not known to be heard by others.
    unsent: VecDeque<Frame>,
    /// How many of `unsent`, from the front, are in the packet under way.
    on_the_way: usize,
}

impl Speaker {
    /// Talks until the link breaks, which is an error, or the node stops.
    async fn converse(&mut self, mouth: Mouth, mut ear: Ear, stopping: &Cancel) -> Result<()> {
        let bus = self.bus.clone();
        let mouth = Arc::new(mouth);
        let mut beat = interval(bus.0.config.heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard_self = Instant::now();
        let mut said_at = None;
        self.on_the_way = 0;
        let mut saying: OptionFuture<BoxFuture<'_, Result<()>>> = None.into();
        let mut is_saying = false;
        // What was left from before the link broke, and whatever was said since.
        self.take_own();
        loop {
            if !is_saying && !self.unsent.is_empty() {
                let (mouth, packet) = (mouth.clone(), self.packet());
                saying = Some(async move { mouth.say(packet).await }.boxed()).into();
                is_saying = true;
                bus.0.meters.packets.increment();
            }
            tokio::select! {
                packet = ear.hear() => {
                    if bus.0.hear(packet?) {
                        heard_self = Instant::now();
                        if let Some(said_at) = said_at.take() {
                            bus.0.meters.round_trip.record(heard_self.duration_since(said_at));
                        }
                    }
                }
                Some(said) = &mut saying, if is_saying => {
                    is_saying = false;
                    saying = None.into();
                    // On an error the frames stay, and are said again: who has heard them knows their numbers.
                    said?;
                    self.has_sent();
                }
                () = bus.0.outbox.filled() => self.take_own(),
                _ = beat.tick() => {
                    if heard_self.elapsed() > bus.0.config.silence() {
                        return Err(Error::unavailable("the link looks open, but this node does not hear itself on it"));
                    }
                    self.take_own();
                    self.push(Said::Beat);
                    said_at.get_or_insert_with(Instant::now);
                    bus.0.look_around();
                }
                () = stopping.cancelled() => {
                    self.take_own();
                    self.push(Said::Bye);
                    let farewell = async {
                        if let Some(said) = saying.await {
                            said?;
                            self.has_sent();
                        }
                        while !self.unsent.is_empty() {
                            let packet = self.packet();
                            mouth.say(packet).await?;
                            self.has_sent();
                        }
                        Ok::<_, Error>(())
                    };
                    if !matches!(timeout(GOODBYE, farewell).await, Ok(Ok(()))) {
                        tracing::debug!("left the bus without a good-bye");
                    }
                    return Ok(());
                }
            }
        }
    }

    /// While there is no link, this node still hears itself. Never resolves. Cancel-safe.
    async fn listen_to_own(&mut self) -> Infallible {
        loop {
            self.take_own();
            self.bus.0.outbox.filled().await;
        }
    }

    /// Lets this node's listeners hear what it has said, and keeps it for the others.
    fn take_own(&mut self) {
        for node in std::mem::take(&mut *self.bus.0.gone()) {
            self.bus.0.missed(Stamp { node, sequence: 0 });
        }
        for frame in self.bus.0.outbox.take() {
            self.bus.0.deliver_own(&frame);
            self.keep(frame);
        }
    }

    fn push(&mut self, said: Said) {
        // Behind what was taken, so that the number says nothing that is not said before it.
        let sequence = self.bus.0.sources().applied(self.bus.node());
        self.keep(Frame { stamp: Stamp { node: self.bus.node(), sequence }, said });
    }

    fn keep(&mut self, frame: Frame) {
        if self.unsent.len() >= self.bus.0.config.outbox {
            // Not one that is on its way: its place in the queue is counted.
            let oldest = self.on_the_way;
            if self.unsent.remove(oldest).is_some_and(|lost| matches!(lost.said, Said::Message { .. })) {
                self.bus.0.meters.overflowed.increment();
            }
        }
        self.unsent.push_back(frame);
    }

    /// The packet under way has been taken by the link.
    fn has_sent(&mut self) {
        // A beat carries the number of the message before it.
        if let Some(last) = self.unsent.drain(..self.on_the_way).last() {
            self.bus.0.sent.fetch_max(last.stamp.sequence, Ordering::AcqRel);
            self.bus.0.stepped.notify_waiters();
        }
        self.on_the_way = 0;
    }

    /// As many frames as fit.
    fn packet(&mut self) -> Bytes {
        let mut packet = Vec::new();
        self.on_the_way = 0;
        for frame in &self.unsent {
            if packet.len() + frame.size() > LONGEST_PACKET {
                break;
            }
            frame.write(&mut packet);
            self.on_the_way += 1;
        }
        packet.into()
    }
}

impl Shared {
    /// The link is open. Answers whether that ended a cut, which listeners are told of.
    fn connected(&self, again: bool) -> bool {
        self.sources().excuse(Instant::now().into_std());
        // The gap first: who reads "whole" must not meet what is out of date since the cut.
        if again {
            self.meters.reconnected.increment();
            self.listeners.gap(Gap::Reconnected);
        }
        self.meters.state.set(State::Whole as i64);
        self.state.store(State::Whole as u8, Ordering::Release);
        self.stepped.notify_waiters();
        again
    }

    fn deliver_own(&self, frame: &Frame) {
        let Said::Message { topic, payload } = &frame.said else { return };
        let (topic, payload) = (topic.clone(), payload.clone());
        // Some before it fell out of the outbox: said faster than even this node could hear.
        let is_next = frame.stamp.sequence == self.sources().applied(self.node) + 1;
        if !is_next {
            self.missed(frame.stamp);
        }
        self.listeners.message(&Message { stamp: frame.stamp, topic, payload, is_own: true });
        self.sources().heard_own(frame.stamp.sequence);
        self.stepped.notify_waiters();
    }

    /// Hears a packet. Answers whether it is this node's own.
    fn hear(&self, packet: Bytes) -> bool {
        let mut is_own = false;
        for read in frames(packet) {
            match read {
                Read::Frame(frame) if frame.stamp.node == self.node => is_own = true,
                Read::Frame(frame) => self.hear_other(frame),
                Read::Unknown(stamp) => {
                    self.meters.skipped.increment();
                    self.hear_of(stamp, Instant::now().into_std());
                }
                Read::Nonsense => self.meters.skipped.increment(),
            }
        }
        self.stepped.notify_waiters();
        is_own
    }

    fn hear_other(&self, frame: Frame) {
        let stamp = frame.stamp;
        let now = Instant::now().into_std();
        match frame.said {
            Said::Message { topic, payload } => {
                let verdict = self.sources().judge(stamp);
                match verdict {
                    Verdict::Old => return self.meters.repeated.increment(),
                    Verdict::AfterGap => self.missed(stamp),
                    Verdict::Next => {}
                }
                self.meters.received.increment();
                self.listeners.message(&Message { stamp, topic, payload, is_own: false });
                // Only now: who asks whether it was applied must find it applied.
                self.sources().apply(stamp, now);
            }
            Said::Beat => self.hear_of(stamp, now),
            Said::Bye => {
                let is_ahead = self.sources().is_ahead(stamp);
                if is_ahead {
                    self.missed(stamp);
                }
                self.sources().forget(stamp.node);
            }
        }
    }

    /// Somebody has said that much, of which this node cannot hear more than that.
    fn hear_of(&self, stamp: Stamp, now: std::time::Instant) {
        let is_ahead = self.sources().is_ahead(stamp);
        if is_ahead {
            self.missed(stamp);
        }
        self.sources().apply(stamp, now);
    }

    fn missed(&self, stamp: Stamp) {
        self.meters.missed.increment();
        self.listeners.gap(Gap::Missed(stamp.node));
    }

    /// Whether somebody has fallen silent, or speaks again.
    fn look_around(&self) {
        let silent = self.sources().anyone_silent(Instant::now().into_std(), self.config.silence());
        let state = if silent { State::Partial } else { State::Whole };
        let before = self.state.swap(state as u8, Ordering::Release);
        self.meters.state.set(state as i64);
        if before != state as u8 {
            self.stepped.notify_waiters();
        }
    }
}
