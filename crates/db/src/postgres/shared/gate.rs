//! The places on the shared connections, and the line of those who wait for one.
//!
//! A place is held from before a statement is sent until the server has answered it, whether or not anybody still
//! waits for the answer: what is under way on a connection is bounded, and with it what a statement may have before it.
//!
//! # Invariants
//! - Never more than `in_flight` places per connection are taken, never more than `waiting` callers wait.
//! - A place that becomes free goes to the line before it goes to newcomers.
//! - Places belong to one connection's life. What is still held when its connection is replaced counts no more.

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use burgeon_core::Ctx;
use burgeon_meter::{Counter, Meters};
use burgeon_resilience::line::{self, Line, Next, Pushed};
use burgeon_resilience::{Clock, Instant};
use tokio::sync::{Notify, oneshot};

use super::super::connection::Connection;
use super::super::places::HEAD_START;
use super::alarm::{Alarm, by};
use super::pace::Usual;
use crate::clock;

/// A connection whose oldest statement has been running for this long gets no new ones while others can take them.
const STALLED: Duration = Duration::from_millis(20);

pub(super) struct Gate {
    state: Mutex<State>,
    clock: Clock,
    in_flight: usize,
    /// Told when a connection is missing.
    missing: Notify,
    /// Told when a place is given back while no more are given out.
    leaving: Notify,
    refused: Counter,
}

struct State {
    lanes: Vec<Lane>,
    line: Line<oneshot::Sender<Place>>,
    closed: bool,
}

/// One shared connection, or its absence.
struct Lane {
    connection: Option<Arc<Connection>>,
    /// Counts the connections that were here.
    life: u32,
    in_flight: usize,
    /// When it last answered, or was given something to do after a rest.
    moved: Instant,
    /// How long statements are at its head.
    usual: Usual,
}

/// A taken place. Who has it gives it back with [`Gate::leave`].
pub(super) struct Place {
    lane: usize,
    life: u32,
    pub(super) connection: Arc<Connection>,
}

/// Why there is no place.
pub(super) enum Refusal {
    /// The program is closing the database.
    Closed,
    /// No connection is open.
    Away,
    /// Every open connection is held up by the statement at its head.
    Stalled,
    /// The line is full, or the wait was too long.
    Full { in_flight: usize, waiting: usize },
}

/// What somebody who leaves is told.
pub(super) struct Head {
    /// For how long the statement was at the head of its connection: since the answer before it, or since it was sent.
    pub(super) took: Duration,
    /// What is usual there.
    pub(super) usual: Usual,
}

/// What [`Gate::enter`] says.
enum Entered {
    Now(Place),
    Waits(oneshot::Receiver<Place>, line::Key),
}

impl Gate {
    pub(super) fn new(lanes: usize, in_flight: usize, waiting: usize, meters: &Meters, server: &str) -> Self {
        // Without CoDel: who waits here has a deadline, and nothing else to try.
        let config = line::Config {
            capacity: waiting,
            head_start: HEAD_START,
            codel: None,
            ..line::Config::default()
        };
        let lane = || Lane {
            connection: None,
            life: 0,
            in_flight: 0,
            moved: Instant::ORIGIN,
            usual: Usual::default(),
        };
        let lanes = (0..lanes).map(|_| lane()).collect();
        Self {
            state: Mutex::new(State { lanes, line: Line::new(config), closed: false }),
            clock: Clock::starting_at(clock::now()),
            in_flight,
            missing: Notify::new(),
            leaving: Notify::new(),
            refused: meters.counter(
                "db_shared_refused_total",
                "Callers that got no place on a shared connection in time.",
                &[("server", server)],
            ),
        }
    }

    pub(super) fn at(&self, now: std::time::Instant) -> Instant {
        self.clock.at(now)
    }

