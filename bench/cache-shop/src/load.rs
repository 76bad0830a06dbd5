//! Visitors: connections spoken by hand, so that little of the machine goes to the client.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::Failure;
use crate::views::Visit;

/// A visitor who has waited so long has gone.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections of an open loop: more views than this at once wait for one, and their wait counts.
const CONNECTIONS: usize = 512;
const CLOSED: usize = 16;
/// More kinds of failure are not told apart.
const KINDS: usize = 8;

/// When visits come.
pub struct Plan {
    pub seed: u64,
    /// Page views and orders a second in calm times.
    pub rate: f64,
    pub warm: Duration,
    pub calm: Duration,
    pub spike: Duration,
    pub factor: f64,
}

/// What became of the visits.
#[derive(Default)]
pub struct Outcome {
    /// Of the product pages that were answered, in milliseconds, sorted.
    pages: Vec<f64>,
    orders: usize,
    pub failed: usize,
    pub why: Vec<String>,
}

impl Outcome {
    pub fn asked(&self) -> usize {
        self.pages.len() + self.orders + self.failed
    }

    /// Milliseconds that this part of the pages took at most; a page that failed took for ever, and is not among them.
    pub fn quantile(&self, part: f64) -> f64 {
        let at = (self.pages.len().saturating_sub(1) as f64 * part) as usize;
        self.pages.get(at).copied().unwrap_or(f64::NAN)
    }
}

/// What one visit came to: whether it was a page, when it was answered after it was due, and why it failed.
struct Answer {
    page: bool,
    took: Duration,
    failed: Option<String>,
}

/// As many as it bears: so many connections, each as soon as the last was answered. Visits a second.
pub async fn closed(port: u16, visits: &[Visit], products: &[i64], length: Duration) -> f64 {
    let (began, next) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let nonce = nonce();
    let requests: Vec<Request> =
        visits.iter().enumerate().map(|(at, visit)| Request::of(visit, products, (nonce, at))).collect();
    let requests = Arc::new(requests);
    let mut visitors = JoinSet::new();
    for _ in 0..CLOSED {
        let (next, requests) = (next.clone(), requests.clone());
        visitors.spawn(async move {
            let mut line = Line { port, stream: None, buffer: Vec::new() };
            while began.elapsed() < length {
                let at = next.fetch_add(1, Ordering::Relaxed) % requests.len();
                // Whatever went wrong is found again in the measured rounds.
                let _ = line.ask(&requests[at]).await;
            }
        });
    }
    visitors.join_all().await;
    next.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64()
}

/// So many a second, each when it is due.
pub async fn open(
    port: u16,
    visits: &[Visit],
    products: &[i64],
    plan: &Plan,
    rate: f64,
    length: Duration,
) -> Outcome {
    let (due, queue) = mpsc::unbounded_channel::<(Instant, Request)>();
    let queue = Arc::new(Mutex::new(queue));
    let (tell, mut told) = mpsc::unbounded_channel();
    let mut visitors = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (queue, tell) = (queue.clone(), tell.clone());
        visitors.spawn(async move {
            let mut line = Line { port, stream: None, buffer: Vec::new() };
            loop {
                let next = queue.lock().await.recv().await;
                let Some((due, request)) = next else { return };
                let failed = match timeout(PATIENCE.saturating_sub(due.elapsed()), line.ask(&request)).await {
                    Ok(Ok(status)) if status == request.expected || (status == 409 && !request.page) => None,
                    Ok(Ok(status)) => Some(format!("answered {status}")),
                    Ok(Err(error)) => Some(error.to_string()),
                    Err(_) => Some(format!("no answer within {PATIENCE:?}")),
                };
                if failed.is_some() {
                    line.stream = None;
                }
                let _ = tell.send(Answer { page: request.page, took: due.elapsed(), failed });
            }
        });
    }
    drop(tell);
    let coming = coming(visits, products, plan.seed, rate, length);
    // A thread of its own: the runtime's timer knows whole milliseconds, and pages take less.
    let door = std::thread::spawn(move || {
        for (at, request) in coming {
            std::thread::sleep(at.saturating_duration_since(std::time::Instant::now()));
            let _ = due.send((at.into(), request));
        }
    });
    visitors.join_all().await;
    // It went before the last visitor did.
    let _ = door.join();
    let mut outcome = Outcome::default();
    let mut why: BTreeMap<String, usize> = BTreeMap::new();
    while let Some(answer) = told.recv().await {
        match answer.failed {
            Some(failed) => {
                outcome.failed += 1;
                if why.len() < KINDS || why.contains_key(&failed) {
                    *why.entry(failed).or_default() += 1;
                }
            }
            None if answer.page => outcome.pages.push(answer.took.as_secs_f64() * 1_000.0),
            None => outcome.orders += 1,
        }
    }
    outcome.pages.sort_unstable_by(f64::total_cmp);
    outcome.why = why.into_iter().map(|(why, times)| format!("{times} times: {why}")).collect();
    outcome
}

