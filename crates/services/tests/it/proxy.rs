use std::time::Duration;

use burgeon_services::{Proxy, Redis};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::wire::{PATIENCE, redis, say};

/// Long enough that an answer which could come has come.
const SILENCE: Duration = Duration::from_millis(300);

async fn redis_behind_a_proxy() -> (Redis, Proxy, TcpStream) {
    let server = Redis::start().await.unwrap();
    let proxy = Proxy::start(("127.0.0.1", server.port())).await.unwrap();
    let mut connection = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(say(&mut connection, "ping").await.unwrap(), "+PONG");
    (server, proxy, connection)
}

#[tokio::test]
async fn a_cut_resets_what_is_open_and_what_is_new_until_it_heals() {
    let (_server, proxy, mut connection) = redis_behind_a_proxy().await;
    proxy.cut();
    let error = timeout(PATIENCE, connection.read(&mut [0; 8])).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert!(timeout(PATIENCE, redis(proxy.port(), "ping")).await.unwrap().is_err());
    proxy.heal();
    assert_eq!(redis(proxy.port(), "ping").await.unwrap(), "+PONG");
}

#[tokio::test]
async fn a_delay_is_latency_and_not_bandwidth() {
    let (_server, proxy, mut connection) = redis_behind_a_proxy().await;
    let delay = Duration::from_millis(200);
    proxy.delay(delay);
    let started = Instant::now();
    assert_eq!(say(&mut connection, "ping").await.unwrap(), "+PONG");
    assert!(started.elapsed() >= 2 * delay, "there and back: {:?}", started.elapsed());

    // 20 requests under way at once, each in a chunk of its own, come back after one round trip and not after 20.
    connection.set_nodelay(true).unwrap();
    let started = Instant::now();
    for _ in 0..20 {
        connection.write_all(b"ping\r\n").await.unwrap();
    }
    connection.read_exact(&mut [0; 20 * 7]).await.unwrap();
    assert!(started.elapsed() >= 2 * delay && started.elapsed() < 10 * delay, "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_black_hole_says_nothing_and_delivers_when_it_heals() {
    let (server, proxy, mut connection) = redis_behind_a_proxy().await;
    proxy.black_hole();
    connection.write_all(b"set key black\r\n").await.unwrap();
    let mut answer = [0; 5];
    assert!(timeout(SILENCE, connection.read(&mut answer)).await.is_err());
    assert_eq!(redis(server.port(), "get key").await.unwrap(), "$-1", "the request must not have arrived");
    let mut fresh = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(timeout(SILENCE, say(&mut fresh, "ping")).await.is_err());
    proxy.heal();
    timeout(PATIENCE, connection.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"+OK\r\n");
    assert_eq!(redis(server.port(), "get key").await.unwrap(), "$5\r\nblack");
}

#[tokio::test]
async fn held_replies_leave_the_work_done_and_the_asker_without_an_answer() {
    let (server, proxy, mut connection) = redis_behind_a_proxy().await;
    proxy.hold_replies();
    connection.write_all(b"set key done\r\n").await.unwrap();
    assert!(timeout(SILENCE, connection.read(&mut [0; 5])).await.is_err());
    assert_eq!(redis(server.port(), "get key").await.unwrap(), "$4\r\ndone");
    proxy.cut();
    assert!(timeout(PATIENCE, connection.read(&mut [0; 5])).await.unwrap().is_err());
}

#[tokio::test]
async fn a_target_that_is_down_resets_the_client() {
    let (server, proxy, mut connection) = redis_behind_a_proxy().await;
    server.kill().await.unwrap();
    let ended = timeout(PATIENCE, connection.read(&mut [0; 8])).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)));
    assert!(timeout(PATIENCE, redis(proxy.port(), "ping")).await.unwrap().is_err());
    server.restart().await.unwrap();
    assert_eq!(redis(proxy.port(), "ping").await.unwrap(), "+PONG");
}

#[tokio::test]
async fn megabytes_and_the_end_of_a_stream_arrive_whole() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap()).await.unwrap();
    let sent: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let mut sender = JoinSet::new();
    let (to_send, address) = (sent.clone(), proxy.address());
    #[expect(clippy::disallowed_methods, reason = "a test owns its tasks and awaits them")]
    sender.spawn(async move {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(&to_send).await.unwrap();
        client.shutdown().await.unwrap();
        let mut reply = String::new();
        client.read_to_string(&mut reply).await.unwrap();
        reply
    });
    let (mut server, _) = listener.accept().await.unwrap();
    let mut received = Vec::new();
    server.read_to_end(&mut received).await.unwrap();
    assert!(received == sent);
    server.write_all(b"all of it").await.unwrap();
    drop(server);
    assert_eq!(sender.join_next().await.unwrap().unwrap(), "all of it");
}

#[tokio::test]
async fn a_dropped_proxy_closes_its_connections_and_its_port() {
    let (_server, proxy, mut connection) = redis_behind_a_proxy().await;
    let address = proxy.address();
    drop(proxy);
    let ended = timeout(PATIENCE, connection.read(&mut [0; 8])).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)));
    assert!(TcpStream::connect(address).await.is_err());
}
