//! The end of the shop's process: what it accepted it answers, what says nothing does not hold it, and a second signal
//! waits for nobody.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use burgeon_test::{ProcessOptions, Processes};
use futures_util::future::join_all;
use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

/// How long the shop may drain, and a request may take and wait: so long that a busy machine is not taken for a cut request.
const DRAIN: Duration = Duration::from_secs(60);

fn shop() -> ProcessOptions {
    Processes::of(env!("CARGO_BIN_EXE_shop"))
        .setting("runtime.drain_timeout", "60s")
        .setting("http.timeout", "60s")
        .setting("database.acquire_timeout", "60s")
        .setting("shop.catalog", "200")
}

/// What a visitor asks for: every fourth buys, the others look.
fn request(number: u32) -> String {
    let product = number % 50 + 1;
    if !number.is_multiple_of(4) {
        return format!("GET /products/{product} HTTP/1.1\r\nhost: shop\r\n\r\n");
    }
    let body = serde_json::json!({
        "token": Uuid::from_u128(u128::from(number) + (7 << 64)), "lines": [{"product": product, "quantity": 1}],
        "email": "ada@example.com", "name": "Ada", "street": "1 High Street", "town": "London", "postcode": "N1 1AA",
    })
    .to_string();
    let length = body.len();
    format!(
        "POST /api/orders HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// Reads one whole answer; its status, and whether the server wants to part.
async fn answer(stream: &mut TcpStream) -> Result<(u16, bool), String> {
    let mut bytes = Vec::new();
    loop {
        let count = stream.read_buf(&mut bytes).await.map_err(|error| format!("read: {error}"))?;
        let text = String::from_utf8_lossy(&bytes);
        if count == 0 {
            return Err(format!("closed after {} bytes: {text:.200}", bytes.len()));
        }
        let Some(end) = text.find("\r\n\r\n") else { continue };
        let head = text[..end].to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = match length.map(str::parse) {
            Some(Ok(length)) => length,
            _ => return Err(format!("no length: {head}")),
        };
        if bytes.len() >= end + 4 + length {
            let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
            return Ok((status.ok_or("no status")?, head.contains("connection: close")));
        }
    }
}

/// All visitors' tally.
#[derive(Default)]
struct Tally {
    asked: AtomicU32,
    served: AtomicU32,
    busy: Notify,
}

/// One visitor, who asks again and again: on a kept connection if he may and does so (even numbers), else on a fresh
/// one, until the shop is closed. An error is a request that was accepted and failed.
async fn visit(address: SocketAddr, number: u32, tally: Arc<Tally>) -> Result<(), String> {
    loop {
        let mut stream = match TcpStream::connect(address).await {
            Ok(stream) => stream,
            // Closed for good: what is refused was never accepted.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Ok(()),
            Err(error) => return Err(format!("connect: {error}")),
        };
        loop {
            let asked = tally.asked.fetch_add(1, Ordering::Relaxed);
            let ask = request(asked);
            stream.write_all(ask.as_bytes()).await.map_err(|error| format!("write: {error}"))?;
            let (status, parting) = answer(&mut stream).await?;
            // 409: somebody else bought the last one, which is an answer.
            if !matches!(status, 200 | 201 | 409) {
                return Err(format!("{status} to {ask:.60}"));
            }
            // In the middle: everybody has asked, and as many again have been answered.
            if tally.served.fetch_add(1, Ordering::Relaxed) == 600 {
                tally.busy.notify_one();
            }
            if parting || !number.is_multiple_of(2) {
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "each visitor is a task, and all are awaited")]
async fn a_term_amid_five_hundred_visitors_fails_no_request_and_ends_in_time() {
    let mut shop = shop().start().await;
    let address = shop.node(0).address();
    let tally = Arc::new(Tally::default());
    let visitors: Vec<_> =
        (0..500).map(|number| tokio::spawn(visit(address, number, tally.clone()))).collect();
    timeout(Duration::from_secs(60), tally.busy.notified()).await.expect("the shop serves");
    let began = Instant::now();
    shop.node(0).signal(Signal::TERM);
    let visited = timeout(DRAIN, join_all(visitors)).await.expect("every visitor is answered in time");
    let ended = shop.node(0).ended().await;
    let failed: Vec<String> =
        visited.into_iter().filter_map(|visit| visit.expect("a visitor lives").err()).collect();
    assert!(failed.is_empty(), "{} failed: {:?}", failed.len(), &failed[..failed.len().min(5)]);
    assert_eq!(ended.code(), Some(0), "{}", shop.node(0).said());
    assert!(began.elapsed() < DRAIN, "it took {:?}", began.elapsed());
    // Started again, it has every order that was acknowledged: the file is whole.
    shop.node(0).start().await;
    shop.node(0).client().get("/").await.ok();
    assert!(shop.node(0).terminate().await.success());
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once_and_not_as_a_success() {
    for second in [Signal::TERM, Signal::INT] {
        let mut shop = shop().setting("app.first_start", "false").start().await;
        // Half a request holds the drain.
        let mut held = TcpStream::connect(shop.node(0).address()).await.expect("it accepts");
        let half = "POST /api/orders HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{";
        held.write_all(half.as_bytes()).await.expect("it reads");
        // An answer on another connection: the first one has been accepted by then.
        shop.node(0).client().get("/livez").await.ok();
        shop.node(0).signal(Signal::TERM);
        // The drain has begun when no new connection gets in.
        let drains = async {
            while TcpStream::connect(shop.node(0).address()).await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(20), drains).await.expect("it closes its entrance");
        let began = Instant::now();
        shop.node(0).signal(second);
        let ended = shop.node(0).ended().await;
        assert!(!ended.success(), "{ended}");
        assert!(matches!(ended.code(), Some(130 | 143)), "{ended} {:?}", ended.signal());
        assert!(began.elapsed() < Duration::from_secs(10), "it took {:?}", began.elapsed());
    }
}

/// What each sort of silent client says before it falls silent.
const SILENCES: [&str; 5] = [
    "",
    "P",
    "PRI * HTTP",
    "GET / HTTP/1.1\r\nhost: sh",
    "POST /api/orders HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{",
];

/// How long the connection stayed open after it had said this.
async fn life(mut stream: TcpStream, says: &str) -> Duration {
    stream.write_all(says.as_bytes()).await.expect("it takes it");
    let began = Instant::now();
    let mut sink = [0; 1_024];
    while let Ok(1..) = stream.read(&mut sink).await {}
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_silent_connections_neither_stop_the_shop_nor_outlive_their_timeouts() {
    let limit = Duration::from_secs(3);
    let mut shop = shop()
        .setting("app.first_start", "false")
        .setting("http.head_timeout", "3s")
        .setting("http.idle_timeout", "3s")
        .setting("http.body_pause", "3s")
        .start()
        .await;
    let address = shop.node(0).address();
    let mut silent = Vec::new();
    // As many as the machine's limit on open files lets both ends hold, at most 2,000.
    for number in 0..most_connections() {
        let stream = TcpStream::connect(address).await.expect("it accepts");
        silent.push(life(stream, SILENCES[number % SILENCES.len()]));
    }
    let client = shop.node(0).client();
    let asking = async {
        for _ in 0..20 {
            timeout(Duration::from_secs(10), client.get("/api/departments")).await.expect("it serves").ok();
        }
    };
    let silent = timeout(Duration::from_secs(60), join_all(silent));
    let (lives, ()) = tokio::join!(silent, asking);
    let longest = lives.expect("each is closed").into_iter().max().expect("there are some");
    assert!(longest < limit + Duration::from_secs(12), "one lived for {longest:?}");
    shop.node(0).client().get("/").await.ok();
    assert!(shop.node(0).terminate().await.success());
}

fn most_connections() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let soft = limits.lines().find(|line| line.starts_with("Max open files"));
    let soft =
        soft.and_then(|line| line.split_whitespace().nth(3)).and_then(|soft| soft.parse::<usize>().ok());
    soft.map_or(2_000, |soft| soft.saturating_sub(600).clamp(100, 2_000))
}
