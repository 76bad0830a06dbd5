//! The end: no accepted request fails, no connection in the queue is reset, nothing outlives the grace.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use http::Response;
use http_body_util::Full;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

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
        served.drain(Duration::from_secs(60));
        let mut answered = 0;
        for client in join_all(clients).await {
            answered += client.unwrap().unwrap();
        }
        served.ended().await;
        assert!(answered >= 500, "only {answered} were answered");
        assert!(began.elapsed() < Duration::from_secs(55), "drained in {:?}", began.elapsed());
    }
}

/// Resolves when no new connection gets in: the drain has begun, and every answer from now on says so.
async fn draining(address: std::net::SocketAddr) {
    let refused = async { while TcpStream::connect(address).await.is_ok() {} };
    timeout(HANG, refused).await.expect("it closes its entrance");
}

/// How long something may take on any machine before it is called hanging.
const HANG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_request_under_way_is_finished_and_its_answer_says_close() {
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let told = (begun.clone(), go.clone());
    let mut served = Served::start(&quick(), move |_, _| {
        let (begun, go) = told.clone();
        async move {
            begun.notify_one();
            go.notified().await;
            Response::new(Full::from("late"))
        }
    });
    let mut stream = served.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    begun.notified().await;
    let address = served.address;
    served.drain(HANG);
    draining(address).await;
    go.notify_one();
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
    served.drain(HANG);
    // Until the drain has begun, which nobody is told: the first answer after that says so, and is the last.
    let mut answer = String::new();
    while !answer.contains("connection: close") {
        stream.write_all(b"GET /two HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
        answer = response(&mut stream).await;
        assert!(answer.contains("GET /two 0"), "{answer}");
    }
    assert_eq!(rest(&mut stream).await, "");
    served.ended().await;
}

#[tokio::test]
async fn half_a_head_and_a_handler_that_never_ends_are_cut_when_the_grace_is_over() {
    let config = burgeon_http::Config {
        head_timeout: Duration::from_secs(60),
        idle_timeout: Duration::from_secs(60),
        ..quick()
    };
    let begun = Arc::new(Notify::new());
    let tell = begun.clone();
    let mut served = Served::start(&config, move |_, _| {
        tell.notify_one();
        std::future::pending::<Response<Full<bytes::Bytes>>>()
    });
    let mut half = served.connect().await;
    half.write_all(b"GET / HTTP/1.1\r\nhost: te").await.unwrap();
    let mut hung = served.connect().await;
    hung.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    begun.notified().await;
    let began = Instant::now();
    served.drain(Duration::from_millis(800));
    served.ended().await;
    let took = began.elapsed();
    // The grace, and not one of the limits, which are a minute.
    assert!(took >= Duration::from_millis(700) && took < Duration::from_secs(30), "took {took:?}");
}

#[tokio::test]
async fn an_idle_server_drains_at_once_though_the_grace_is_long() {
    let mut served = Served::start(&quick(), |request, _| echo(request));
    assert!(served.get("/").await.contains("GET / 0"));
    let began = Instant::now();
    served.drain(Duration::from_secs(60));
    served.ended().await;
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn what_shall_go_on_without_its_client_does_so_and_is_awaited_when_draining() {
    let finished = Arc::new(AtomicU32::new(0));
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let told = (begun.clone(), go.clone(), finished.clone());
    let mut served = Served::start(&quick(), move |_, connection| {
        let (begun, go, finished) = told.clone();
        connection.finish_without(async move {
            go.notified().await;
            finished.fetch_add(1, Ordering::SeqCst);
        });
        begun.notify_one();
        std::future::pending::<Response<Full<bytes::Bytes>>>()
    });
    let mut stream = served.connect().await;
    stream.write_all(b"POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    begun.notified().await;
    drop(stream);
    let address = served.address;
    served.drain(HANG);
    draining(address).await;
    go.notify_one();
    served.ended().await;
    assert_eq!(finished.load(Ordering::SeqCst), 1);
}
