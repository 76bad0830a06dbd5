//! Everything a request passes before its handler runs, composed in the one right order.
//!
//! ```text
//!  request -> deadline -> rate limit of its key -> admission: limit + queue -> deadline again -> bulkhead -> handler
//! ```
//!
//! What this is: one tower layer over the machines of this crate; [`Door::enter`] reads as that order. What it is not: an edge. It knows
//! no HTTP: a [`Policy`] says who asks, how much it matters, and what an answer means.
//!
//! Why this order: what is too late is refused before it costs anything. The rate limit comes before the queue, or one customer fills it. The deadline
//! is asked again after the queue, because waiting is what makes requests late. The bulkhead is innermost: it belongs to the route.
//!
//! # Invariants
//! - Nothing is started after its deadline, nor after it waited in vain.
//! - Dropping the call leaves the queue, and gives back every place.
//!
//! # When not to use it
//! In front of health checks and the console: they must be answered when all else is refused.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use crate::admission::{Admission, Entry, Permit, Priority};
use crate::bulkhead::{self, Bulkhead};
use crate::deadline::Gate;
use crate::latency::Latency;
use crate::layer::BoxError;
use crate::race::{First, race};
use crate::rate::Limiter;
use crate::{Instant, Outcome, Refused, Timer};

/// What only the owner of a protocol can say.
pub trait Policy<Request, Response, E>: Send + Sync + 'static {
    /// What the request asks of the door.
    fn ask(&self, request: &Request) -> Asked;

    /// What an answer means for the adaptive limit. Streams say [`Outcome::Ignored`]: how long they last says nothing about load.
    fn judge(&self, result: Result<&Response, &E>) -> Outcome;
}

/// What a request asks of the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// Until when an answer is worth anything; `None`: for ever.
    pub deadline: Option<Instant>,
    /// Who waits when there is not enough for all.
    pub priority: Priority,
    /// Whose allowance it uses, as a keyed hash; `None`: nobody's.
    pub key: Option<u64>,
}

/// The machines at the door. Clones share them.
pub struct Door<P, T>(Arc<Inner<P, T>>);

/// What a door is made of.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The process's: all its doors share it.
    pub admission: Admission,
    /// How often each key may ask.
    pub rate: Option<Limiter>,
    /// How many may be behind this door at once.
    pub bulkhead: Option<Bulkhead>,
}

struct Inner<P, T> {
    policy: P,
    timer: T,
    latency: Latency,
    gate: Gate,
    parts: Parts,
}

/// What is held while a handler runs.
#[derive(Debug)]
#[must_use = "a pass that is dropped was cancelled"]
pub struct Pass {
    permit: Permit,
    place: Option<bulkhead::Permit>,
    begun: Instant,
}

/// A service behind a door.
pub struct Guarded<S, P, T> {
    inner: S,
    door: Door<P, T>,
}

impl<P, T: Timer> Door<P, T> {
    /// A door of these machines.
    pub fn new(policy: P, timer: T, parts: Parts) -> Self {
        let latency = Latency::new();
        let gate = Gate::new(latency.clone());
        Self(Arc::new(Inner { policy, timer, latency, gate, parts }))
    }

    /// Passes the door, or is refused. Waits for at most as long as the queue and the deadline say.
    ///
    /// # Errors
    /// The refusal of the machine that said no.
    pub async fn enter(&self, asked: Asked) -> Result<Pass, Refused> {
        let Inner { timer, gate, parts, .. } = &*self.0;
        let Parts { admission, rate, bulkhead } = parts;
        let Asked { deadline, priority, key } = asked;
        let mut now = timer.now();
        gate.admit(now, deadline)?;
        if let Some(rate) = rate
            && let Some(key) = key
        {
            rate.admit(now, key, 1)?;
        }
        let permit = match admission.admit(now, priority, deadline)? {
            Entry::Admitted(permit) => permit,
            Entry::Waiting(waiting) => {
                let mut waiting = waiting;
                let until = std::pin::pin!(timer.sleep_until(waiting.until()));
                let turn = match race(Pin::new(&mut waiting), until).await {
                    First::Left(turn) => Some(turn),
                    First::Right((), _) => None,
                };
                now = timer.now();
                let permit = match turn {
                    Some(turn) => turn?,
                    None => waiting.give_up(now)?,
                };
                gate.admit(now, deadline)?;
                permit
            }
        };
        let place = match bulkhead {
            None => None,
            Some(bulkhead) => {
                let place = bulkhead.wait(timer.sleep_until(bulkhead.until(now, deadline))).await?;
                Some(place)
            }
        };
        Ok(Pass { permit, place, begun: now })
    }

    /// The handler has answered.
    pub fn leave(&self, pass: Pass, outcome: Outcome) {
        let now = self.0.timer.now();
        let Pass { permit, place, begun } = pass;
        if matches!(outcome, Outcome::Ok | Outcome::Slow) {
            self.0.latency.record(now, now.since(begun));
        }
        drop(place);
        permit.settle(now, outcome);
    }
}

impl<S, P, T> Layer<S> for Door<P, T> {
    type Service = Guarded<S, P, T>;

    fn layer(&self, inner: S) -> Self::Service {
        Guarded { inner, door: self.clone() }
    }
}

impl<S, P, T, Request> Service<Request> for Guarded<S, P, T>
where
    S: Service<Request> + Clone + Send + 'static,
    S::Future: Send,
    S::Response: Send,
    S::Error: Into<BoxError> + Send,
    P: Policy<Request, S::Response, S::Error>,
    T: Timer,
    Request: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // The one that was polled ready is the one that is called.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let door = self.door.clone();
        let asked = door.0.policy.ask(&request);
        Box::pin(async move {
            let pass = door.enter(asked).await?;
            let result = inner.call(request).await;
            door.leave(pass, door.0.policy.judge(result.as_ref()));
            result.map_err(Into::into)
        })
    }
}

impl<P, T> Clone for Door<P, T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: Clone, P, T> Clone for Guarded<S, P, T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), door: self.door.clone() }
    }
}

impl<P, T> fmt::Debug for Door<P, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("parts", &self.0.parts).finish_non_exhaustive()
    }
}
