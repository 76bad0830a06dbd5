//! The skin: a caller who leaves at any await, while another asks.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use burgeon_resilience::breaker::{Breaker, Config};
use burgeon_resilience::layer::GuardLayer;
use burgeon_resilience::random::Dice;
use burgeon_resilience::{Instant, Outcome, Timer};
use loom::thread;
use tower_layer::Layer;
use tower_service::Service;

const LATER: Instant = Instant::from_micros(7_000_000);

#[derive(Clone, Copy)]
struct Still;

impl Timer for Still {
    type Sleep = std::future::Pending<()>;

    fn now(&self) -> Instant {
        LATER
    }

    fn sleep_until(&self, _: Instant) -> Self::Sleep {
        std::future::pending()
    }
}

/// Answers at the third poll.
struct Third;

struct Answer(u32);

impl Service<()> for Third {
    type Response = ();
    type Error = std::io::Error;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), std::io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Answer {
        Answer(0)
    }
}

impl Future for Answer {
    type Output = Result<(), std::io::Error>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        self.0 += 1;
        if self.0 < 3 { Poll::Pending } else { Poll::Ready(Ok(())) }
    }
}

#[test]
fn a_caller_who_leaves_at_any_await_gives_the_probe_back() {
    for polls in 0..=3 {
        loom::model(move || {
            let breaker = Breaker::new(Config::default());
            for _ in 0..5 {
                breaker.admit(Instant::ORIGIN, 1 << 63).unwrap().settle(Instant::ORIGIN, Outcome::Fail);
            }
            let judge = |result: &Result<(), std::io::Error>| match result {
                Ok(()) => Outcome::Ok,
                Err(_) => Outcome::Fail,
            };
            let guard = GuardLayer::new(breaker.clone(), Still, Arc::new(Dice::seeded(1)), judge);
            let racer = breaker.clone();
            let other = thread::spawn(move || drop(racer.admit(LATER, 0)));
            {
                let mut call = pin!(guard.layer(Third).call(()));
                let mut cx = Context::from_waker(Waker::noop());
                for _ in 0..polls {
                    if call.as_mut().poll(&mut cx).is_ready() {
                        break;
                    }
                }
            }
            other.join().unwrap();
            assert!(breaker.admit(LATER, 0).is_ok(), "the place was lost after {polls} polls");
        });
    }
}
