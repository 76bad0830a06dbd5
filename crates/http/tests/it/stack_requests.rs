//! The standard stack through a socket: what every request and every response gets.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use burgeon_core::units::Size;
use burgeon_core::{Ctx, Result};
use burgeon_http::{Config, Cors, Door, Edge, Html, Json, Mounts, Peer, Routes, State, get, post};
use burgeon_meter::{Meters, Value};

use crate::serving::{Served, quick, response};

/// How often slow handlers began and ended.
#[derive(Clone, Default)]
struct Ended {
    begun: Arc<AtomicU32>,
    ended: Arc<AtomicU32>,
}

async fn hello() -> String {
    "hello".into()
}

async fn page() -> Html {
    Html(format!("<p>{}</p>", "hello ".repeat(500)))
}

async fn explode() -> String {
    panic!("the answer is hunter2")
}

async fn slow(State(slow): State<Ended>) -> String {
    slow.begun.fetch_add(1, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(500)).await;
    slow.ended.fetch_add(1, Ordering::SeqCst);
    "slept".into()
}

async fn take(body: bytes::Bytes) -> String {
    body.len().to_string()
}

async fn seen(ctx: Ctx, Peer(peer): Peer) -> Result<Json<(String, u128, String, String)>> {
    let now = tokio::time::Instant::now().into_std();
    let left = ctx.deadline().map_or(0, |deadline| deadline.remaining(now).as_millis());
    let trace = ctx.trace().map_or(String::new(), |trace| trace.to_string());
    Ok(Json((ctx.criticality().to_string(), left, trace, peer.ip().to_string())))
}

struct Application {
    served: Served,
    ended: Ended,
    meters: Meters,
}