/// When each visit is due, and what it asks for.
fn coming(
    visits: &[Visit],
    products: &[i64],
    seed: u64,
    rate: f64,
    length: Duration,
) -> Vec<(std::time::Instant, Request)> {
    let (mut dice, nonce) = (seed, nonce());
    let mut after = Duration::ZERO;
    let mut coming = Vec::new();
    for (number, visit) in visits.iter().cycle().enumerate() {
        // Exponential pauses: visitors know nothing of each other.
        after += Duration::from_secs_f64(-(1.0 - unit(&mut dice)).ln() / rate);
        if after >= length {
            break;
        }
        coming.push((after, Request::of(visit, products, (nonce, number))));
    }
    let began = std::time::Instant::now();
    coming.into_iter().map(|(after, request)| (began + after, request)).collect()
}

/// The body of one `GET`, on a connection of its own.
pub async fn get(port: u16, path: &str) -> Result<Vec<u8>, Failure> {
    let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\n\r\n");
    let mut line = Line { port, stream: None, buffer: Vec::new() };
    let status = line.ask(&Request { text: head.into_bytes(), expected: 200, page: false }).await?;
    match status {
        200 => Ok(line.buffer),
        status => Err(format!("{path} answered {status}").into()),
    }
}

/// What is sent, and the status that is hoped for.
struct Request {
    text: Vec<u8>,
    expected: u16,
    page: bool,
}

impl Request {
    /// `token` makes an order one that nobody has placed before.
    fn of(visit: &Visit, products: &[i64], token: (u32, usize)) -> Self {
        let product = |index: &usize| products[index % products.len()];
        match visit {
            Visit::Page(index) => Self {
                text: format!(
                    "GET /products/{} HTTP/1.1\r\nhost: localhost\r\naccept: text/html\r\nuser-agent: bench\r\n\r\n",
                    product(index)
                )
                .into_bytes(),
                expected: 200,
                page: true,
            },
            Visit::Order(basket) => {
                let mut ids: Vec<i64> = basket.iter().map(product).collect();
                ids.sort_unstable();
                ids.dedup();
                let lines: Vec<_> =
                    ids.iter().map(|id| serde_json::json!({ "product": id, "quantity": 1 })).collect();
                let body = serde_json::json!({
                    "token": format!("{:08x}-0000-4000-8000-{:012x}", token.0, token.1), "lines": lines, "email": "ada@example.com", "name": "Ada",
                    "street": "1 High Street", "town": "London", "postcode": "N1 1AA",
                })
                .to_string();
                let head = format!(
                    "POST /api/orders HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                Self { text: [head.as_bytes(), body.as_bytes()].concat(), expected: 201, page: false }
            }
        }
    }
}

/// Another one for each round.
fn nonce() -> u32 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    now.as_millis() as u32
}

/// One kept connection.
struct Line {
    port: u16,
    stream: Option<TcpStream>,
    /// The body of the last answer.
    buffer: Vec<u8>,
}

impl Line {
    /// Sends it and reads the whole answer; its status.
    async fn ask(&mut self, request: &Request) -> std::io::Result<u16> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
                stream.set_nodelay(true)?;
                stream
            }
        };
        stream.write_all(&request.text).await?;
        let bad = || std::io::Error::other("the answer is no HTTP");
        let mut read = Vec::with_capacity(64 * 1024);
        let head = loop {
            if stream.read_buf(&mut read).await? == 0 {
                return Err(std::io::Error::other("closed before an answer"));
            }
            if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let text = std::str::from_utf8(&read[..head]).map_err(|_| bad())?.to_ascii_lowercase();
        let status = text.get(9..12).and_then(|status| status.parse().ok()).ok_or_else(bad)?;
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
        let closes = text.contains("connection: close");
        if let Some(length) = length {
            let length: usize = length.trim().parse().map_err(|_| bad())?;
            while read.len() < head + length {
                if stream.read_buf(&mut read).await? == 0 {
                    return Err(std::io::Error::other("closed in the middle of an answer"));
                }
            }
            self.buffer = read.split_off(head);
        } else {
            // Chunked: up to the last, empty chunk.
            while !read.ends_with(b"0\r\n\r\n") {
                if stream.read_buf(&mut read).await? == 0 {
                    break;
                }
            }
            self.buffer = chunks(&read[head..]);
        }
        if !closes {
            self.stream = Some(stream);
        }
        Ok(status)
    }
}

/// What chunks hold.
fn chunks(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&body[..end]).ok().and_then(|hex| usize::from_str_radix(hex, 16).ok());
        let Some(size) = size.filter(|size| *size > 0 && end + 2 + size <= body.len()) else { break };
        whole.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = body.get(end + 2 + size + 2..).unwrap_or_default();
    }
    whole
}

/// A number in [0, 1) by splitmix64 (Steele, Lea, Flood, OOPSLA 2014).
fn unit(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}
