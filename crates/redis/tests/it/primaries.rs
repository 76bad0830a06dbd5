//! Who answers: the same server, a restarted one, one that was promoted, or a replica.

use std::time::Duration;

use burgeon_core::{Ctx, Kind};
use burgeon_redis::{Command, Config, State};
use burgeon_services::Redis as Server;

use crate::yard::{Yard, handle, is_away, within};

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_does_not_make_it_another_server_and_a_restart_does() {
    let yard = Yard::new().await;
    assert_eq!(yard.redis.generation(), 1);
    let State::Connected(Some(first)) = yard.redis.state() else { panic!("{:?}", yard.redis.state()) };
    for _ in 0..2 {
        yard.proxy.cut();
        is_away(&yard.redis).await;
        yard.proxy.heal();
        within(async { while yard.get("x").await.is_err() {} }).await;
        assert_eq!(yard.redis.generation(), 1);
    }
    let primary = yard.redis.primary();
    assert!(primary.is_some());
    yard.server.restart().await.unwrap();
    assert_eq!(within(yard.redis.generation_changed(1)).await, 2);
    within(yard.redis.connected()).await;
    let State::Connected(Some(second)) = yard.redis.state() else { panic!("{:?}", yard.redis.state()) };
    assert_ne!(first.run_id, second.run_id);
    assert_ne!(yard.redis.primary(), primary);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_of_another_server_comes_before_the_generation_has_risen() {
    let yard = Yard::new().await;
    yard.set("server", "first").await.unwrap();
    for round in 0..10 {
        let before = yard.redis.generation();
        yard.server.restart().await.unwrap();
        within(async {
            loop {
                // It forgets everything at its end: nothing is what only the next one answers.
                if yard.get("server").await.is_ok_and(|answer| answer.is_nil()) {
                    assert!(yard.redis.generation() > before, "in round {round}");
                    return;
                }
            }
        })
        .await;
        yard.set("server", "next").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_becomes_a_replica_is_left_and_promoted_again_it_is_another_one() {
    let yard = Yard::with(|config| config.heartbeat = Duration::from_millis(100)).await;
    let other = Server::start().await.unwrap();
    let become_replica = |port: u16| Command::write("REPLICAOF").arg("127.0.0.1").number(port.into());
    yard.call(become_replica(other.port())).await.unwrap();
    is_away(&yard.redis).await;
    let error = yard.set("x", "1").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);

    // Somebody else promotes it.
    let (config, ctx) = (Config::at(yard.server.url()), Ctx::background());
    let (by_hand, _tasks, _meters) = handle(&config);
    let refused = by_hand.call(&ctx, &Command::read("GET").arg("x")).await.unwrap_err();
    assert!(refused.detail().contains("replica"), "{refused:?}");
    promote(yard.server.port()).await;
    assert_eq!(within(yard.redis.generation_changed(1)).await, 2);
    within(async { while yard.set("x", "1").await.is_err() {} }).await;
}

/// As an administrator would, with whatever speaks the protocol.
async fn promote(port: u16) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(b"REPLICAOF NO ONE\r\n").await.unwrap();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"+OK\r\n");
}
