//! The door, with handlers that take a second and a clock that stands still.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use burgeon_core::Criticality;
use burgeon_resilience::admission::{self, Admission, Cohort, Priority};
use burgeon_resilience::bulkhead::{self, Bulkhead};
use burgeon_resilience::inbound::{Asked, Door, Parts, Policy};
use burgeon_resilience::rate::{self, Limiter};
use burgeon_resilience::{Instant, Outcome, Refused, Why, limit};
use tokio::time::sleep;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

use crate::paused::{Tokio, timer};

/// Until when, if ever.
type Request = Option<Instant>;

#[derive(Clone)]
struct Rules;

impl Policy<Request, (), Infallible> for Rules {
    fn ask(&self, deadline: &Request) -> Asked {
        let priority = Priority::new(Criticality::Critical, Cohort::of(b"ada", 0));
        Asked { deadline: *deadline, priority, key: Some(7) }
    }

    fn judge(&self, _: Result<&(), &Infallible>) -> Outcome {
        Outcome::Ok
    }
}

fn parts(limit: u32) -> Parts {
    let limit = limit::Config::fixed(limit);
    let admission = Admission::new(admission::Config { limit, ..admission::Config::default() });
    Parts { admission, rate: None, bulkhead: None }
}

/// A handler of a second behind a door of these parts, and how often it has begun.
fn served(
    parts: Parts,
) -> (impl Service<Request, Response = (), Error = BoxError, Future: Send> + Clone, Arc<AtomicU32>) {
    let begun = Arc::new(AtomicU32::new(0));
    let count = begun.clone();
    let handler = service_fn(move |_: Request| {
        count.fetch_add(1, Ordering::Relaxed);
        async {
            sleep(Duration::from_secs(1)).await;
            Ok::<(), Infallible>(())
        }
    });
    let door: Door<Rules, Tokio> = Door::new(Rules, timer(), parts);
    (door.layer(handler), begun)
}

fn why(result: Result<(), BoxError>) -> Option<Why> {
    Some(result.err()?.downcast_ref::<Refused>()?.why)
}

#[tokio::test(start_paused = true)]
async fn who_waits_begins_when_the_one_before_has_ended() {
    let parts = parts(1);
    let (service, begun) = served(parts.clone());
    let (first, second) = (service.clone().oneshot(None), service.oneshot(None));
    let watch = async {
        sleep(Duration::from_millis(50)).await;
        assert_eq!(
            (begun.load(Ordering::Relaxed), parts.admission.view(Instant::ORIGIN).line.waiting),
            (1, 1)
        );
    };
    let (first, second, ()) = tokio::join!(first, second, watch);
    assert!(first.is_ok());
    // A second is longer than the queue lets anybody wait.
    assert_eq!(why(second), Some(Why::ShedQueue));
    assert_eq!(parts.admission.view(Instant::ORIGIN).line.waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn nobody_begins_after_his_deadline() {
    let (service, begun) = served(parts(1));
    let soon = Some(Instant::ORIGIN.plus(Duration::from_millis(20)));
    let (first, second) = tokio::join!(service.clone().oneshot(None), service.clone().oneshot(soon));
    assert!(first.is_ok());
    assert_eq!(why(second), Some(Why::Deadline));
    assert_eq!(why(service.oneshot(soon).await), Some(Why::Deadline));
    assert_eq!(begun.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn each_machine_refuses_in_its_own_name() {
    let rate = Limiter::new(rate::Config { limit: 1, ..rate::Config::default() });
    let (limited, _) = served(Parts { rate: Some(rate), ..parts(9) });
    assert!(limited.clone().oneshot(None).await.is_ok());
    assert_eq!(why(limited.oneshot(None).await), Some(Why::Rate));

    let bulkhead = Bulkhead::new(bulkhead::Config { limit: 1, ..bulkhead::Config::default() });
    let (walled, _) = served(Parts { bulkhead: Some(bulkhead.clone()), ..parts(9) });
    let (first, second) = tokio::join!(walled.clone().oneshot(None), walled.clone().oneshot(None));
    assert!(first.is_ok());
    assert_eq!(why(second), Some(Why::Bulkhead));
    assert_eq!(bulkhead.view().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_dropped_at_any_await_holds_nothing() {
    for polls in 0..6 {
        for ahead in [false, true] {
            let bulkhead = Bulkhead::new(bulkhead::Config { limit: 1, wait: Duration::from_secs(9) });
            let parts =
                Parts { bulkhead: Some(bulkhead.clone()), ..parts(if polls % 2 == 0 { 1 } else { 2 }) };
            let (service, _) = served(parts.clone());
            let mut cx = Context::from_waker(Waker::noop());
            {
                // Somebody before it, so that it waits in the queue or at the wall.
                let mut first = pin!(service.clone().oneshot(None));
                if ahead {
                    assert!(first.as_mut().poll(&mut cx).is_pending());
                }
                let mut call = pin!(service.oneshot(None));
                for _ in 0..polls {
                    if call.as_mut().poll(&mut cx).is_ready() {
                        break;
                    }
                    tokio::time::advance(Duration::from_millis(1)).await;
                }
            }
            let view = parts.admission.view(Instant::ORIGIN);
            assert_eq!((view.line.waiting, view.limit.in_flight), (0, 0), "{polls} polls");
            assert_eq!((bulkhead.view().in_flight, bulkhead.view().waiting), (0, 0), "{polls} polls");
        }
    }
}
