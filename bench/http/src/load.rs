//! The load: connections in a closed loop, spoken by hand so that little of the machine goes to the client.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Connections are kept.
    Kept,
    /// A connection is closed after its 25th answer, and a new one opened.
    Closed,
}

impl Mode {
    pub fn name(self) -> &'static str {
        match self {
            Mode::Kept => "connections kept",
            Mode::Closed => "closed every 25th",
        }
    }
}

/// One round against one server.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    pub cpu_micros: f64,
    /// How long the server's threads were ready to run and did not, per request.
    pub waited_micros: f64,
    pub rate: f64,
    pub p99_micros: f64,
    pub failed: u64,
}

const REQUEST: &[u8] = b"GET /products/42 HTTP/1.1\r\nhost: 127.0.0.1:3000\r\nuser-agent: bench\r\naccept: application/json\r\naccept-encoding: gzip\r\n\r\n";

/// What the connections count while `counting`.
#[derive(Default)]
struct Shared {
    counting: AtomicBool,
    stop: AtomicBool,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    micros: Vec<u32>,
    failed: u64,
}

/// Warms up, then counts for `length`.
pub fn run(address: SocketAddr, server: u32, connections: usize, mode: Mode, length: Duration) -> Round {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let shared = Arc::new(Shared::default());
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..connections {
            clients.spawn(client(address, mode, shared.clone()));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        let (before, began) = (Processor::of(server), Instant::now());
        shared.counting.store(true, Ordering::Relaxed);
        tokio::time::sleep(length).await;
        shared.counting.store(false, Ordering::Relaxed);
        let (after, took) = (Processor::of(server), began.elapsed());
        shared.stop.store(true, Ordering::Relaxed);
        clients.join_all().await;

        let mut told = std::mem::take(&mut *shared.told.lock().expect("no client panicked"));
        told.micros.sort_unstable();
        let count = told.micros.len().max(1);
        Round {
            cpu_micros: (after.ran - before.ran) as f64 / 1_000.0 / count as f64,
            waited_micros: (after.waited - before.waited) as f64 / 1_000.0 / count as f64,
            rate: count as f64 / took.as_secs_f64(),
            p99_micros: told.micros.get(count * 99 / 100).copied().unwrap_or_default().into(),
            failed: told.failed,
        }
    })
}

async fn client(address: SocketAddr, mode: Mode, shared: Arc<Shared>) {
    let mut own = Told::default();
    let mut buffer = vec![0; 16 * 1024];
    'connections: while !shared.stop.load(Ordering::Relaxed) {
        let Ok(mut stream) = TcpStream::connect(address).await else {
            own.failed += 1;
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        for answered in 1_u64.. {
            let asked = Instant::now();
            if ask(&mut stream, &mut buffer).await.is_err() {
                own.failed += 1;
                continue 'connections;
            }
            if shared.counting.load(Ordering::Relaxed) {
                own.micros.push(asked.elapsed().as_micros() as u32);
            }
            if shared.stop.load(Ordering::Relaxed) {
                break 'connections;
            }
            if mode == Mode::Closed && answered == 25 {
                break;
            }
        }
    }
    let mut told = shared.told.lock().expect("no client panicked");
    told.micros.append(&mut own.micros);
    told.failed += own.failed;
}

/// One request and its whole answer, which must be a 200.
async fn ask(stream: &mut TcpStream, buffer: &mut [u8]) -> std::io::Result<()> {
    stream.write_all(REQUEST).await?;
    let mut filled = 0;
    loop {
        let count = stream.read(&mut buffer[filled..]).await?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        filled += count;
        let answer = &buffer[..filled];
        let Some(head) = find(answer, b"\r\n\r\n") else { continue };
        if !answer.starts_with(b"HTTP/1.1 200") {
            return Err(std::io::Error::other("not a 200"));
        }
        let length = content_length(&answer[..head]).ok_or(std::io::ErrorKind::InvalidData)?;
        if filled >= head + 4 + length {
            return Ok(());
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn content_length(head: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length: ";
    let line = head
        .split(|byte| *byte == b'\n')
        .find(|line| line.len() > NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME))?;
    let digits = &line[NAME.len()..];
    let digits = digits.strip_suffix(b"\r").unwrap_or(digits);
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// What all threads of a process have had of the processors, in nanoseconds, as the scheduler accounts it.
struct Processor {
    ran: u64,
    /// Ready to run, but others ran.
    waited: u64,
}

impl Processor {
    fn of(process: u32) -> Self {
        let threads = std::fs::read_dir(format!("/proc/{process}/task")).expect("the server lives, on Linux");
        let mut all = Self { ran: 0, waited: 0 };
        for line in
            threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok())
        {
            let mut numbers = line.split(' ').filter_map(|number| number.parse::<u64>().ok());
            all.ran += numbers.next().unwrap_or(0);
            all.waited += numbers.next().unwrap_or(0);
        }
        all
    }
}
