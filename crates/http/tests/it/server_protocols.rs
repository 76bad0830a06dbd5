//! HTTP/1.1 and HTTP/2 on one port, pipelining, bad bytes, and a port that is taken.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncWriteExt as _;

use burgeon_http::{Config, Server};

use crate::serving::{Served, echo, quick, rest};

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let served = Served::start(&quick(), |request, _| echo(request));
    let many: String =
        (0..40).map(|number| format!("GET /{number} HTTP/1.1\r\nhost: test\r\n\r\n")).collect();
    let last = "GET /last HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
    let answers = served.say(format!("{many}{last}")).await;
    let mut at = 0;
    for number in 0..40 {
        at += answers[at..].find(&format!("GET /{number} 0")).expect("missing or out of order");
    }
    assert!(answers[at..].contains("GET /last 0"));
    served.stop().await;
}

#[tokio::test]
async fn a_body_and_the_next_request_in_one_packet_stay_apart() {
    let served = Served::start(&quick(), |request, _| echo(request));
    let answers = served
        .say(
            "POST /one HTTP/1.1\r\nhost: test\r\ncontent-length: 5\r\n\r\nhello\
             POST /two HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        )
        .await;
    assert!(answers.contains("POST /one 5") && answers.contains("POST /two 3"), "{answers}");
    served.stop().await;
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the client's connection needs a task")]
async fn http2_is_spoken_on_the_same_port_without_a_question() {
    let served = Served::start(&quick(), |request, _| echo(request));
    let io = TokioIo::new(served.connect().await);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut asked = Vec::new();
    for number in 0..50 {
        let body = Full::new(Bytes::from(vec![0; number * 1_000]));
        let request = Request::post(format!("http://test/{number}")).body(body).unwrap();
        asked.push(sender.send_request(request));
    }
    for (number, response) in futures_util::future::join_all(asked).await.into_iter().enumerate() {
        let response = response.unwrap();
        assert_eq!(response.version(), Version::HTTP_2);
        let body = response.collect().await.unwrap().to_bytes();
        assert_eq!(body, format!("POST /{number} {}", number * 1_000));
    }
    drop(sender);
    connection.await.unwrap().unwrap();
    served.stop().await;
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the client's connection needs a task")]
async fn a_large_answer_arrives_whole_over_http2() {
    let served = Served::start(&quick(), |_, _| async {
        Response::new(Full::from((0..1_000_000u32).flat_map(u32::to_be_bytes).collect::<Vec<u8>>()))
    });
    let io = TokioIo::new(served.connect().await);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::get("http://test/").body(Full::<Bytes>::default()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.headers()["content-length"], "4000000");
    let body = response.collect().await.unwrap().to_bytes();
    assert!(body.chunks_exact(4).zip(0u32..).all(|(bytes, number)| bytes == number.to_be_bytes()));
    assert_eq!(body.len(), 4_000_000);
    drop(sender);
    connection.await.unwrap().unwrap();
    served.stop().await;
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the client's connection needs a task")]
async fn an_http2_stream_that_is_never_read_is_cut_though_its_connection_lives() {
    let served = Served::start(&quick(), |_, _| async { Response::new(Full::from(vec![0; 8 << 20])) });
    let io = TokioIo::new(served.connect().await);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::get("http://test/").body(Full::<Bytes>::default()).unwrap();
    // Held and not read: its window stays shut, while the client answers every ping.
    let response = sender.send_request(request).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(10), connection).await;
    assert!(ended.is_ok(), "the stream was pinned for ever");
    drop(response);
    served.stop().await;
}

#[tokio::test]
async fn what_is_no_request_is_refused_and_the_connection_closed() {
    let served = Served::start(&quick(), |request, _| echo(request));
    for nonsense in
        ["\0\0\0\0\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/1.1\r\nbad name: x\r\n\r\n", "GET / HTTP/9.9\r\n\r\n"]
    {
        let answer = served.say(nonsense).await;
        assert!(
            answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 5"),
            "{nonsense:?}: {answer}"
        );
    }
    let long = format!("GET /{} HTTP/1.1\r\nhost: test\r\n\r\n", "x".repeat(64 * 1024));
    assert!(served.say(long).await.starts_with("HTTP/1.1 4"));
    // A header that is not UTF-8 is legal, if odd; the handler never looks at it.
    let answer =
        served.say(b"GET /odd HTTP/1.1\r\nhost: test\r\nx: \xff\xfe\r\nconnection: close\r\n\r\n").await;
    assert!(answer.contains("GET /odd 0"), "{answer}");
    served.stop().await;
}

#[tokio::test]
async fn a_second_instance_is_refused_with_the_port_and_the_remedy() {
    let served = Served::start(&quick(), |request, _| echo(request));
    let port = served.address.port();
    let Err(refused) = Server::bind(&Config { port, ..quick() }) else { panic!("bound twice") };
    let message = refused.to_string();
    assert!(message.contains(&port.to_string()) && message.contains("already in use"), "{message}");
    assert!(message.contains("http.port"), "{message}");
    assert!(served.get("/").await.contains("GET / 0"), "the first one must not notice");
    served.stop().await;
}

#[tokio::test]
async fn a_stopped_server_leaves_its_port_free() {
    let served = Served::start(&quick(), |request, _| echo(request));
    let mut stream = served.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").await.unwrap();
    rest(&mut stream).await;
    let port = served.address.port();
    served.stop().await;
    Server::bind(&Config { port, ..quick() }).unwrap();
}
