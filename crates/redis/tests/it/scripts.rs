//! Scripts: by hash, and by text where the server does not know them.

use burgeon_core::Ctx;
use burgeon_redis::{Command, Fault, Pipeline, Script, Value};

use crate::yard::Yard;

const ADD: &str = "return redis.call('INCRBY', KEYS[1], ARGV[1])";

#[tokio::test(flavor = "multi_thread")]
async fn a_script_runs_also_where_the_server_does_not_know_it_or_has_forgotten_it() {
    let yard = Yard::new().await;
    let (ctx, add) = (Ctx::background(), Script::new(ADD));
    let call = add.call().key("n").number(2);
    assert_eq!(yard.redis.run(&ctx, &call).await.unwrap(), Value::Int(2));
    assert_eq!(yard.redis.run(&ctx, &call).await.unwrap(), Value::Int(4));
    assert_eq!(yard.count("redis_calls_total", "error"), 1, "only the first time it was not known");
    yard.call(Command::write("SCRIPT").arg("FLUSH")).await.unwrap();
    assert_eq!(yard.redis.run(&ctx, &call).await.unwrap(), Value::Int(6));
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_pipeline_too_and_each_runs_once() {
    let yard = Yard::new().await;
    let (ctx, add) = (Ctx::background(), Script::new(ADD));
    for round in 1..=2 {
        let pipeline = Pipeline::new()
            .run(add.call().key("a").number(1))
            .call(Command::write("INCR").arg("b"))
            .run(add.call().key("c").number(10));
        let answers = yard.redis.pipeline(&ctx, &pipeline).await.unwrap();
        let answers: Vec<i64> = answers.into_iter().map(|answer| answer.unwrap().int().unwrap()).collect();
        assert_eq!(answers, [round, round, 10 * round]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_inside_a_script_is_answered_and_undoes_nothing_before_it() {
    let yard = Yard::new().await;
    let script =
        Script::new("redis.call('SET', KEYS[1], ARGV[1]); return redis.error_reply('ODD not today')");
    let error = yard.redis.run(&Ctx::background(), &script.call().key("k").arg(b"\0v")).await.unwrap_err();
    assert!(matches!(Fault::of(&error), Some(Fault::Answered { code, .. }) if code == "ODD"), "{error:?}");
    assert_eq!(yard.get("k").await.unwrap(), Value::Bytes(b"\0v"[..].into()));
}