    /// A place, at once or when it is one's turn. Where no connection is open, or none moves, only who is `patient`
    /// waits.
    pub(super) async fn take(
        &self,
        ctx: &Ctx,
        now: std::time::Instant,
        until: std::time::Instant,
        patient: bool,
        alarm: Pin<&mut Alarm>,
    ) -> Result<Place, Refusal> {
        let (turn, key) = match self.enter(ctx, self.at(now), self.at(until), patient)? {
            Entered::Now(place) => return Ok(place),
            Entered::Waits(turn, key) => (turn, key),
        };
        // From here on the place may be ours at any moment, also at the one when we leave.
        let mut waiting = Waiting { gate: self, turn, key: Some(key) };
        match by(alarm, until, &mut waiting.turn).await {
            Some(Ok(place)) => {
                waiting.key = None;
                Ok(place)
            }
            // Displaced, late, or shut out.
            Some(Err(_)) | None => {
                self.refused.increment();
                Err(self.refusal())
            }
        }
    }

    fn enter(&self, ctx: &Ctx, now: Instant, until: Instant, patient: bool) -> Result<Entered, Refusal> {
        let mut state = self.state();
        if state.closed {
            return Err(Refusal::Closed);
        }
        if !patient {
            let open = || state.lanes.iter().filter(|lane| lane.connection.is_some());
            if open().next().is_none() {
                return Err(Refusal::Away);
            }
            if open().all(|lane| lane.is_stalled(now)) {
                return Err(Refusal::Stalled);
            }
        }
        if state.line.is_empty()
            && let Some(place) = self.pick(&mut state, now)
        {
            return Ok(Entered::Now(place));
        }
        let (tell, turn) = oneshot::channel();
        match state.line.push(now, ctx.criticality(), Some(until), tell) {
            // Who was displaced hears it by his sender's end.
            Ok(Pushed { key, .. }) => {
                // A connection may have been free all the time while the line was not empty.
                self.serve(&mut state, now);
                Ok(Entered::Waits(turn, key))
            }
            Err(_) => {
                drop(state);
                self.refused.increment();
                Err(self.refusal())
            }
        }
    }

    /// The open connection with the least under way, and rather one that moves.
    fn pick(&self, state: &mut State, now: Instant) -> Option<Place> {
        let mut best: Option<(bool, usize, usize)> = None;
        for (index, lane) in state.lanes.iter_mut().enumerate() {
            let Some(connection) = &lane.connection else { continue };
            if !connection.is_open() {
                lane.connection = None;
                self.missing.notify_one();
                continue;
            }
            if lane.in_flight >= self.in_flight {
                continue;
            }
            let found = (lane.is_stalled(now), lane.in_flight, index);
            if best.is_none_or(|best| found < best) {
                best = Some(found);
            }
        }
        let (_, _, index) = best?;
        let lane = &mut state.lanes[index];
        if lane.in_flight == 0 {
            lane.moved = now;
        }
        lane.in_flight += 1;
        lane.connection.clone().map(|connection| Place { lane: index, life: lane.life, connection })
    }

    /// Hands out what is free.
    fn serve(&self, state: &mut State, now: Instant) {
        while !state.line.is_empty() {
            let Some(mut place) = self.pick(state, now) else { return };
            loop {
                match state.line.next(now) {
                    Some(Next::Serve { item, .. }) => match item.send(place) {
                        Ok(()) => break,
                        // He left without a word; it is the next one's.
                        Err(back) => place = back,
                    },
                    // Told by the end of the sender.
                    Some(Next::Late { .. }) => {}
                    None => {
                        state.lanes[place.lane].in_flight -= 1;
                        return;
                    }
                }
            }
        }
    }

    /// Gives a place back after an answer. `sent` is when the statement was sent.
    pub(super) fn leave(&self, place: &Place, sent: std::time::Instant, now: std::time::Instant) -> Head {
        let (sent, now) = (self.at(sent), self.at(now));
        let mut state = self.state();
        let lane = &mut state.lanes[place.lane];
        if lane.life != place.life {
            return Head { took: now.since(sent), usual: Usual::default() };
        }
        let took = now.micros_since(sent.max(lane.moved));
        lane.usual.note(took);
        let usual = lane.usual;
        lane.moved = lane.moved.max(now);
        lane.in_flight -= 1;
        if !state.line.is_empty() {
            self.serve(&mut state, now);
        }
        if state.closed {
            self.leaving.notify_waiters();
        }
        Head { took: Duration::from_micros(took), usual }
    }

    /// Gives a place back on which nothing was sent.
    fn leave_unused(&self, place: &Place) {
        let now = self.at(clock::now());
        let mut state = self.state();
        let lane = &mut state.lanes[place.lane];
        if lane.life == place.life {
            lane.in_flight -= 1;
            self.serve(&mut state, now);
        }
        if state.closed {
            self.leaving.notify_waiters();
        }
    }

