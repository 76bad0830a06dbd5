//! Servers that die, freeze, and lines that are cut or swallow everything.

use std::time::Duration;

use burgeon_core::{Ctx, Deadline, Kind};
use burgeon_redis::{Command, Config, Fault, State};
use tokio::time::Instant;

use crate::yard::{Yard, handle, is_away, within};

const SHORT: Duration = Duration::from_millis(200);

async fn impatient() -> Yard {
    Yard::with(|config| {
        (config.response_timeout, config.connect_timeout, config.heartbeat) = (SHORT, 2 * SHORT, SHORT);
    })
    .await
}

/// Until a call is answered again.
async fn heals(yard: &Yard) {
    within(async {
        while yard.get("x").await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_costs_its_callers_nothing_and_is_found_again() {
    let yard = impatient().await;
    for _ in 0..3 {
        yard.set("x", "1").await.unwrap();
        yard.server.kill().await.unwrap();
        is_away(&yard.redis).await;
        let asked = Instant::now();
        for _ in 0..1_000 {
            let error = yard.get("x").await.unwrap_err();
            assert_eq!(error.kind(), Kind::Unavailable);
            assert!(matches!(Fault::of(&error), Some(Fault::Unavailable { .. })), "{error:?}");
            assert!(error.retry_after().is_some());
        }
        // A thousand of them, each without a wait.
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
        yard.server.restart().await.unwrap();
        heals(&yard).await;
    }
    assert!(yard.redis.generation() >= 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_server_holds_nobody_longer_than_the_timeout_and_is_used_again_when_it_thaws() {
    let yard = impatient().await;
    yard.set("x", "1").await.unwrap();
    yard.server.pause().await.unwrap();
    let asked = Instant::now();
    let error = yard.get("x").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Deadline, "{error:?}");
    assert!(asked.elapsed() < 10 * SHORT, "{:?}", asked.elapsed());
    is_away(&yard.redis).await;
    assert_eq!(yard.get("x").await.unwrap_err().kind(), Kind::Unavailable);
    yard.server.resume().await.unwrap();
    let generation = yard.redis.generation();
    heals(&yard).await;
    // It is the same server, with all it knew.
    assert_eq!(yard.redis.generation(), generation);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_swallows_everything_is_given_up_and_opened_anew() {
    let yard = impatient().await;
    yard.proxy.black_hole();
    let error = yard.get("x").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Deadline, "{error:?}");
    // Also when nobody calls.
    is_away(&yard.redis).await;
    yard.proxy.heal();
    heals(&yard).await;
    assert_eq!(yard.redis.generation(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_answer_is_lost_says_that_its_outcome_is_not_known_and_a_read_does_not() {
    let yard = Yard::with(|config| config.heartbeat = Duration::from_secs(60)).await;
    let soon = || Ctx::background().with_deadline(Deadline::after(Instant::now().into_std(), SHORT));
    yard.proxy.hold_replies();
    let write = yard.redis.call(&soon(), &Command::write("SET").arg("x").arg("1")).await.unwrap_err();
    assert!(matches!(Fault::of(&write), Some(Fault::OutcomeUnknown { .. })), "{write:?}");
    let read = yard.redis.call(&soon(), &Command::read("GET").arg("x")).await.unwrap_err();
    assert!(matches!(Fault::of(&read), Some(Fault::Timeout { .. })), "{read:?}");

    // The same when the connection breaks under them.
    let (write, read) = (Command::write("SET").arg("y").arg("1"), Command::read("GET").arg("y"));
    let ctx = Ctx::background();
    let both = futures_util::future::join(yard.redis.call(&ctx, &write), yard.redis.call(&ctx, &read));
    let cut = async {
        tokio::time::sleep(SHORT).await;
        yard.proxy.cut();
    };
    let ((write, read), ()) = within(futures_util::future::join(both, cut)).await;
    assert!(matches!(Fault::of(&write.unwrap_err()), Some(Fault::OutcomeUnknown { .. })));
    assert!(matches!(Fault::of(&read.unwrap_err()), Some(Fault::Unavailable { .. })));
    yard.proxy.heal();
    heals(&yard).await;
    // Its outcome was: done.
    assert!(!yard.get("y").await.unwrap().is_nil());
}

#[tokio::test(flavor = "multi_thread")]
async fn timeouts_open_a_breaker_and_the_next_connection_starts_with_a_closed_one() {
    let yard = Yard::with(|config| {
        (config.response_timeout, config.heartbeat) = (Duration::from_millis(50), Duration::from_secs(60));
    })
    .await;
    yard.proxy.black_hole();
    let mut shed = false;
    within(async {
        while !shed {
            shed =
                yard.get("x").await.is_err_and(|error| error.find::<burgeon_resilience::Refused>().is_some())
                    || matches!(yard.redis.state(), State::Away { .. });
        }
    })
    .await;
    yard.proxy.cut();
    is_away(&yard.redis).await;
    yard.proxy.heal();
    within(yard.redis.connected()).await;
    // Not after the breaker's five seconds.
    for _ in 0..20 {
        yard.get("x").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_at_the_start_the_first_calls_wait_within_their_deadline_and_later_ones_do_not_wait()
{
    let yard = Yard::new().await;
    let url = yard.proxy.url_for(&yard.server.url());
    yard.proxy.black_hole();
    let (redis, _tasks, _meters) =
        handle(&Config { connect_timeout: Duration::from_secs(1), ..Config::at(url.clone()) });
    let ctx = Ctx::background().with_deadline(Deadline::after(Instant::now().into_std(), SHORT));
    let error = redis.call(&ctx, &Command::read("GET").arg("x")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert_eq!((redis.state(), redis.generation()), (State::Opening, 0));

    yard.proxy.cut();
    let (redis, _tasks, _meters) = handle(&Config::at(url));
    let error = redis.call(&Ctx::background(), &Command::read("GET").arg("x")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    yard.proxy.heal();
    within(redis.connected()).await;
    redis.call(&Ctx::background(), &Command::read("GET").arg("x")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stops_at_once_and_says_so_to_who_still_calls() {
    let yard = Yard::new().await;
    within(yard.tasks.stop(Duration::from_secs(5))).await.unwrap();
    let error = yard.get("x").await.unwrap_err();
    assert!(error.detail().contains("stopping"), "{error:?}");
}
