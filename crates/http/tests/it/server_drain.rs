//! The end: no accepted request fails, no connection in the queue is reset, nothing outlives the grace.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use http::Response;
use http_body_util::Full;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::serving::{Served, echo, quick, response, rest};

/// One client that asks again and again until the server tells it to go; how many answers it got.
pub(crate) async fn ask_until_told(address: std::net::SocketAddr) -> Result<u32, String> {
    let mut answered = 0;
    loop {
        let mut stream = match TcpStream::connect(address).await {
            Ok(stream) => stream,
            // Closed for good: what is refused was never accepted.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => return Ok(answered),
            Err(error) => return Err(format!("connect: {error}")),
        };
        loop {
            let ask = "GET / HTTP/1.1\r\nhost: test\r\n\r\n";
            stream.write_all(ask.as_bytes()).await.map_err(|error| format!("write: {error}"))?;
            let mut bytes = Vec::new();
            while !bytes.ends_with(b"done") {
                let count = stream.read_buf(&mut bytes).await.map_err(|error| format!("read: {error}"))?;
                if count == 0 {
                    return Err(format!("closed in the middle of {:?}", String::from_utf8_lossy(&bytes)));
                }
            }
            answered += 1;
            if String::from_utf8_lossy(&bytes).contains("connection: close") {
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "each client is a task, and all are awaited")]
async fn draining_amid_five_hundred_clients_fails_no_request_and_resets_none() {
    for round in 0..3 {
        let mut served = Served::start(&quick(), |_, _| async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Response::new(Full::from("done"))
        });
        let address = served.address;
        let clients: Vec<_> = (0..500).map(|_| tokio::spawn(ask_until_told(address))).collect();
        tokio::time::sleep(Duration::from_millis(300 + round * 37)).await;
        let began = Instant::now();
        served.drain(Duration::from_secs(10));
        let mut answered = 0;
        for client in join_all(clients).await {
            answered += client.unwrap().unwrap();
        }
        served.ended().await;
        assert!(answered >= 500, "only {answered} were answered");
        assert!(began.elapsed() < Duration::from_secs(9), "drained in {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_request_under_way_is_finished_and_its_answer_says_close() {
    let mut served = Served::start(&quick(), |_, _| async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        Response::new(Full::from("late"))
    });
    let mut stream = served.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    served.drain(Duration::from_secs(5));
    let answer = rest(&mut stream).await;
    assert!(answer.contains("connection: close") && answer.ends_with("late"), "{answer}");
    served.ended().await;
}

#[tokio::test]
async fn a_resting_connection_may_ask_once_more_and_is_closed_then() {
    let mut served = Served::start(&quick(), |request, _| echo(request));
    let mut stream = served.connect().await;
    stream.write_all(b"GET /one HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    assert!(!response(&mut stream).await.contains("connection: close"));
    served.drain(Duration::from_secs(5));
    tokio::time::sleep(Duration::from_millis(200)).await;
    stream.write_all(b"GET /two HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.contains("connection: close") && answer.contains("GET /two 0"), "{answer}");
    served.ended().await;
}

#[tokio::test]
async fn half_a_head_and_a_handler_that_never_ends_are_cut_when_the_grace_is_over() {
    let config = burgeon_http::Config {
        head_timeout: Duration::from_secs(60),
        idle_timeout: Duration::from_secs(60),
        ..quick()
    };
    let mut served = Served::start(&config, |_, _| std::future::pending::<Response<Full<bytes::Bytes>>>());
    let mut half = served.connect().await;
    half.write_all(b"GET / HTTP/1.1\r\nhost: te").await.unwrap();
    let mut hung = served.connect().await;
    hung.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    served.drain(Duration::from_millis(800));
    served.ended().await;
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(700) && took < Duration::from_millis(2500), "took {took:?}");
}

#[tokio::test]
async fn an_idle_server_drains_at_once_though_the_grace_is_long() {
    let mut served = Served::start(&quick(), |request, _| echo(request));
    assert!(served.get("/").await.contains("GET / 0"));
    let began = Instant::now();
    served.drain(Duration::from_secs(30));
    served.ended().await;
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn what_shall_go_on_without_its_client_does_so_and_is_awaited_when_draining() {
    let finished = Arc::new(AtomicU32::new(0));
    let seen = finished.clone();
    let mut served = Served::start(&quick(), move |_, connection| {
        let finished = finished.clone();
        connection.finish_without(async move {
            tokio::time::sleep(Duration::from_millis(500)).await;
            finished.fetch_add(1, Ordering::SeqCst);
        });
        std::future::pending::<Response<Full<bytes::Bytes>>>()
    });
    let mut stream = served.connect().await;
    stream.write_all(b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(stream);
    served.drain(Duration::from_secs(5));
    served.ended().await;
    assert_eq!(seen.load(Ordering::SeqCst), 1);
}
