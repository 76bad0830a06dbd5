//! Publish and subscribe.

use std::time::Duration;

use burgeon_core::{Ctx, Deadline, Kind};
use burgeon_redis::{Command, Heard};
use tokio::time::Instant;

use crate::yard::{Yard, within};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_is_heard_by_all_who_listen_there_the_speaker_too_in_order() {
    let yard = Yard::new().await;
    let ctx = Ctx::background();
    let (mut first, speaker) = yard.redis.listen(&ctx, "news").await.unwrap();
    let (mut second, other) = yard.redis.listen(&ctx, "news").await.unwrap();
    let (mut elsewhere, _) = yard.redis.listen(&ctx, "other").await.unwrap();
    for number in 0..200_u8 {
        speaker.say(&[number, 0, b'\r', b'\n']).await.unwrap();
    }
    for listener in [&mut first, &mut second] {
        for number in 0..200_u8 {
            let heard = within(listener.hear()).await.unwrap();
            assert_eq!(heard, Heard::Said(vec![number, 0, b'\r', b'\n'].into()));
        }
    }
    other.say(b"end").await.unwrap();
    assert_eq!(within(first.hear()).await.unwrap(), Heard::Said("end".into()));
    let silent = tokio::time::timeout(Duration::from_millis(50), elsewhere.hear()).await;
    assert!(silent.is_err(), "{silent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_keep_up_is_told_how_much_it_missed_and_memory_stays_bounded() {
    let yard = Yard::new().await;
    let (mut listener, speaker) = yard.redis.listen(&Ctx::background(), "news").await.unwrap();
    let message = [0; 64];
    futures_util::future::try_join_all((0..6_000).map(|_| speaker.say(&message))).await.unwrap();
    let Heard::Missed(missed) = within(listener.hear()).await.unwrap() else { panic!("nothing was missed") };
    let mut said = 0;
    while said + missed < 6_000 {
        assert!(matches!(within(listener.hear()).await.unwrap(), Heard::Said(_)));
        said += 1;
    }
    assert_eq!(said, 4_096);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_ends_is_told_to_the_listener_and_the_speaker() {
    let yard = Yard::new().await;
    let (mut listener, speaker) = yard.redis.listen(&Ctx::background(), "news").await.unwrap();
    yard.call(Command::write("CLIENT").arg("KILL").arg("TYPE").arg("pubsub")).await.unwrap();
    let ended = within(listener.hear()).await.unwrap_err();
    assert_eq!(ended.kind(), Kind::Unavailable);
    assert_eq!(within(speaker.say(b"x")).await.unwrap_err().kind(), Kind::Unavailable);
    // A new one works.
    let (mut listener, speaker) = yard.redis.listen(&Ctx::background(), "news").await.unwrap();
    speaker.say(b"x").await.unwrap();
    within(listener.hear()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_drops_both_ends_closes_the_connection() {
    let yard = Yard::new().await;
    let pair = yard.redis.listen(&Ctx::background(), "news").await.unwrap();
    let listening = async || yard.call(Command::read("PUBSUB").arg("NUMSUB").arg("news")).await.unwrap();
    let count = |answer: burgeon_redis::Value| answer.array().unwrap().remove(1).int().unwrap();
    assert_eq!(count(listening().await), 1);
    drop(pair);
    within(async { while count(listening().await) > 0 {} }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_ends_with_the_deadline_whoever_does_not_answer() {
    let yard = Yard::new().await;
    yard.proxy.black_hole();
    let soon = Deadline::after(Instant::now().into_std(), Duration::from_millis(200));
    let error = yard.redis.listen(&Ctx::background().with_deadline(soon), "news").await.err().unwrap();
    assert_eq!(error.kind(), Kind::Unavailable);
}
