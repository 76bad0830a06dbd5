//! How many reads may fall back to the primary at once: a fleet of lagging replicas must not kill it.
//!
//! Who finds the places taken waits in a line ordered by criticality ([`burgeon_resilience::line`]), until a place is
//! free, somebody more critical needs the room, or the wait for a connection would have ended as well.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use burgeon_core::Criticality;
use burgeon_meter::{Counter, Gauge, Meters};
use burgeon_resilience::Clock;
use burgeon_resilience::line::{Config, Key, Line, Next};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::Fault;

/// How many may wait for each place.
const WAITING_PER_PLACE: usize = 64;

/// How much longer one must have waited to be served before the class above: longer than anybody waits here, but for
/// the turns that the line reserves.
const HEAD_START: Duration = Duration::from_secs(5);

/// The places, and the line before them. Cloning shares it.
#[derive(Clone)]
pub(super) struct Gate(Arc<Inner>);

struct Inner {
    // Not a tokio mutex: nothing awaits under it.
    state: Mutex<State>,
    places: usize,
    clock: Clock,
    running: Gauge,
    waiting: Gauge,
    refused: [Counter; 4],
}

struct State {
    free: usize,
    line: Line<oneshot::Sender<Place>>,
}

/// Leave to read on the primary, for as long as one holds it.
pub(crate) struct Place {
    // `None` once it has been taken back.
    gate: Option<Gate>,
}

impl Gate {
    pub(super) fn new(places: usize, meters: &Meters) -> Self {
        let capacity = places * WAITING_PER_PLACE;
        // Without CoDel: who waits here has a deadline, and nothing else to try.
        let line = Config { capacity, head_start: HEAD_START, codel: None, ..Config::default() };
        let refused = |criticality: Criticality| {
            meters.counter(
                "db_fallback_refused_total",
                "Reads that no replica could answer and that found no place on the primary.",
                &[("criticality", criticality.name())],
            )
        };
        Self(Arc::new(Inner {
            state: Mutex::new(State { free: places, line: Line::new(line) }),
            places,
            clock: Clock::starting_at(Instant::now().into_std()),
            running: meters.gauge(
                "db_fallback_running",
                "Reads on the primary because no replica could answer.",
                &[],
            ),
            waiting: meters.gauge("db_fallback_waiting", "Reads that wait for a place on the primary.", &[]),
            refused: Criticality::ALL.map(refused),
        }))
    }

    /// A place, at once or when it is one's turn.
    pub(super) async fn enter(&self, criticality: Criticality, until: Instant) -> Result<Place, Fault> {
        let waiting = match self.line_up(criticality, until) {
            Ok(Ok(place)) => return Ok(place),
            Ok(Err(waiting)) => waiting,
            Err(refused) => return Err(refused),
        };
        let _counted = self.0.waiting.enter();
        match waiting.turn(until).await {
            Some(place) => Ok(place),
            None => Err(self.refuse(criticality)),
        }
    }

    fn line_up(&self, criticality: Criticality, until: Instant) -> Result<Result<Place, Waiting<'_>>, Fault> {
        let now = self.0.clock.at(Instant::now().into_std());
        let deadline = self.0.clock.at(until.into_std());
        let mut state = self.state();
        if state.free > 0 && state.line.is_empty() {
            state.free -= 1;
            return Ok(Ok(self.place()));
        }
        // Those who have waited too long make room first.
        while let Some(Next::Late { .. } | Next::Serve { .. }) = state.line.late(now) {}
        let (tell, told) = oneshot::channel();
        match state.line.push(now, criticality, Some(deadline), tell) {
            Ok(pushed) => Ok(Err(Waiting { gate: self, key: pushed.key, told })),
            Err(_) => {
                drop(state);
                Err(self.refuse(criticality))
            }
        }
    }

    fn place(&self) -> Place {
        self.0.running.add(1);
        Place { gate: Some(self.clone()) }
    }

    fn refuse(&self, criticality: Criticality) -> Fault {
        self.0.refused[criticality as usize].increment();
        Fault::Overloaded {
            what: format!(
                "no replica has come as far as this read needs, and all {} places for such reads on the primary \
                 are taken (`database.routing.fallback`)",
                self.0.places
            ),
        }
    }

    /// Gives what is free to who is next.
    fn serve(&self) {
        let now = self.0.clock.at(Instant::now().into_std());
        let mut state = self.state();
        while state.free > 0 {
            match state.line.next(now) {
                // Who is late hears it by the sender's end.
                Some(Next::Late { .. }) => {}
                Some(Next::Serve { item, .. }) => {
                    state.free -= 1;
                    let place = self.place();
                    if let Err(mut unwanted) = item.send(place) {
                        // Gone at this very moment. Taken back here, because its drop would come for the lock.
                        unwanted.gate = None;
                        self.0.running.add(-1);
                        state.free += 1;
                    }
                }
                None => return,
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(gate) = self.gate.take() else { return };
        gate.0.running.add(-1);
        gate.state().free += 1;
        gate.serve();
    }
}

/// A waiter, who leaves the line when it is dropped.
struct Waiting<'a> {
    gate: &'a Gate,
    key: Key,
    told: oneshot::Receiver<Place>,
}

impl Waiting<'_> {
    async fn turn(mut self, until: Instant) -> Option<Place> {
        timeout_at(until, &mut self.told).await.ok()?.ok()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        // A place that was sent and not taken comes out with the receiver, whose drop gives it back.
        drop(self.gate.state().line.cancel(self.key));
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(1)
    }

    #[tokio::test(start_paused = true)]
    async fn places_are_bounded_and_come_back() {
        let gate = Gate::new(2, &Meters::new());
        let one = gate.enter(Criticality::Critical, soon()).await.unwrap();
        let _two = gate.enter(Criticality::Critical, soon()).await.unwrap();
        let mut third = Box::pin(gate.enter(Criticality::Critical, soon()));
        assert!(third.as_mut().now_or_never().is_none());
        drop(one);
        third.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_matters_more_is_served_first_and_who_waits_in_vain_is_told() {
        let gate = Gate::new(1, &Meters::new());
        let held = gate.enter(Criticality::Critical, soon()).await.unwrap();
        let mut sheddable = Box::pin(gate.enter(Criticality::Sheddable, soon()));
        assert!(sheddable.as_mut().now_or_never().is_none());
        let mut checkout = Box::pin(gate.enter(Criticality::CriticalPlus, soon()));
        assert!(checkout.as_mut().now_or_never().is_none());
        drop(held);
        let place = checkout.now_or_never().expect("its turn").unwrap();
        match sheddable.await.map(drop) {
            Err(Fault::Overloaded { what }) => assert!(what.contains("database.routing.fallback"), "{what}"),
            other => panic!("{other:?}"),
        }
        drop(place);
        gate.enter(Criticality::Sheddable, soon()).now_or_never().expect("free again").unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_that_leaves_costs_nothing() {
        let gate = Gate::new(1, &Meters::new());
        let held = gate.enter(Criticality::Critical, soon()).await.unwrap();
        for _ in 0..10_000 {
            let mut waits = Box::pin(gate.enter(Criticality::Critical, soon()));
            assert!(waits.as_mut().now_or_never().is_none());
        }
        // One that was given its turn and left before it looked.
        let mut waits = Box::pin(gate.enter(Criticality::Critical, soon()));
        assert!(waits.as_mut().now_or_never().is_none());
        drop(held);
        drop(waits);
        gate.enter(Criticality::Critical, soon()).now_or_never().expect("free again").unwrap();
    }
}
