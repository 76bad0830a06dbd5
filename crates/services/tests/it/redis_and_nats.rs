use std::time::Duration;

use burgeon_services::{Nats, Redis};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::wire::{PATIENCE, redis, say};

#[tokio::test]
async fn a_redis_forgets_at_its_end_and_a_durable_one_does_not() {
    for (server, kept) in
        [(Redis::start().await.unwrap(), "$-1"), (Redis::durable().await.unwrap(), "$3\r\none")]
    {
        assert_eq!(redis(server.port(), "set key one").await.unwrap(), "+OK");
        server.kill().await.unwrap();
        assert!(redis(server.port(), "get key").await.is_err());
        server.restart().await.unwrap();
        assert_eq!(redis(server.port(), "get key").await.unwrap(), kept);
        server.stop().await.unwrap();
        server.restart().await.unwrap();
        assert_eq!(redis(server.port(), "get key").await.unwrap(), kept);
    }
}

#[tokio::test]
async fn a_paused_redis_is_silent_until_it_is_resumed() {
    let server = Redis::start().await.unwrap();
    server.pause().await.unwrap();
    let port = server.port();
    let mut asked = tokio::task::JoinSet::new();
    #[expect(clippy::disallowed_methods, reason = "a test owns its tasks and awaits them")]
    asked.spawn(async move { redis(port, "ping").await });
    assert!(timeout(Duration::from_millis(300), asked.join_next()).await.is_err());
    server.resume().await.unwrap();
    let answer = timeout(PATIENCE, asked.join_next()).await.unwrap().unwrap().unwrap();
    assert_eq!(answer.unwrap(), "+PONG");
}

#[tokio::test]
async fn nats_has_jetstream_and_comes_back_on_its_port() {
    let server = Nats::start().await.unwrap();
    for _ in 0..2 {
        let mut connection = TcpStream::connect(("127.0.0.1", server.port())).await.unwrap();
        let greeting = say(&mut connection, "CONNECT {\"verbose\":false}\r\nPING").await.unwrap();
        assert!(greeting.starts_with("INFO ") && greeting.contains("\"jetstream\":true"), "{greeting}");
        server.kill().await.unwrap();
        assert!(TcpStream::connect(("127.0.0.1", server.port())).await.is_err());
        server.restart().await.unwrap();
    }
    server.stop().await.unwrap();
}