    /// The connection of this place is gone.
    pub(super) fn broke(&self, place: &Place) {
        let mut state = self.state();
        let lane = &mut state.lanes[place.lane];
        if lane.life == place.life && lane.connection.take().is_some() {
            self.missing.notify_one();
        }
    }

    /// Puts a connection where one is missing, or instead of an old one, which ends when its last answer is there.
    pub(super) fn install(&self, lane: usize, connection: Box<Connection>) {
        let now = self.at(clock::now());
        let mut state = self.state();
        if state.closed {
            return;
        }
        let lane = &mut state.lanes[lane];
        lane.connection = Some(Arc::from(connection));
        lane.life = lane.life.wrapping_add(1);
        lane.in_flight = 0;
        lane.moved = now;
        self.serve(&mut state, now);
    }

    /// Which connections are missing. Closes those that are dead, and those that were given work and have not answered
    /// anything for `limit`: longer than the server lets any statement run there.
    pub(super) fn missing(&self, limit: Duration) -> Vec<usize> {
        let now = self.at(clock::now());
        let mut state = self.state();
        // Those whose time is up are answered here when no connection moves that could do it.
        while state.line.late(now).is_some() {}
        let mut missing = Vec::new();
        for (index, lane) in state.lanes.iter_mut().enumerate() {
            let stuck = lane.in_flight > 0 && now.since(lane.moved) > limit;
            if let Some(connection) = lane.connection.take_if(|connection| stuck || !connection.is_open()) {
                connection.abandon();
            }
            if lane.connection.is_none() {
                missing.push(index);
            }
        }
        missing
    }

    /// The connections that are older than they should get.
    pub(super) fn old(&self, lifetime: Duration) -> Option<usize> {
        let state = self.state();
        state.lanes.iter().position(|lane| lane.connection.as_ref().is_some_and(|it| it.is_old(lifetime)))
    }

    /// Resolves when a connection has been found missing.
    pub(super) async fn found_missing(&self) {
        self.missing.notified().await;
    }

    /// How many statements are under way, and how many callers wait.
    pub(super) fn load(&self) -> (usize, usize) {
        let state = self.state();
        (state.lanes.iter().map(|lane| lane.in_flight).sum(), state.line.len())
    }

    /// No place is given any more.
    pub(super) fn shut(&self) {
        let mut state = self.state();
        state.closed = true;
        let now = state.line.latest();
        while state.line.next(now).is_some() {}
    }

    /// Resolves once nothing is under way; only after [`shut`](Self::shut).
    pub(super) async fn emptied(&self) {
        loop {
            let mut leaving = pin!(self.leaving.notified());
            // Registered before the look, so that nobody who leaves between look and wait is missed.
            leaving.as_mut().enable();
            if self.load().0 == 0 {
                return;
            }
            leaving.await;
        }
    }

    /// Drops the connections; what is under way on them ends first.
    pub(super) fn drop_connections(&self) {
        for lane in &mut self.state().lanes {
            lane.connection = None;
        }
    }

    fn refusal(&self) -> Refusal {
        let state = self.state();
        if state.closed {
            return Refusal::Closed;
        }
        if state.lanes.iter().all(|lane| lane.connection.is_none()) {
            return Refusal::Away;
        }
        let in_flight = state.lanes.iter().map(|lane| lane.in_flight).sum();
        Refusal::Full { in_flight, waiting: state.line.len() }
    }

    // Not a tokio mutex: nothing awaits under it.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lane {
    fn is_stalled(&self, now: Instant) -> bool {
        self.in_flight > 0 && now.since(self.moved) > STALLED
    }
}

/// Somebody in the line. Dropped, he leaves it, and passes on what he was given in the same moment.
struct Waiting<'a> {
    gate: &'a Gate,
    turn: oneshot::Receiver<Place>,
    /// `None` once he has taken his place: then the line knows him no more.
    key: Option<line::Key>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Some(key) = self.key else { return };
        self.turn.close();
        match self.turn.try_recv() {
            Ok(place) => self.gate.leave_unused(&place),
            Err(_) => drop(self.gate.state().line.cancel(key)),
        }
    }
}
