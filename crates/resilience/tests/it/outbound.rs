//! The composed pipeline, with services that fail as told and a clock that stands still.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use burgeon_resilience::breaker::State;
use burgeon_resilience::outbound::{Config, Error, Policy, Upstream, Verdict};
use burgeon_resilience::retry::{Call, Cause, Failed, Reach};
use burgeon_resilience::{Instant, Why, budget, hedge, retry};
use tokio::time::sleep;
use tower::{Service, service_fn};

use crate::paused::{Tokio, timer};

#[derive(Debug, Clone, Copy)]
struct Request {
    is_read: bool,
    deadline: Option<Instant>,
    attempt: u32,
    remaining: Option<Duration>,
}

const GET: Request = Request { is_read: true, deadline: None, attempt: 0, remaining: None };
const POST: Request = Request { is_read: false, ..GET };

/// 200 is well, 429 is busy, 503 is ill, 421 was not processed; an error is a broken connection.
struct Rules;

impl Policy<Request, u16, std::io::Error> for Rules {
    fn deadline(&self, request: &Request) -> Option<Instant> {
        request.deadline
    }

    fn call(&self, request: &Request) -> Call {
        Call { idempotent: request.is_read, replayable: true, answered: false }
    }

    fn is_read(&self, request: &Request) -> bool {
        request.is_read
    }

    fn again(&self, request: &Request) -> Option<Request> {
        Some(*request)
    }

    fn stamp(&self, request: &mut Request, attempt: u32, remaining: Option<Duration>) {
        (request.attempt, request.remaining) = (attempt, remaining);
    }

    fn judge(&self, result: Result<&u16, &std::io::Error>) -> Verdict {
        let failed = |reach, cause| Verdict::fail(Failed { reach, cause, hint: None });
        match result {
            Ok(429) => Verdict::shed(None),
            Ok(503) => failed(Reach::Perhaps, Cause::Gateway),
            Ok(421) => failed(Reach::Untouched, Cause::Reset),
            Ok(_) => Verdict::OK,
            Err(_) => failed(Reach::Perhaps, Cause::Reset),
        }
    }
}

trait Endpoint:
    Service<Request, Response = u16, Error = std::io::Error, Future = Answer> + Clone + Send + Sync
{
}

impl<S> Endpoint for S where
    S: Service<Request, Response = u16, Error = std::io::Error, Future = Answer> + Clone + Send + Sync
{
}

type Answer = Pin<Box<dyn Future<Output = Result<u16, std::io::Error>> + Send>>;

/// Endpoints that answer as `answer` says, given their number and the request; and a count of requests for each.
fn upstream<A>(
    config: Config,
    count: usize,
    answer: A,
) -> (Upstream<Rules, Tokio, impl Endpoint + use<A>>, Arc<[AtomicU32]>)
where
    A: Fn(usize, Request) -> Answer + Clone + Send + Sync + 'static,
{
    let asked: Arc<[AtomicU32]> = (0..count).map(|_| AtomicU32::new(0)).collect();
    let endpoint = |number: usize| {
        let (answer, asked) = (answer.clone(), asked.clone());
        service_fn(move |request| {
            asked[number].fetch_add(1, Ordering::Relaxed);
            answer(number, request)
        })
    };
    let endpoints: Vec<_> = (0..count).map(endpoint).collect();
    (Upstream::new("payments", config, Rules, timer(), 7, endpoints), asked)
}

fn at_once(status: u16) -> Answer {
    Box::pin(std::future::ready(Ok(status)))
}

