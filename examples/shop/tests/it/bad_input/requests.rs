//! Requests that nobody well-behaved would send: each answered by a problem, and the next visitor served as ever.

use std::net::SocketAddr;
use std::time::Duration;

use burgeon_test::{ProcessOptions, Processes};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::BOUND;

fn shop() -> ProcessOptions {
    Processes::of(env!("CARGO_BIN_EXE_shop")).setting("app.first_start", "false")
}

/// Sends these bytes and reads to the end, which the server must make.
async fn tell(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it accepts");
    stream.write_all(bytes).await.expect("it reads");
    let mut answer = Vec::new();
    let read = timeout(BOUND, stream.read_to_end(&mut answer)).await.expect("it ends the connection");
    assert!(read.is_ok(), "{read:?} after {:?}", String::from_utf8_lossy(&answer));
    String::from_utf8_lossy(&answer).into_owned()
}

fn post(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

fn get(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n{headers}\r\n").into_bytes()
}

#[track_caller]
fn is_problem(what: &str, status: u16, answer: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: expected {status}, got {answer}");
    assert!(answer.contains("application/problem+json"), "{what}: {answer}");
    assert!(answer.contains(&format!("\"status\":{status}")), "{what}: {answer}");
    for word in ["panicked", ".rs:", "sqlite", "rusqlite", "backtrace"] {
        assert!(!answer.contains(word), "{what}: says `{word}`: {answer}");
    }
}

#[tokio::test]
async fn what_cannot_be_meant_is_a_problem_with_the_right_status() {
    let mut shop = shop().start().await;
    let address = shop.node(0).address();
    let json = "content-type: application/json\r\n";
    let deep = format!("{{\"more\": {}", "[".repeat(100_000));
    let begins = b"GET /livez HTTP/1.1\r\nhost: shop\r\nconnection: close\r\nx-odd: ";
    let odd = [begins.as_slice(), b"\xff\xfe\r\n\r\n"].concat();
    let table: Vec<(&str, u16, Vec<u8>)> = vec![
        ("no JSON", 400, post("/api/orders", json, b"{\"token\": ")),
        ("another shape", 422, post("/api/orders", json, b"{\"token\": 7, \"lines\": \"none\"}")),
        ("a list for an object", 422, post("/api/orders", json, b"[1, 2, 3]")),
        ("too deep", 400, post("/api/orders", json, deep.as_bytes())),
        ("not UTF-8", 400, post("/api/orders", json, b"{\"token\": \"\xff\xfe\"}")),
        ("nothing at all", 400, post("/api/orders", json, b"")),
        ("another type", 415, post("/api/orders", "content-type: text/csv\r\n", b"a,b")),
        ("no type", 415, post("/api/orders", "", b"{}")),
        ("no such page", 404, get("/no/such/page", "")),
        ("no such method", 405, post("/api/products", json, b"{}")),
        ("no number", 404, get("/api/products/seven", "")),
        ("a number beyond all", 404, get("/api/products/99999999999999999999999", "")),
        ("a path that is not UTF-8", 400, get("/api/products/%ff%fe", "")),
        ("a query that cannot be meant", 422, get("/api/products?limit=many", "")),
        ("a header that is no text", 200, odd),
        ("a form with cookies and no token", 403, {
            let headers = "cookie: burgeon_session=x\r\ncontent-type: application/x-www-form-urlencoded\r\n";
            post("/cart", headers, b"product=1&quantity=1")
        }),
    ];
    for (what, status, bytes) in table {
        let answer = tell(address, &bytes).await;
        match status {
            200 => assert!(answer.starts_with("HTTP/1.1 200 "), "{what}: {answer}"),
            status => is_problem(what, status, &answer),
        }
    }
    // What is no request yet is refused before anything can speak of problems: a status, and the end.
    let large = tell(address, &get("/", &format!("x-large: {}\r\n", "x".repeat(60_000)))).await;
    assert!(large.starts_with("HTTP/1.1 431 "), "{large}");
    // A person gets a page of the shop.
    for (what, status, bytes) in [
        ("no such page", 404, get("/no/such/page", "accept: text/html\r\n")),
        ("no such product", 404, get("/products/424242", "accept: text/html\r\n")),
        ("no number", 404, get("/products/seven", "accept: text/html\r\n")),
    ] {
        let answer = tell(address, &bytes).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {answer}");
        assert!(answer.contains("content-type: text/html") && answer.contains("<html"), "{what}: {answer}");
    }
    shop.node(0).client().get("/").await.ok();
    assert!(shop.node(0).terminate().await.success());
    let log = shop.node(0).said();
    assert!(!log.contains("panicked"), "{log}");
}

/// Two gigabytes that nobody asked for.
const LARGE: u64 = 2 << 30;

/// Sends a body until the server ends it; the answer, and how many bytes it cost.
async fn pour(address: SocketAddr, head: String, chunk: &[u8]) -> (String, u64) {
    let stream = TcpStream::connect(address).await.expect("it accepts");
    let (mut from, mut to) = stream.into_split();
    to.write_all(head.as_bytes()).await.expect("it reads the head");
    let mut sent = 0;
    let sending = async {
        // The server stops reading once it has answered; then writing fails.
        while sent < LARGE && to.write_all(chunk).await.is_ok() {
            sent += chunk.len() as u64;
        }
        // Kept open: the end shall be the server's.
        std::future::pending::<()>().await;
    };
    let mut answer = Vec::new();
    let reading = async {
        let mut buffer = [0; 4_096];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            answer.extend_from_slice(&buffer[..count]);
        }
    };
    let done = async {
        tokio::select! { () = reading => {}, () = sending => {} }
    };
    timeout(BOUND, done).await.expect("it ends the connection");
    (String::from_utf8_lossy(&answer).into_owned(), sent)
}

/// The most memory that the process ever had, in KiB, where the kernel tells it.
fn most_memory(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[tokio::test]
async fn two_gigabytes_are_refused_early_and_never_held_in_memory() {
    let mut shop = shop().start().await;
    let (address, id) = (shop.node(0).address(), shop.node(0).id().expect("it runs"));
    shop.node(0).client().get("/").await.ok();
    let before = most_memory(id);
    let head = |length: &str| {
        format!(
            "POST /api/orders HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\n{length}\r\n\r\n"
        )
    };
    let declared = head(&format!("content-length: {LARGE}"));
    let chunked = head("transfer-encoding: chunked");
    let data = vec![b'['; 1 << 16];
    let chunk = [b"10000\r\n", data.as_slice(), b"\r\n"].concat();
    for (what, (answer, sent)) in [
        ("declared", pour(address, declared, &data).await),
        ("chunked", pour(address, chunked, &chunk).await),
    ] {
        is_problem(what, 413, &answer);
        assert!(sent < LARGE / 8, "{what}: {sent} bytes were taken");
    }
    if let (Some(before), Some(after)) = (before, most_memory(id)) {
        assert!(after < before + 64 * 1_024, "its memory grew from {before} to {after} KiB");
    }
    let served = timeout(Duration::from_secs(10), async { shop.node(0).client().get("/").await }).await;
    served.expect("it still serves").ok();
    assert!(shop.node(0).terminate().await.success());
}
