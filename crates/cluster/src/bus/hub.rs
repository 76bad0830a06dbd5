//! The link inside one process: for a single node, and for tests with several nodes and bad weather.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// How many packets wait for an ear. What does not fit is lost, as with every link.
const WAITING: usize = 4_096;

/// Where nodes of one process meet. Cloning shares it.
#[derive(Clone, Default)]
pub struct Hub(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    ears: Vec<mpsc::Sender<Arrival>>,
    weather: Option<Arc<Weather>>,
    is_cut: bool,
}

type Weather = dyn Fn() -> Fate + Send + Sync;

/// What happens to a packet on its way to one ear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It arrives.
    Arrive,
    /// It is lost.
    Lose,
    /// It arrives later, behind others if they are faster.
    Delay(Duration),
    /// It arrives twice.
    Repeat,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Arrival {
    due: Instant,
    packet: Bytes,
}

/// One node's ear.
pub(super) struct HubEar {
    arrivals: mpsc::Receiver<Arrival>,
    /// Those that are not due yet, the next one first.
    delayed: BinaryHeap<Reverse<Arrival>>,
}

impl Hub {
    /// A hub on which everything arrives.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on each packet meets the fate that `weather` says, for each ear anew. For tests.
    pub fn set_weather(&self, weather: impl Fn() -> Fate + Send + Sync + 'static) {
        self.inner().weather = Some(Arc::new(weather));
    }

    /// From now on everything arrives.
    pub fn clear_weather(&self) {
        self.inner().weather = None;
    }

    /// Ends all connections, and takes none until [`restore`](Self::restore). For tests.
    pub fn cut(&self) {
        let mut inner = self.inner();
        inner.is_cut = true;
        inner.ears.clear();
    }

    /// Takes connections again.
    pub fn restore(&self) {
        self.inner().is_cut = false;
    }

    /// None while it is cut.
    pub(super) fn connect(&self) -> Option<HubEar> {
        let mut inner = self.inner();
        if inner.is_cut {
            return None;
        }
        let (sender, arrivals) = mpsc::channel(WAITING);
        inner.ears.push(sender);
        Some(HubEar { arrivals, delayed: BinaryHeap::new() })
    }

    /// False while it is cut.
    pub(super) fn say(&self, packet: &Bytes) -> bool {
        let mut inner = self.inner();
        if inner.is_cut {
            return false;
        }
        let weather = inner.weather.clone();
        let now = Instant::now();
        inner.ears.retain(|ear| {
            let fate = weather.as_ref().map_or(Fate::Arrive, |weather| weather());
            let (times, due) = match fate {
                Fate::Arrive => (1, now),
                Fate::Lose => (0, now),
                Fate::Delay(by) => (1, now + by),
                Fate::Repeat => (2, now),
            };
            for _ in 0..times {
                // Full is lost; the numbers tell.
                let _ = ear.try_send(Arrival { due, packet: packet.clone() });
            }
            !ear.is_closed()
        });
        true
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HubEar {
    /// The next packet; none once the hub was cut. Cancel-safe.
    pub(super) async fn hear(&mut self) -> Option<Bytes> {
        loop {
            let due = self.delayed.peek().map(|Reverse(arrival)| arrival.due);
            tokio::select! {
                arrived = self.arrivals.recv() => match arrived {
                    Some(arrival) if arrival.due <= Instant::now() => return Some(arrival.packet),
                    Some(arrival) => self.delayed.push(Reverse(arrival)),
                    None => return None,
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    return self.delayed.pop().map(|Reverse(arrival)| arrival.packet);
                }
            }
        }
    }
}