fn all(asked: &[AtomicU32]) -> u32 {
    asked.iter().map(|one| one.load(Ordering::Relaxed)).sum()
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_tried_again_on_another_endpoint() {
    let (upstream, asked) =
        upstream(Config::default(), 3, |number, _| at_once(if number == 2 { 200 } else { 503 }));
    for _ in 0..3 {
        assert_eq!(upstream.call(GET).await.unwrap(), 200);
    }
    assert!(asked.iter().all(|one| one.load(Ordering::Relaxed) <= 3));
}

#[tokio::test(start_paused = true)]
async fn what_may_have_had_an_effect_is_not_done_twice_and_what_was_not_processed_is() {
    let (perhaps, asked) = upstream(Config::default(), 2, |_, _| {
        Box::pin(async { Err(std::io::ErrorKind::ConnectionReset.into()) })
    });
    assert!(matches!(perhaps.call(POST).await, Err(Error::Service(_))));
    assert_eq!(all(&asked), 1);

    let (untouched, asked) = upstream(Config::default(), 2, |_, _| at_once(421));
    assert_eq!(untouched.call(POST).await.unwrap(), 421);
    assert_eq!(all(&asked), 3);
}

#[tokio::test(start_paused = true)]
async fn a_shed_is_never_tried_again_and_opens_no_breaker() {
    let (upstream, asked) = upstream(Config::default(), 1, |_, _| at_once(429));
    let mut answered = 0;
    for _ in 0..200 {
        answered += u32::from(upstream.call(GET).await.is_ok());
    }
    assert_eq!(all(&asked), answered);
    let view = upstream.view();
    assert_eq!(view.endpoints[0].breaker.state, State::Closed);
    assert!(view.throttle.refused > 0, "the throttle sends less to who answers less");
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_is_down_gets_a_tenth_more_at_most() {
    let config = Config {
        breaker: burgeon_resilience::breaker::Config {
            consecutive: 0,
            fail_share: 2.0,
            ..Default::default()
        },
        throttle: burgeon_resilience::throttle::Config { cap: 0.0, ..Default::default() },
        ..Config::default()
    };
    let (upstream, asked) = upstream(config, 2, |_, _| at_once(503));
    let begun = tokio::time::Instant::now();
    let requests = 6_000;
    for _ in 0..requests {
        assert_eq!(upstream.call(GET).await.unwrap(), 503);
        sleep(Duration::from_millis(10)).await;
    }
    let sent = all(&asked);
    let floor = 3 * (begun.elapsed().as_secs() as u32 + 1);
    assert!(sent <= requests + requests / 10 + floor, "{sent} sent for {requests}");
    assert!(sent > requests + requests / 20, "retries happen: {sent}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_after_the_deadline_and_no_try_outlives_it() {
    let hang = |_, _| -> Answer { Box::pin(std::future::pending()) };
    let (upstream, asked) = upstream(Config::default(), 2, hang);
    let begun = tokio::time::Instant::now();
    let deadline = Some(timer_now(&upstream).plus(Duration::from_millis(100)));
    let error = upstream.call(Request { deadline, ..GET }).await.unwrap_err();
    assert_eq!(error.to_string(), "`payments` did not answer within 100ms");
    assert_eq!(begun.elapsed(), Duration::from_millis(100));
    let late = upstream.call(Request { deadline, ..GET }).await.unwrap_err();
    assert!(matches!(late, Error::Refused(refused) if refused.why == Why::Deadline));
    assert_eq!(all(&asked), 1);
}

/// The paused clock has not moved since the upstream was made.
fn timer_now<S>(_: &Upstream<Rules, Tokio, S>) -> Instant {
    Instant::ORIGIN
}

#[tokio::test(start_paused = true)]
async fn the_time_that_is_left_travels_with_each_try() {
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = seen.clone();
    let (upstream, _) = upstream(Config::default(), 3, move |_, request| {
        log.lock().unwrap().push((request.attempt, request.remaining.unwrap()));
        at_once(503)
    });
    let deadline = Some(Instant::ORIGIN.plus(Duration::from_secs(1)));
    assert_eq!(upstream.call(Request { deadline, ..GET }).await.unwrap(), 503);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.iter().map(|(attempt, _)| *attempt).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(
        seen.is_sorted_by(|one, next| one.1 >= next.1) && seen[0].1 == Duration::from_secs(1),
        "{seen:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_falls_ill_is_left_alone_after_a_second_and_then_nobody_notices() {
    let ill = Arc::new(AtomicBool::new(false));
    let how = ill.clone();
    let (upstream, asked) = upstream(Config::default(), 3, move |number, _| {
        at_once(if number == 0 && how.load(Ordering::Relaxed) { 503 } else { 200 })
    });
    let mut noticed = 0;
    for number in 0..10_000 {
        if number == 200 {
            ill.store(true, Ordering::Relaxed);
            asked[0].store(0, Ordering::Relaxed);
        }
        let status = upstream.call(GET).await.unwrap();
        noticed += u32::from(status != 200);
        // A third of all fails until the breaker opens, and the budget covers a tenth.
        assert!(status == 200 || (200..1_200).contains(&number), "request {number} failed");
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(upstream.view().endpoints[0].breaker.state, State::Open);
    let asked = asked[0].load(Ordering::Relaxed);
    assert!(asked < 100 && noticed < 60, "the ill endpoint was asked {asked} times, {noticed} noticed");
}

#[tokio::test(start_paused = true)]
async fn all_endpoints_ill_is_a_refusal_that_knows_when_to_come_back() {
    let config = Config {
        throttle: burgeon_resilience::throttle::Config { cap: 0.0, ..Default::default() },
        ..Config::default()
    };
    let (upstream, _) = upstream(config, 2, |_, _| at_once(503));
    let mut last = None;
    for _ in 0..40 {
        last = upstream.call(POST).await.err();
    }
    let Some(Error::Refused(refused)) = last else { panic!("{last:?}") };
    assert_eq!(refused.why, Why::Ejected);
    assert!(refused.after.unwrap() <= Duration::from_millis(6_250));
}

fn hedging() -> Config {
    Config {
        hedge: hedge::Config { on: true, ..Default::default() },
        budget: budget::Config { ratio: 1.0, ..Default::default() },
        retry: retry::Config { attempts: 1, ..Default::default() },
        ..Config::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_asked_for_twice_and_the_loser_is_dropped() {
    // Every 50th request hangs for ten seconds, wherever it lands.
    let count = Arc::new(AtomicU32::new(0));
    let (upstream, asked) = upstream(hedging(), 2, move |_, _| {
        let hangs = count.fetch_add(1, Ordering::Relaxed) % 50 == 49;
        let took = Duration::from_millis(if hangs { 10_000 } else { 10 });
        Box::pin(async move {
            sleep(took).await;
            Ok(200)
        })
    });
    let mut slow = 0;
    for number in 0..2_000 {
        let begun = tokio::time::Instant::now();
        assert_eq!(upstream.call(GET).await.unwrap(), 200);
        let late = begun.elapsed() > Duration::from_millis(100);
        slow += u32::from(late && number >= 150);
        if number < 1_000 {
            continue;
        }
        // A write is never hedged.
        assert!(begun.elapsed() < Duration::from_millis(100));
    }
    assert_eq!(slow, 0);
    assert!(all(&asked) < 2_200, "a few percent more, not twice: {}", all(&asked));
    let view = upstream.view();
    assert!(view.endpoints.iter().all(|one| one.in_flight == 0), "{view:?}");
    assert_eq!((view.budget.in_flight, view.budget.extras_in_flight), (0, 0));
}

/// Every await is a place where the caller may leave.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_at_any_await_holds_nothing() {
    for (polls, status) in (0..12).flat_map(|polls| [(polls, 200), (polls, 503)]) {
        let config = Config {
            attempt_timeout: Duration::from_millis(10),
            budget: budget::Config { floor: 100, in_flight_floor: 100, ..Default::default() },
            ..Config::default()
        };
        // Three turns until an answer: the first, its wait, and so on through three tries.
        let (upstream, _) = upstream(config, 2, move |_, _| {
            Box::pin(async move {
                tokio::task::yield_now().await;
                sleep(Duration::from_millis(1)).await;
                Ok(status)
            })
        });
        let mut ended = false;
        {
            let mut call = pin!(upstream.call(GET));
            for _ in 0..polls {
                let mut cx = Context::from_waker(Waker::noop());
                ended = call.as_mut().poll(&mut cx).is_ready();
                if ended {
                    break;
                }
                tokio::time::advance(Duration::from_millis(100)).await;
            }
        }
        let view = upstream.view();
        assert_eq!((view.budget.in_flight, view.budget.extras_in_flight), (0, 0), "{polls} polls");
        assert!(view.endpoints.iter().all(|one| one.in_flight == 0), "{polls} polls");
        if !ended {
            assert_eq!(view.throttle.requests, 0, "a cancelled call counts as nothing");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_probe_makes_room_for_the_next() {
    let well = Arc::new(AtomicU32::new(0));
    let how = well.clone();
    let config = Config {
        throttle: burgeon_resilience::throttle::Config { cap: 0.0, ..Default::default() },
        retry: retry::Config { attempts: 1, ..Default::default() },
        ..Config::default()
    };
    let (upstream, _) = upstream(config, 1, move |_, _| match how.load(Ordering::Relaxed) {
        0 => at_once(503),
        1 => Box::pin(std::future::pending()),
        _ => at_once(200),
    });
    for _ in 0..5 {
        assert_eq!(upstream.call(GET).await.unwrap(), 503);
    }
    assert!(upstream.call(GET).await.is_err());
    sleep(Duration::from_secs(7)).await;
    well.store(1, Ordering::Relaxed);
    for _ in 0..10 {
        let probe = tokio::time::timeout(Duration::from_millis(1), upstream.call(GET));
        assert!(probe.await.is_err(), "each of them is admitted, hangs, and is cancelled");
    }
    well.store(2, Ordering::Relaxed);
    assert_eq!(upstream.call(GET).await.unwrap(), 200);
}
