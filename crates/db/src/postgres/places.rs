//! So many places and no more, and the line of those who wait for one.
//!
//! What this is: the bound in front of what only a few may do at a time: hold a connection of their own, read on the
//! primary for want of a replica. What it is not: it knows neither connections nor servers, and what a refusal means to
//! its caller is the owner's to say.
//!
//! # Invariants
//! - Never more places are held than there are, never more than the line's length wait.
//! - A place that comes back goes to the line before it goes to newcomers; in the line the more critical goes first,
//!   within a class who came first. One turn in twenty goes to the lowest class that waits.
//! - Where the line is full, the youngest of the lowest class makes room for somebody more critical, and is told at once.
//! - Nobody waits past his deadline, and who leaves takes nothing with him.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use burgeon_core::Criticality;
use burgeon_meter::Gauge;
use burgeon_resilience::Clock;
use burgeon_resilience::line::{Config, Key, Line, Next};
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout_at};

/// How much longer one must have waited to be served before the class above: longer than anybody waits for a place of
/// any kind, but for the turns that the line reserves.
pub(super) const HEAD_START: Duration = Duration::from_secs(5);

/// The places, and the line before them. Cloning shares it.
#[derive(Clone)]
pub(super) struct Places(Arc<Inner>);

struct Inner {
    // Not a tokio mutex: nothing awaits under it.
    state: Mutex<State>,
    places: usize,
    clock: Clock,
    waiting: Gauge,
    /// Told when a place comes back while no more are given out.
    leaving: Notify,
}

struct State {
    free: usize,
    line: Line<oneshot::Sender<Place>>,
    shut: bool,
}

/// A place, for as long as one holds it.
pub(super) struct Place {
    // `None` once it has been taken back.
    places: Option<Places>,
}

/// Why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The wait was too long, or the room in the line was needed for somebody more critical.
    Dry,
    /// No more places are given.
    Shut,
}

/// How the attempt to get one begins.
enum Lined<'a> {
    Up(Waiting<'a>),
    Served(Place),
}

impl Places {
    /// `waiting` is how many may wait; the gauge shows how many do.
    pub(super) fn new(places: usize, waiting: usize, gauge: Gauge) -> Self {
        // Without CoDel: who waits here has a deadline, and nothing else to try.
        let line = Config { capacity: waiting, head_start: HEAD_START, codel: None, ..Config::default() };
        Self(Arc::new(Inner {
            state: Mutex::new(State { free: places, line: Line::new(line), shut: false }),
            places,
            clock: Clock::starting_at(Instant::now().into_std()),
            waiting: gauge,
            leaving: Notify::new(),
        }))
    }

    /// A place, at once or when it is one's turn.
    pub(super) async fn take(&self, criticality: Criticality, until: Instant) -> Result<Place, Refusal> {
        let waiting = match self.line_up(criticality, until)? {
            Lined::Served(place) => return Ok(place),
            Lined::Up(waiting) => waiting,
        };
        let _counted = self.0.waiting.enter();
        match waiting.turn(until).await {
            Some(place) => Ok(place),
            None if self.is_shut() => Err(Refusal::Shut),
            None => Err(Refusal::Dry),
        }
    }

    /// A place, if one is free and nobody waits for it.
    pub(super) fn try_take(&self) -> Option<Place> {
        self.state().free_place(self)
    }