fn application(config: &Config) -> Application {
    let ended = Ended::default();
    let meters = Meters::new();
    let routes = Routes::new(ended.clone()).routes([
        get("/hello", hello),
        get("/page", page),
        get("/explode", explode),
        get("/slow", slow),
        post("/slow", slow),
        get("/late", slow).timeout(Duration::from_millis(100)),
        post("/late", slow).timeout(Duration::from_millis(100)),
        post("/take", take).body_limit(Size::kib(64)),
        get("/seen", seen).sheddable().timeout(Duration::from_secs(2)),
    ]);
    let router = Mounts::new().mount("/", routes).router(Door::new()).unwrap();
    let edge = Edge::new(config, router, &meters).unwrap();
    Application { served: Served::edge(config, edge), ended, meters }
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next()?;
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

impl Application {
    async fn ask(&self, request: &str) -> String {
        self.served.say(format!("{request}\r\nhost: shop\r\nconnection: close\r\n\r\n")).await
    }

    fn count(&self, name: &str, labels: &[(&str, &str)]) -> Option<Value> {
        let samples = self.meters.samples();
        let matching = samples.into_iter().find(|sample| {
            sample.name == name
                && labels
                    .iter()
                    .all(|(name, value)| sample.labels.iter().any(|(has, is)| has == name && is == value))
        });
        matching.map(|sample| sample.value)
    }
}

#[tokio::test]
async fn a_panic_costs_one_answer_and_not_the_connection() {
    let app = application(&quick());
    let mut stream = app.served.connect().await;
    for _ in 0..3 {
        stream.write_all(b"GET /explode HTTP/1.1\r\nhost: shop\r\n\r\n").await.unwrap();
        let answer = response(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 500"), "{answer}");
        assert!(!answer.contains("hunter2"), "the message is not for the client: {answer}");
        let id = header(&answer, "x-request-id").unwrap();
        assert!(answer.contains(&format!("\"instance\":\"{id}\"")), "{answer}");
    }
    stream.write_all(b"GET /hello HTTP/1.1\r\nhost: shop\r\n\r\n").await.unwrap();
    assert!(response(&mut stream).await.ends_with("hello"));
    let of = [("route", "/explode"), ("status", "5xx")];
    assert_eq!(app.count("http_requests_total", &of), Some(Value::Counter(3)));
    app.served.stop().await;
}

#[tokio::test]
async fn a_handler_past_its_deadline_is_answered_for_and_other_work_than_reading_goes_on() {
    let app = application(&quick());
    let answer = app.ask("GET /late HTTP/1.1").await;
    assert!(answer.starts_with("HTTP/1.1 504"), "{answer}");
    let answer = app.ask("POST /late HTTP/1.1\r\ncontent-length: 0").await;
    assert!(answer.starts_with("HTTP/1.1 504"), "{answer}");
    let ended = app.ended.clone();
    app.served.stop().await;
    assert_eq!(ended.ended.load(Ordering::SeqCst), 1, "the POST is finished, the GET is not");
}

#[tokio::test]
async fn when_the_client_leaves_reading_stops_and_writing_is_finished() {
    let app = application(&quick());
    for (begun, method) in [(1, "GET"), (2, "POST")] {
        let mut stream = app.served.connect().await;
        let request = format!("{method} /slow HTTP/1.1\r\nhost: shop\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        while app.ended.begun.load(Ordering::SeqCst) < begun {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        drop(stream);
    }
    let (ended, meters) = (app.ended.clone(), app.meters.clone());
    app.served.stop().await;
    assert_eq!(ended.ended.load(Ordering::SeqCst), 1);
    let left = |sample: &burgeon_meter::Sample| sample.labels.iter().any(|(_, value)| value == "left");
    let left: Vec<_> = meters
        .samples()
        .into_iter()
        .filter(|sample| left(sample) && sample.value != Value::Counter(0))
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[tokio::test]
async fn a_handler_sees_its_deadline_class_trace_and_peer() {
    let proxies = vec!["127.0.0.0/8".to_owned()];
    let app = application(&Config { trusted_proxies: proxies, ..quick() });
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let answer = app
        .ask(&format!(
            "GET /seen HTTP/1.1\r\ntraceparent: {trace}\r\nx-request-timeout-ms: 700\r\n\
             x-forwarded-for: 6.6.6.6, 192.0.2.7\r\nx-request-id: from-the-proxy.1"
        ))
        .await;
    let body = answer.split("\r\n\r\n").nth(1).unwrap();
    let (class, left, own, peer): (String, u128, String, String) = serde_json::from_str(body).unwrap();
    assert_eq!(class, "sheddable");
    assert!((500..=700).contains(&left), "{left} ms left");
    assert!(own.starts_with(&trace[..35]) && own != trace, "{own} is not a step of {trace}");
    assert_eq!(peer, "192.0.2.7");
    assert_eq!(header(&answer, "x-request-id"), Some("from-the-proxy.1"));
    app.served.stop().await;
}

#[tokio::test]
async fn who_is_not_trusted_is_not_believed_and_cannot_stretch_the_deadline() {
    let app = application(&quick());
    let answer = app
        .ask(
            "GET /seen HTTP/1.1\r\nx-request-timeout-ms: 999999\r\nx-forwarded-for: 192.0.2.7\r\nx-request-id: mine",
        )
        .await;
    let body = answer.split("\r\n\r\n").nth(1).unwrap();
    let (_, left, trace, peer): (String, u128, String, String) = serde_json::from_str(body).unwrap();
    assert!((1_500..=2_000).contains(&left), "{left} ms left");
    assert_eq!(peer, "127.0.0.1");
    let id = header(&answer, "x-request-id").unwrap();
    assert_eq!(id, trace.split('-').nth(1).unwrap(), "the log, the trace and the client use one name");
    app.served.stop().await;
}

#[tokio::test]
async fn a_page_gets_the_browsers_guards_and_json_only_what_concerns_it() {
    let app = application(&quick());
    let page = app.ask("GET /page HTTP/1.1").await;
    assert_eq!(header(&page, "x-content-type-options"), Some("nosniff"));
    assert!(header(&page, "content-security-policy").unwrap().contains("frame-ancestors 'none'"));
    assert_eq!(header(&page, "referrer-policy"), Some("strict-origin-when-cross-origin"));
    assert_eq!(header(&page, "strict-transport-security"), None, "not without TLS");
    let json = app.ask("GET /seen HTTP/1.1").await;
    assert_eq!(header(&json, "x-content-type-options"), Some("nosniff"));
    assert_eq!(header(&json, "content-security-policy"), None);
    app.served.stop().await;
}

#[tokio::test]
async fn a_long_page_is_packed_for_those_who_take_it() {
    let app = application(&quick());
    let mut stream = app.served.connect().await;
    stream
        .write_all(b"GET /page HTTP/1.1\r\nhost: shop\r\naccept-encoding: gzip\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let split = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&bytes[..split]).into_owned();
    assert!(head.contains("content-encoding: gzip") && head.contains("vary: accept-encoding"), "{head}");
    let mut page = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&bytes[split + 4..]), &mut page).unwrap();
    assert_eq!(page.matches("hello").count(), 500);
    assert_eq!(header(&app.ask("GET /page HTTP/1.1").await, "content-encoding"), None);
    app.served.stop().await;
}

#[tokio::test]
async fn two_gigabytes_are_refused_before_they_are_sent() {
    let app = application(&quick());
    let answer = app.ask("POST /take HTTP/1.1\r\ncontent-length: 2147483648").await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    // One that sends all the same gets its answer too, and not a reset that swallows it.
    let mut stream = app.served.connect().await;
    let head = "POST /take HTTP/1.1\r\nhost: shop\r\ncontent-length: 2147483648\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let send = async {
        let chunk = vec![0; 64 * 1024];
        let mut sent = 0;
        while sent < 2_u64 << 30 && write.write_all(&chunk).await.is_ok() {
            sent += chunk.len() as u64;
        }
        sent
    };
    let receive = async {
        let mut answer = Vec::new();
        let _ = read.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    let (sent, answer) = tokio::join!(send, receive);
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(sent < 100 << 20, "{sent} bytes were taken");
    app.served.stop().await;
}

#[tokio::test]
async fn a_head_with_two_readings_is_refused_and_its_connection_closed() {
    let app = application(&quick());
    for head in [
        "GET /hello HTTP/1.1\r\n\r\n",
        "GET /hello HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        "GET /hello HTTP/1.1\r\nhost: user@shop\r\n\r\n",
        "GET http://other/hello HTTP/1.1\r\nhost: shop\r\n\r\n",
    ] {
        let answer = app.served.say(head).await;
        assert!(
            answer.starts_with("HTTP/1.1 400") && answer.contains("connection: close"),
            "{head:?}: {answer}"
        );
        assert!(answer.contains("application/problem+json"), "{answer}");
    }
    let answer = app.ask("GET /hello HTTP/1.1\r\nexpect: miracles").await;
    assert!(answer.starts_with("HTTP/1.1 417"), "{answer}");
    app.served.stop().await;
}

#[tokio::test]
async fn other_origins_are_answered_as_configured() {
    let cors = Cors { origins: vec!["https://app.example".to_owned()], credentials: true, ..Cors::default() };
    let app = application(&Config { cors, ..quick() });
    let mut asked = Vec::new();
    for origin in ["https://app.example", "https://evil.example"] {
        let preflight =
            format!("OPTIONS /take HTTP/1.1\r\norigin: {origin}\r\naccess-control-request-method: POST");
        asked.push((
            app.ask(&preflight).await,
            app.ask(&format!("GET /hello HTTP/1.1\r\norigin: {origin}")).await,
        ));
    }
    let (preflight, answer) = &asked[0];
    assert!(preflight.starts_with("HTTP/1.1 204"), "{preflight}");
    assert!(header(preflight, "access-control-allow-methods").unwrap().contains("POST"));
    for answer in [preflight, answer] {
        assert_eq!(header(answer, "access-control-allow-origin"), Some("https://app.example"));
        assert_eq!(header(answer, "access-control-allow-credentials"), Some("true"));
    }
    for answer in [&asked[1].0, &asked[1].1] {
        assert_eq!(header(answer, "access-control-allow-origin"), None);
        assert_eq!(header(answer, "vary"), Some("origin"));
    }
    app.served.stop().await;
}

#[tokio::test]
async fn what_matches_no_route_is_counted_under_one_name() {
    let app = application(&quick());
    for path in ["/a", "/b", "/c"] {
        assert!(app.ask(&format!("GET {path} HTTP/1.1")).await.starts_with("HTTP/1.1 404"));
    }
    let of = [("route", "none"), ("status", "4xx")];
    assert_eq!(app.count("http_requests_total", &of), Some(Value::Counter(3)));
    assert_eq!(app.count("http_requests_in_flight", &[("route", "none")]), Some(Value::Gauge(0)));
    app.served.stop().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_answered_named_and_counted_like_everything_else() {
    let app = application(&quick());
    let many = "x: y\r\n".repeat(101);
    for (head, status) in [
        ("GET /hello HTTP/1.1\nhost: shop\n\n".to_owned(), 400),
        (format!("GET /hello HTTP/1.1\r\nhost: shop\r\n{many}\r\n"), 431),
        (format!("GET /hello HTTP/1.1\r\nhost: {}\r\n\r\n", "x".repeat(40_000)), 431),
        ("GET /<> HTTP/1.1\r\nhost: shop\r\n\r\n".to_owned(), 400),
        ("POST /take HTTP/1.1\r\nhost: shop\r\ntransfer-encoding: chunked\r\n\r\n5\nhello".to_owned(), 400),
    ] {
        let answer = app.served.say(head).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert_eq!(header(&answer, "content-type"), Some("application/problem+json"), "{answer}");
        assert_eq!(header(&answer, "connection"), Some("close"), "{answer}");
        let id = header(&answer, "x-request-id").unwrap();
        assert!(answer.contains(&format!("\"instance\":\"{id}\"")), "{answer}");
    }
    let of = [("route", "none"), ("status", "4xx")];
    assert_eq!(app.count("http_requests_total", &of), Some(Value::Counter(5)));
    app.served.stop().await;
}
