//! Messages with two readings: whole, byte by byte, head and body apart, and behind a good request. None reaches a
//! handler whole; each is answered with its status and the connection is closed. What is legal passes, however odd.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::join_all;
use http::Response;
use http_body_util::{BodyExt as _, Full};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use burgeon_meter::{Meters, Value};

use crate::serving::{Served, echo, quick, response, rest};

/// The status, and what is refused with it. All are one message, or a message and what it would smuggle.
const REFUSED: &[(u16, &str)] = &[
    (400, "GET / HTTP/1.1\nhost: a\n\n"),
    (400, "GET / HTTP/1.1\r\nhost: a\nx: y\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nhost: a\r\n\n"),
    (400, "GET / HTTP/1.1\r\nhost: a\r\nx: a\0b\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nhost: a\r\nx: a\rb\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nhost: a\r\nx: \u{1}\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nhost : a\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nhost: a\r\n x: y\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\n host: a\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nhost: a\r\nno colon\r\n\r\n"),
    (400, "GET / HTTP/1.1\r\nhost: a\r\n: empty\r\n\r\n"),
    (400, "GET / x HTTP/1.1\r\nhost: a\r\n\r\n"),
    (400, "GET\t/ HTTP/1.1\r\nhost: a\r\n\r\n"),
    (400, "GET / HTTP/1.1x\r\nhost: a\r\n\r\n"),
    (400, "GET /\r\n\r\n"),
    (505, "GET / HTTP/1.2\r\nhost: a\r\n\r\n"),
    (505, "GET / HTTP/0.9\r\nhost: a\r\n\r\n"),
    (505, "GET / HTTP/3.0\r\nhost: a\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nhello"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 0\r\n\r\nhello"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5, 5\r\n\r\nhello"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +5\r\n\r\nhello"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5a\r\n\r\nhello"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0x5\r\n\r\nhello"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length:\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999999999999\r\n\r\n"),
    (400, "POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    (
        400,
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (501, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: identity, chunked\r\n\r\n0\r\n\r\n"),
    (501, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n"),
    (501, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5;a\nhello\r\n0\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n"),
    (
        400,
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n",
    ),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: y\n\r\n"),
    (400, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"),
];

/// What is answered with 200 and keeps its connection, with what the handler sees of it.
const LEGAL: &[(&str, &str)] = &[
    ("\r\nGET /blank HTTP/1.1\r\nhost: a\r\n\r\n", "GET /blank 0"),
    ("GET /odd HTTP/1.1\r\nhost:a\r\nempty:\r\nx:\tone \ttwo \r\n\r\n", "GET /odd 0"),
    ("GET /text HTTP/1.1\r\nhost: a\r\nx: \u{e9}\r\n\r\n", "GET /text 0"),
    ("M-SEARCH /name HTTP/1.1\r\nhost: a\r\n!#$%&'*+-.^_`|~0: x\r\n\r\n", "M-SEARCH /name 0"),
    ("POST /zeros HTTP/1.1\r\nhost: a\r\ncontent-length: 0005\r\n\r\nhello", "POST /zeros 5"),
    ("POST /raw HTTP/1.1\r\nhost: a\r\nCONTENT-LENGTH:  5 \r\n\r\n\0\r\n\r\n", "POST /raw 5"),
    (
        "POST /chunks HTTP/1.1\r\nhost: a\r\nTransfer-Encoding: Chunked\r\n\r\n5;n=\"v\";m\r\nhello\r\n0A\r\n0123456789\r\n000\r\nX: y\r\n\r\n",
        "POST /chunks 15",
    ),
];

const GOOD: &str = "POST /good HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi";

#[derive(Debug, Clone, Copy)]
enum Cut {
    Whole,
    Bytes,
    HeadAndBody,
}

/// Counts the requests that a handler read to their end, other than `/good`.
fn counting(completed: Arc<AtomicU32>) -> Served {
    Served::start(&quick(), move |request, _| {
        let completed = completed.clone();
        async move {
            let is_good = request.uri().path() == "/good";
            if request.into_body().collect().await.is_ok() && !is_good {
                completed.fetch_add(1, Ordering::SeqCst);
            }
            Response::new(Full::from("handled"))
        }
    })
}

/// Sends it in these pieces, each in a packet of its own, until the server closes.
async fn send(stream: &mut tokio::net::TcpStream, text: &str, cut: Cut) {
    stream.set_nodelay(true).unwrap();
    let pieces: Vec<&[u8]> = match cut {
        Cut::Whole => vec![text.as_bytes()],
        Cut::Bytes => text.as_bytes().chunks(1).collect(),
        Cut::HeadAndBody => {
            let body = text.find("\r\n\r\n").map_or(text.len(), |end| end + 4);
            vec![&text.as_bytes()[..body], &text.as_bytes()[body..]]
        }
    };
    for piece in pieces {
        // Refused already, the server may have closed.
        if stream.write_all(piece).await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
        if matches!(cut, Cut::HeadAndBody) {
            tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_two_readings_is_refused_however_it_arrives_and_no_handler_completes_it() {
    let completed = Arc::new(AtomicU32::new(0));
    let served = counting(completed.clone());
    let cases = REFUSED.iter().flat_map(|case| {
        [Cut::Whole, Cut::Bytes, Cut::HeadAndBody].map(|cut| [(case, cut, false), (case, cut, true)])
    });
    let served = &served;
    let asked = cases.flatten().map(|((status, text), cut, reused)| async move {
        let mut stream = served.connect().await;
        if reused {
            stream.write_all(GOOD.as_bytes()).await.unwrap();
            assert!(response(&mut stream).await.ends_with("handled"));
        }
        send(&mut stream, text, cut).await;
        let answer = rest(&mut stream).await;
        let told = format!("{text:?} {cut:?} reused: {reused}: {answer}");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{told}");
        assert!(
            answer.contains("connection: close\r\n") && answer.contains("application/problem+json"),
            "{told}"
        );
        assert_eq!(answer.lines().filter(|line| line.starts_with("HTTP/1.")).count(), 1, "{told}");
    });
    join_all(asked).await;
    assert_eq!(completed.load(Ordering::SeqCst), 0, "handlers that read a refused request to its end");
}

/// The meter with this label; 0 while it was never made.
fn counted(meters: &Meters, name: &str, label: &str) -> u64 {
    let is_wanted = |sample: &burgeon_meter::Sample| {
        sample.name == name && sample.labels.iter().any(|(_, value)| value == label)
    };
    match meters.samples().into_iter().find(is_wanted).map(|sample| sample.value) {
        Some(Value::Counter(count)) => count,
        _ => 0,
    }
}

fn open(meters: &Meters) -> Option<Value> {
    let samples = meters.samples();
    samples.into_iter().find(|sample| sample.name == "http_connections").map(|sample| sample.value)
}

#[tokio::test]
async fn connections_are_counted_while_they_are_open_and_by_why_they_ended() {
    let served = Served::start(&quick(), |request, _| echo(request));
    let meters = served.meters.clone();
    let mut kept = served.connect().await;
    kept.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    response(&mut kept).await;
    assert_eq!(open(&meters), Some(Value::Gauge(1)));

    served.get("/").await;
    served.say("GET / HTTP/1.1\r\nhost : a\r\n\r\n").await;
    served.say("GET / HT").await;
    drop(served.connect().await);
    assert_eq!(rest(&mut kept).await, "", "it rests until the server closes it");

    served.stop().await;
    assert_eq!(open(&meters), Some(Value::Gauge(0)));
    for end in ["closed", "refused", "slow", "unopened", "idle"] {
        assert_eq!(counted(&meters, "http_connections_total", end), 1, "{end}");
    }
    assert_eq!(counted(&meters, "http_connections_total", "broken"), 0);
    assert_eq!(counted(&meters, "http_framing_refused_total", "field_name"), 1);
}

#[tokio::test]
async fn requests_before_a_refused_one_are_answered_first_though_all_came_in_one_packet() {
    let completed = Arc::new(AtomicU32::new(0));
    let served = counting(completed.clone());
    let answer = served.say(format!("{GOOD}{GOOD}GET / HTTP/1.1\r\nhost : a\r\n\r\n{GOOD}")).await;
    assert_eq!(answer.matches("handled").count(), 2, "{answer}");
    let (_, last) = answer.rsplit_once("handled").unwrap();
    assert!(last.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(completed.load(Ordering::SeqCst), 0);
    served.stop().await;
}

#[tokio::test]
async fn what_is_legal_is_answered_and_the_connection_kept() {
    let served = Served::start(&quick(), |request, _| echo(request));
    for cut in [Cut::Whole, Cut::Bytes, Cut::HeadAndBody] {
        let mut stream = served.connect().await;
        for (text, seen) in LEGAL {
            send(&mut stream, text, cut).await;
            let answer = response(&mut stream).await;
            assert!(
                answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(seen),
                "{text:?} {cut:?}: {answer}"
            );
        }
    }
    served.stop().await;
}

#[tokio::test]
async fn a_head_above_the_limit_is_refused_and_the_next_connection_is_served() {
    let served = Served::start(&quick(), |request, _| echo(request));
    let answer =
        served.say(format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "v".repeat(33 * 1024))).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert!(served.get("/").await.ends_with("GET / 0"));
    served.stop().await;
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the upgraded connection is a task, which the test awaits")]
async fn behind_an_upgrade_the_bytes_are_another_protocols() {
    let served = Served::start(&quick(), |mut request, _| async move {
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut stream = hyper_util::rt::TokioIo::new(upgrade.await.unwrap());
            let mut bytes = [0; 7];
            stream.read_exact(&mut bytes).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
        });
        let answer =
            Response::builder().status(101).header("connection", "upgrade").header("upgrade", "echo");
        answer.body(Full::default()).unwrap()
    });
    let mut stream = served.connect().await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n")
        .await
        .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        assert!(stream.read_buf(&mut head).await.unwrap() > 0, "closed after {head:?}");
    }
    stream.write_all(b"\n\0\r \n:\n").await.unwrap();
    assert_eq!(rest(&mut stream).await, "\n\0\r \n:\n");
    served.stop().await;
}
