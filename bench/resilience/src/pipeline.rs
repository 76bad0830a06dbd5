//! The tower services: a layer alone, a peer's layer, and the whole outbound pipeline around a service that answers at once.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use burgeon_resilience::breaker::{self, Breaker};
use burgeon_resilience::layer::GuardLayer;
use burgeon_resilience::outbound::{Config, Policy, Upstream, Verdict};
use burgeon_resilience::random::Dice;
use burgeon_resilience::retry::Call;
use burgeon_resilience::{Clock, Instant, Outcome, Timer};
use tower::{Layer, Service, ServiceExt};
use tower_resilience_circuitbreaker::CircuitBreakerLayer;

use crate::case::Run;

#[derive(Clone, Copy)]
struct Tokio(Clock);

impl Timer for Tokio {
    type Sleep = tokio::time::Sleep;

    fn now(&self) -> Instant {
        self.0.at(std::time::Instant::now())
    }

    fn sleep_until(&self, at: Instant) -> Self::Sleep {
        tokio::time::sleep_until(self.0.instant(at).into())
    }
}

fn timer() -> Tokio {
    Tokio(Clock::starting_at(std::time::Instant::now()))
}

#[derive(Debug, Clone, Copy)]
struct Request {
    deadline: Instant,
}

/// Answers at once.
#[derive(Clone)]
struct Echo;

impl Service<Request> for Echo {
    type Response = u16;
    type Error = Infallible;
    type Future = Ready<Result<u16, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        black_box(request.deadline);
        ready(Ok(200))
    }
}

struct Rules;

impl Policy<Request, u16, Infallible> for Rules {
    fn deadline(&self, request: &Request) -> Option<Instant> {
        Some(request.deadline)
    }

    fn call(&self, _: &Request) -> Call {
        Call { idempotent: true, replayable: true, answered: false }
    }

    fn is_read(&self, _: &Request) -> bool {
        true
    }

    fn again(&self, request: &Request) -> Option<Request> {
        Some(*request)
    }

    fn judge(&self, _: Result<&u16, &Infallible>) -> Verdict {
        Verdict::OK
    }
}

/// So many calls, one after another, each on a fresh clone as a router would make it.
fn calls<S>(service: &S, count: u64, request: impl Fn() -> Request)
where
    S: Service<Request, Response = u16> + Clone,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let Ok(runtime) = runtime else { return };
    runtime.block_on(async {
        for _ in 0..count {
            let mut service = service.clone();
            if let Ok(ready) = service.ready().await {
                let _ = black_box(ready.call(request()).await);
            }
        }
    });
}

pub fn bare() -> Run {
    Box::new(|count| calls(&Echo, count, || Request { deadline: Instant::ORIGIN }))
}

/// Everything on, the hedge too: three endpoints, a deadline, a timeout per try.
pub fn outbound() -> Run {
    let timer = timer();
    let mut config = Config::default();
    config.hedge.on = true;
    let upstream = Upstream::new("echo", config, Rules, timer, 7, [Echo, Echo, Echo]);
    Box::new(move |count| {
        calls(&upstream, count, || Request { deadline: timer.now().plus(Duration::from_secs(15)) });
    })
}

pub fn guarded() -> Run {
    let judge = |result: &Result<u16, Infallible>| match result {
        Ok(500..) | Err(_) => Outcome::Fail,
        Ok(_) => Outcome::Ok,
    };
    let breaker = Breaker::new(breaker::Config::default());
    let guard = GuardLayer::new(breaker, timer(), Arc::new(Dice::seeded(7)), judge).layer(Echo);
    Box::new(move |count| calls(&guard, count, || Request { deadline: Instant::ORIGIN }))
}

pub fn tower_resilience() -> Run {
    let layer = CircuitBreakerLayer::standard().build();
    let Ok(layer) = layer else { panic!("its own preset is refused") };
    let service = layer.layer_fn(Echo);
    Box::new(move |count| calls(&service, count, || Request { deadline: Instant::ORIGIN }))
}
