//! How many reads may fall back to the primary at once: a fleet of lagging replicas must not kill it.
//!
//! Who finds the places taken waits in a line ordered by criticality (see [`places`]), until one is free, somebody more
//! critical needs the room, or the wait for a connection would have ended as well.

use burgeon_core::Criticality;
use burgeon_meter::{Counter, Gauge, InFlight, Meters};
use tokio::time::Instant;

use crate::Fault;
use crate::postgres::places::{self, Places};

/// How many may wait for each place.
const WAITING_PER_PLACE: usize = 64;

/// The places, and the line before them. Cloning shares it.
#[derive(Clone)]
pub(super) struct Gate {
    places: Places,
    count: usize,
    running: Gauge,
    refused: [Counter; 4],
}

/// Leave to read on the primary, for as long as one holds it.
pub(crate) struct Place {
    _place: places::Place,
    _running: InFlight,
}

impl Gate {
    pub(super) fn new(places: usize, meters: &Meters) -> Self {
        let refused = |criticality: Criticality| {
            meters.counter(
                "db_fallback_refused_total",
                "Reads that no replica could answer and that found no place on the primary.",
                &[("criticality", criticality.name())],
            )
        };
        let waiting = meters.gauge("db_fallback_waiting", "Reads that wait for a place on the primary.", &[]);
        Self {
            places: Places::new(places, places * WAITING_PER_PLACE, waiting),
            count: places,
            running: meters.gauge(
                "db_fallback_running",
                "Reads on the primary because no replica could answer.",
                &[],
            ),
            refused: Criticality::ALL.map(refused),
        }
    }

    /// A place, at once or when it is one's turn.
    pub(super) async fn enter(&self, criticality: Criticality, until: Instant) -> Result<Place, Fault> {
        match self.places.take(criticality, until).await {
            Ok(place) => Ok(Place { _place: place, _running: self.running.enter() }),
            Err(_) => Err(self.refuse(criticality)),
        }
    }

    fn refuse(&self, criticality: Criticality) -> Fault {
        self.refused[criticality as usize].increment();
        Fault::Overloaded {
            what: format!(
                "no replica has come as far as this read needs, and all {} places for such reads on the primary \
                 are taken (`database.routing.fallback`)",
                self.count
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
