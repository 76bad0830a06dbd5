//! Which endpoint is asked: the less busy of two, whose breaker lets it pass, and another one each time.

use std::sync::Arc;

use serde::Serialize;

use crate::breaker::{self, Breaker};
use crate::random::{self, Dice};
use crate::sync::atomic::{AtomicU32, Ordering};
use crate::{Instant, Refused, Why};

pub(super) struct Endpoints<S>(Vec<Endpoint<S>>);

struct Endpoint<S> {
    service: S,
    breaker: Breaker,
    in_flight: Arc<AtomicU32>,
}

/// An endpoint that may be asked once.
pub(super) struct Chosen<S> {
    pub(super) service: S,
    pub(super) permit: Permit,
}

/// Settled with the breaker, and one less in flight when dropped.
pub(super) struct Permit {
    breaker: breaker::Permit,
    in_flight: InFlight,
}

struct InFlight(Arc<AtomicU32>);

/// Which endpoints this request has been to; of more than 64 it does not remember all.
#[derive(Debug, Default)]
pub(super) struct Tried(u64);

/// What a person sees of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EndpointView {
    /// Requests in flight.
    pub in_flight: u32,
    /// What its breaker does.
    pub breaker: breaker::View,
}

impl<S> Endpoints<S> {
    pub(super) fn new(services: impl IntoIterator<Item = S>, config: &breaker::Config) -> Self {
        let endpoint = |service| Endpoint {
            service,
            breaker: Breaker::new(config.clone()),
            in_flight: Arc::new(AtomicU32::new(0)),
        };
        Self(services.into_iter().map(endpoint).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn view(&self, now: Instant) -> Vec<EndpointView> {
        let view = |one: &Endpoint<S>| EndpointView {
            in_flight: one.in_flight.load(Ordering::Relaxed),
            breaker: one.breaker.view(now),
        };
        self.0.iter().map(view).collect()
    }
}

impl<S: Clone> Endpoints<S> {
    /// One that has not been tried, or else any.
    pub(super) fn choose(&self, now: Instant, dice: &Dice, tried: &mut Tried) -> Result<Chosen<S>, Refused> {
        if let Some(chosen) = self.another(now, dice, tried) {
            return Ok(chosen);
        }
        // All have been tried: from the start.
        *tried = Tried::default();
        self.another(now, dice, tried).ok_or_else(|| self.refusal(now))
    }

    /// One that has not been tried.
    pub(super) fn another(&self, now: Instant, dice: &Dice, tried: &mut Tried) -> Option<Chosen<S>> {
        let count = self.0.len();
        let first = self.less_busy(dice);
        (0..count)
            .map(|step| (first + step) % count)
            .filter(|index| !tried.has(*index))
            .find_map(|index| Some((index, self.0[index].enter(now, dice)?)))
            .map(|(index, chosen)| {
                tried.add(index);
                chosen
            })
    }

    /// The power of two choices (Mitzenmacher, 2001).
    fn less_busy(&self, dice: &Dice) -> usize {
        let count = self.0.len();
        if count == 1 {
            return 0;
        }
        let roll = dice.roll();
        let one = random::below(roll, count as u64) as usize;
        let other = (one + 1 + random::below(roll.rotate_left(32), count as u64 - 1) as usize) % count;
        let busy = |index: usize| self.0[index].in_flight.load(Ordering::Relaxed);
        if busy(other) < busy(one) { other } else { one }
    }

    /// Nobody may be asked: until the first breaker might let somebody pass.
    fn refusal(&self, now: Instant) -> Refused {
        let after = self.0.iter().filter_map(|one| one.breaker.view(now).until).min();
        Refused { why: if self.0.len() == 1 { Why::Breaker } else { Why::Ejected }, after }
    }
}

impl<S: Clone> Endpoint<S> {
    fn enter(&self, now: Instant, dice: &Dice) -> Option<Chosen<S>> {
        let breaker = self.breaker.admit(now, dice.roll()).ok()?;
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let in_flight = InFlight(self.in_flight.clone());
        Some(Chosen { service: self.service.clone(), permit: Permit { breaker, in_flight } })
    }
}

impl Permit {
    pub(super) fn settle(self, now: Instant, outcome: crate::Outcome) {
        self.breaker.settle(now, outcome);
        drop(self.in_flight);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Tried {
    fn has(&self, index: usize) -> bool {
        index < 64 && self.0 >> index & 1 != 0
    }

    fn add(&mut self, index: usize) {
        if index < 64 {
            self.0 |= 1 << index;
        }
    }
}
