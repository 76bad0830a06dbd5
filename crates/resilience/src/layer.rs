//! A tower layer around any machine that admits: breaker, throttle, bulkhead, rate.
//!
//! What this is: a skin. The machine decides in `call`, never in `poll_ready`: a clone of a service that is polled and never called must hold
//! nothing (tower's `ConcurrencyLimit` and `LoadShed` reserve when polled, tower-rs/tower#793). What it is not: a queue; it answers at once.
//!
//! Dropping the response future drops the permit, and that means cancelled.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use burgeon_resilience::breaker::{Breaker, Config};
//! use burgeon_resilience::layer::GuardLayer;
//! use burgeon_resilience::random::Dice;
//! use burgeon_resilience::{Clock, Instant, Outcome, Timer};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! # #[derive(Clone, Copy)]
//! # struct Tokio(Clock);
//! # impl Timer for Tokio {
//! #     type Sleep = tokio::time::Sleep;
//! #     fn now(&self) -> Instant { self.0.at(tokio::time::Instant::now().into_std()) }
//! #     fn sleep_until(&self, at: Instant) -> Self::Sleep { tokio::time::sleep_until(self.0.instant(at).into()) }
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! # let timer = Tokio(Clock::starting_at(tokio::time::Instant::now().into_std()));
//! let breaker = Breaker::new(Config::default());
//! let judge = |result: &Result<u16, std::io::Error>| match result {
//!     Ok(500..) | Err(_) => Outcome::Fail,
//!     Ok(429) => Outcome::Shed,
//!     Ok(_) => Outcome::Ok,
//! };
//! let service = ServiceBuilder::new()
//!     .layer(GuardLayer::new(breaker.clone(), timer, Arc::new(Dice::seeded(7)), judge))
//!     .service_fn(async |_request: ()| Ok::<u16, std::io::Error>(503));
//! for _ in 0..5 {
//!     assert_eq!(service.clone().oneshot(()).await.unwrap(), 503);
//! }
//! let refused = service.clone().oneshot(()).await.unwrap_err();
//! assert!(refused.to_string().contains("refused by breaker"));
//! # }
//! ```

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::random::Dice;
use crate::{Instant, Outcome, Refused, Timer, breaker, bulkhead, limit, rate, throttle};

/// What a layer's service fails with: the inner service's error, or a [`Refused`].
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A machine that admits calls at once, one by one, and is told how they ended.
pub trait Admit: Clone {
    /// Held while the call runs. Dropped unsettled means cancelled.
    type Permit;

    /// Whether a call may go; `random` is any number.
    ///
    /// # Errors
    /// The machine's refusal.
    fn admit(&self, now: Instant, random: u64) -> Result<Self::Permit, Refused>;

    /// How it ended.
    fn settle(permit: Self::Permit, now: Instant, outcome: Outcome);
}

impl Admit for breaker::Breaker {
    type Permit = breaker::Permit;

    fn admit(&self, now: Instant, random: u64) -> Result<Self::Permit, Refused> {
        self.admit(now, random)
    }

    fn settle(permit: Self::Permit, now: Instant, outcome: Outcome) {
        permit.settle(now, outcome);
    }
}

impl Admit for throttle::Throttle {
    type Permit = throttle::Permit;

    fn admit(&self, now: Instant, random: u64) -> Result<Self::Permit, Refused> {
        self.admit(now, random)
    }

    fn settle(permit: Self::Permit, now: Instant, outcome: Outcome) {
        permit.settle(now, outcome);
    }
}

/// Without waiting; to wait, hold [`bulkhead::Bulkhead::wait`] around the call.
impl Admit for bulkhead::Bulkhead {
    type Permit = bulkhead::Permit;

    fn admit(&self, _: Instant, _: u64) -> Result<Self::Permit, Refused> {
        self.admit()
    }

    fn settle(_: Self::Permit, _: Instant, _: Outcome) {}
}

impl Admit for rate::Single {
    type Permit = ();

    fn admit(&self, now: Instant, _: u64) -> Result<(), Refused> {
        self.admit(now, 1).map(drop)
    }

    fn settle((): (), _: Instant, _: Outcome) {}
}

impl Admit for limit::Limit {
    type Permit = limit::Permit;

    fn admit(&self, now: Instant, _: u64) -> Result<Self::Permit, Refused> {
        self.admit(now)
    }

    fn settle(permit: Self::Permit, now: Instant, outcome: Outcome) {
        permit.settle(now, outcome);
    }
}

/// Puts a machine in front of services. All of them share it.
#[derive(Debug, Clone)]
pub struct GuardLayer<M, T, J> {
    machine: M,
    timer: T,
    dice: Arc<Dice>,
    judge: J,
}

/// A service behind a machine.
#[derive(Debug, Clone)]
pub struct Guard<S, M, T, J> {
    inner: S,
    with: GuardLayer<M, T, J>,
}

impl<M, T, J> GuardLayer<M, T, J> {
    /// `judge` says how a call ended: `Fn(&Result<Response, Error>) -> Outcome`.
    pub fn new(machine: M, timer: T, dice: Arc<Dice>, judge: J) -> Self {
        Self { machine, timer, dice, judge }
    }
}

impl<S, M: Clone, T: Clone, J: Clone> Layer<S> for GuardLayer<M, T, J> {
    type Service = Guard<S, M, T, J>;

    fn layer(&self, inner: S) -> Self::Service {
        Guard { inner, with: self.clone() }
    }
}

impl<Request, S, M, T, J> Service<Request> for Guard<S, M, T, J>
where
    S: Service<Request>,
    S::Error: Into<BoxError>,
    M: Admit,
    T: Timer,
    J: Fn(&Result<S::Response, S::Error>) -> Outcome + Clone,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Guarded<S::Future, M, T, J>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let GuardLayer { machine, timer, dice, judge } = &self.with;
        let admitted = machine.admit(timer.now(), dice.roll());
        let call = admitted.is_ok().then(|| self.inner.call(request));
        Guarded { call, admitted: Some(admitted), timer: timer.clone(), judge: judge.clone() }
    }
}

pin_project! {
    /// A call that was admitted, or refused.
    pub struct Guarded<F, M: Admit, T, J> {
        #[pin]
        call: Option<F>,
        admitted: Option<Result<M::Permit, Refused>>,
        timer: T,
        judge: J,
    }
}

impl<F, M, T, J, Response, Error> Future for Guarded<F, M, T, J>
where
    F: Future<Output = Result<Response, Error>>,
    Error: Into<BoxError>,
    M: Admit,
    T: Timer,
    J: Fn(&Result<Response, Error>) -> Outcome,
{
    type Output = Result<Response, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(call) = this.call.as_pin_mut() else {
            return match this.admitted.take() {
                Some(Err(refused)) => Poll::Ready(Err(refused.into())),
                // Polled after it ended.
                _ => Poll::Pending,
            };
        };
        let result = ready!(call.poll(cx));
        if let Some(Ok(permit)) = this.admitted.take() {
            M::settle(permit, this.timer.now(), (this.judge)(&result));
        }
        Poll::Ready(result.map_err(Into::into))
    }
}