    fn line_up(&self, criticality: Criticality, until: Instant) -> Result<Lined<'_>, Refusal> {
        let now = self.0.clock.at(Instant::now().into_std());
        let deadline = self.0.clock.at(until.into_std());
        let mut state = self.state();
        if state.shut {
            return Err(Refusal::Shut);
        }
        if let Some(place) = state.free_place(self) {
            return Ok(Lined::Served(place));
        }
        // Those who have waited too long make room first.
        while state.line.late(now).is_some() {}
        let (tell, told) = oneshot::channel();
        // Who is displaced hears it by the sender's end.
        let pushed = state.line.push(now, criticality, Some(deadline), tell).map_err(|_| Refusal::Dry)?;
        Ok(Lined::Up(Waiting { places: self, key: pushed.key, told }))
    }

    /// Gives what has come back to who is next.
    fn serve(&self) {
        let now = self.0.clock.at(Instant::now().into_std());
        let mut state = self.state();
        state.free += 1;
        while state.free > 0 {
            match state.line.next(now) {
                // Who is late hears it by the sender's end.
                Some(Next::Late { .. }) => {}
                Some(Next::Serve { item, .. }) => {
                    let place = Place { places: Some(self.clone()) };
                    match item.send(place) {
                        Ok(()) => state.free -= 1,
                        // Gone at this very moment. Unmade here, because its drop would come for the lock.
                        Err(mut unwanted) => unwanted.places = None,
                    }
                }
                None => break,
            }
        }
        if state.shut {
            self.0.leaving.notify_waiters();
        }
    }

    /// How many are held.
    pub(super) fn held(&self) -> usize {
        self.0.places - self.state().free
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.state().line.len()
    }

    /// Gives none any more, and sends away who waits.
    pub(super) fn shut(&self) {
        let mut state = self.state();
        state.shut = true;
        let now = state.line.latest();
        while state.line.next(now).is_some() {}
    }

    pub(super) fn is_shut(&self) -> bool {
        self.state().shut
    }

    /// Resolves once none is held any more; only after [`shut`](Self::shut).
    pub(super) async fn emptied(&self) {
        loop {
            let mut leaving = pin!(self.0.leaving.notified());
            // Registered before the look, so that nobody who leaves between look and wait is missed.
            leaving.as_mut().enable();
            if self.held() == 0 {
                return;
            }
            leaving.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn free_place(&mut self, places: &Places) -> Option<Place> {
        // What is free while somebody waits is his.
        if self.free == 0 || self.shut || !self.line.is_empty() {
            return None;
        }
        self.free -= 1;
        Some(Place { places: Some(places.clone()) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(places) = self.places.take() {
            places.serve();
        }
    }
}

/// A waiter, who leaves the line when it is dropped.
struct Waiting<'a> {
    places: &'a Places,
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
        drop(self.places.state().line.cancel(self.key));
    }
}

#[cfg(test)]
mod tests {
    use burgeon_core::Criticality::{Critical, CriticalPlus, Sheddable};
    use burgeon_meter::Meters;
    use futures_util::FutureExt;

    use super::*;

    fn places(count: usize, waiting: usize) -> Places {
        Places::new(count, waiting, Meters::new().gauge("waiting", "", &[]))
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(1)
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_line_sends_the_youngest_of_the_lowest_class_away_at_once() {
        let places = places(1, 2);
        let held = places.take(Critical, soon()).await.unwrap();
        let mut first = Box::pin(places.take(Sheddable, soon()));
        assert!(first.as_mut().now_or_never().is_none());
        let mut second = Box::pin(places.take(Sheddable, soon()));
        assert!(second.as_mut().now_or_never().is_none());
        assert_eq!(places.take(Sheddable, soon()).await.err(), Some(Refusal::Dry), "the line is full");
        let mut matters = Box::pin(places.take(CriticalPlus, soon()));
        assert!(matters.as_mut().now_or_never().is_none());
        assert_eq!(second.now_or_never().expect("told at once").err(), Some(Refusal::Dry));
        assert_eq!(places.waiting(), 2);
        drop(held);
        let matters = matters.now_or_never().expect("its turn").unwrap();
        assert!(first.as_mut().now_or_never().is_none());
        drop(matters);
        drop(first.now_or_never().expect("its turn").unwrap());
        assert_eq!((places.held(), places.waiting()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn newcomers_do_not_overtake_the_line_and_nobody_waits_past_his_deadline() {
        let places = places(1, 8);
        let held = places.take(Critical, soon()).await.unwrap();
        let began = Instant::now();
        let mut waits = Box::pin(places.take(Critical, soon()));
        assert!(waits.as_mut().now_or_never().is_none());
        drop(held);
        assert!(places.try_take().is_none(), "it is the waiter's");
        let place = waits.now_or_never().expect("its turn").unwrap();
        let late = places.take(CriticalPlus, began + Duration::from_millis(300)).await;
        assert_eq!(late.err(), Some(Refusal::Dry));
        assert_eq!(began.elapsed().as_millis() / 10, 30);
        drop(place);
        assert!(places.try_take().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn shut_sends_all_away_and_is_empty_when_the_last_place_is_back() {
        let places = places(2, 8);
        let (one, two) = (places.try_take().unwrap(), places.try_take().unwrap());
        let mut waits = Box::pin(places.take(CriticalPlus, soon()));
        assert!(waits.as_mut().now_or_never().is_none());
        places.shut();
        assert_eq!(waits.now_or_never().expect("told").err(), Some(Refusal::Shut));
        assert_eq!(places.take(CriticalPlus, soon()).await.err(), Some(Refusal::Shut));
        let mut emptied = Box::pin(places.emptied());
        drop(one);
        assert!(emptied.as_mut().now_or_never().is_none());
        drop(two);
        emptied.now_or_never().expect("the last is back");
        assert!(places.try_take().is_none());
    }
}
