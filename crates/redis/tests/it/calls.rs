//! What a call brings back.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use burgeon_core::{Ctx, Deadline, Kind};
use burgeon_redis::{Command, Fault, Pipeline, Value};
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::yard::{Yard, within};

#[tokio::test(flavor = "multi_thread")]
async fn any_bytes_come_back_as_they_went_and_nothing_is_nothing() {
    let yard = Yard::new().await;
    let all: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let done =
        yard.call(Command::write("SET").arg(b"k\0\r\n").arg(&all).arg("PX").number(60_000)).await.unwrap();
    assert_eq!(done, Value::Text("OK".to_owned()));
    let back = yard.call(Command::read("GET").arg(b"k\0\r\n")).await.unwrap().bytes().unwrap();
    assert_eq!(back.as_deref(), Some(&all[..]));
    assert!(yard.get("nothing").await.unwrap().is_nil());
    assert_eq!(yard.call(Command::write("INCR").arg("n")).await.unwrap().int().unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_every_sort_are_understood() {
    let yard = Yard::new().await;
    let pairs = Command::write("HSET").arg("h").arg("a").arg("1").arg("b").arg("2");
    assert_eq!(yard.call(pairs).await.unwrap(), Value::Int(2));
    let mut pairs = yard.call(Command::read("HGETALL").arg("h")).await.unwrap().array().unwrap();
    assert_eq!(pairs.len(), 4);
    assert_eq!(pairs.remove(0).bytes().unwrap().as_deref(), Some(&b"a"[..]));
    yard.call(Command::write("ZADD").arg("z").arg("1.5").arg("one")).await.unwrap();
    assert_eq!(yard.call(Command::read("ZSCORE").arg("z").arg("one")).await.unwrap(), Value::Double(1.5));
    let both = yard.call(Command::read("MGET").arg("x").arg("y")).await.unwrap();
    assert_eq!(both, Value::Array(vec![Value::Nil, Value::Nil]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_redis_answers_is_the_callers_and_harms_nobody_else() {
    let yard = Yard::new().await;
    yard.set("text", "x").await.unwrap();
    for _ in 0..50 {
        let error = yard.call(Command::write("LPUSH").arg("text").arg("y")).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Internal);
        assert!(
            matches!(Fault::of(&error), Some(Fault::Answered { code, .. }) if code == "WRONGTYPE"),
            "{error:?}"
        );
    }
    // No breaker has opened.
    assert_eq!(yard.get("text").await.unwrap(), Value::Bytes("x".into()));
    assert_eq!(yard.count("redis_calls_total", "error"), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_pipeline_each_command_has_its_own_answer_or_error() {
    let yard = Yard::new().await;
    let pipeline = Pipeline::new()
        .call(Command::write("SET").arg("a").arg("1"))
        .call(Command::write("LPUSH").arg("a").arg("2"))
        .call(Command::read("GET").arg("a"))
        .call(Command::read("GET").arg("b"));
    let answers = yard.redis.pipeline(&Ctx::background(), &pipeline).await.unwrap();
    assert_eq!(answers.len(), 4);
    assert!(answers[0].is_ok());
    let wrong = answers[1].as_ref().unwrap_err();
    assert!(
        matches!(Fault::of(wrong), Some(Fault::Answered { code, .. }) if code == "WRONGTYPE"),
        "{wrong:?}"
    );
    assert_eq!(*answers[2].as_ref().unwrap(), Value::Bytes("1".into()));
    assert_eq!(*answers[3].as_ref().unwrap(), Value::Nil);
    assert!(yard.redis.pipeline(&Ctx::background(), &Pipeline::new()).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_is_one_round_trip() {
    let yard = Yard::new().await;
    let delay = Duration::from_millis(100);
    yard.proxy.delay(delay);
    let pipeline = (0..50).fold(Pipeline::new(), |all, n| all.call(Command::read("GET").arg(format!("{n}"))));
    let asked = Instant::now();
    within(yard.redis.pipeline(&Ctx::background(), &pipeline)).await.unwrap();
    assert!(asked.elapsed() < 10 * delay, "{:?}", asked.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_many_are_under_way_on_one_connection_and_each_gets_its_own_answer() {
    let yard = Yard::new().await;
    let right = AtomicUsize::new(0);
    join_all((0..500).map(|n| {
        let (yard, right) = (&yard, &right);
        async move {
            yard.set(&format!("k{n}"), &format!("v{n}")).await.unwrap();
            let back = yard.get(&format!("k{n}")).await.unwrap();
            assert_eq!(back, Value::Bytes(format!("v{n}").into()));
            right.fetch_add(1, Ordering::Relaxed);
        }
    }))
    .await;
    assert_eq!(right.into_inner(), 500);
    let clients = yard.call(Command::read("CLIENT").arg("LIST")).await.unwrap().bytes().unwrap().unwrap();
    assert_eq!(String::from_utf8_lossy(&clients).lines().count(), 1, "one connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_is_bounded_and_what_is_refused_is_not_begun() {
    let yard = Yard::with(|config| config.in_flight = 3).await;
    yard.proxy.black_hole();
    let ctx = Ctx::background();
    let deadline = Deadline::after(Instant::now().into_std(), Duration::from_millis(300));
    let ctx = ctx.with_deadline(deadline);
    let set = |n: usize| Command::write("SET").arg(format!("{n}")).arg("x");
    let asked = join_all((0..10).map(|n| {
        let (yard, ctx, command) = (&yard, &ctx, set(n));
        async move { yard.redis.call(ctx, &command).await.unwrap_err().kind() }
    }))
    .await;
    let overloaded = asked.iter().filter(|kind| **kind == Kind::Overloaded).count();
    assert_eq!(overloaded, 7, "{asked:?}");
    yard.proxy.heal();
    // Their places came back.
    within(async { while yard.get("x").await.is_err() {} }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_past_its_deadline_is_not_begun() {
    let yard = Yard::new().await;
    let passed = Ctx::background().with_deadline(Deadline::at(Instant::now().into_std()));
    let error = yard.redis.call(&passed, &Command::write("SET").arg("late").arg("x")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Deadline);
    assert!(matches!(Fault::of(&error), Some(Fault::Timeout { .. })));
    assert!(yard.get("late").await.unwrap().is_nil());
}
