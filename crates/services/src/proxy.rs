//! A TCP proxy that misbehaves on request: cut, delay, black hole.
//!
//! Every direction of every connection is two halves with a bounded queue between them: one reads and stamps each
//! chunk with the time at which it may go on, the other waits for that time and for the line to be open. So a delay is
//! latency and not bandwidth, and a black hole loses nothing: as with a real partition, what was sent arrives when
//! the line heals, unless somebody gave up before.
//!
//! Only what is above TCP can be bent here: the kernel completes handshakes by itself, so a connect through a
//! black hole succeeds and then hangs.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs, lookup_host};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::error::{Error, Result};
use crate::url::with_port;

/// Chunks under way per direction; a reader that is further ahead waits, as TCP does when its window is full.
const QUEUE: usize = 256;
const CHUNK: usize = 16 * 1024;

/// A TCP proxy on a free loopback port before one target. Dropped, it closes all its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    line: watch::Sender<Line>,
    // Owns the accept loop, which owns the connections; dropping it ends them all.
    _tasks: JoinSet<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Line {
    cut: bool,
    delay: Duration,
    requests: bool,
    replies: bool,
}

const OPEN: Line = Line { cut: false, delay: Duration::ZERO, requests: true, replies: true };

#[derive(Debug, Clone, Copy)]
enum Direction {
    Request,
    Reply,
}

impl Line {
    fn lets_through(&self, direction: Direction) -> bool {
        match direction {
            Direction::Request => self.requests && !self.cut,
            // What was held must not slip out between the cut and its reset.
            Direction::Reply => self.replies && !self.cut,
        }
    }
}

impl Proxy {
    /// A proxy before `target`, an address such as `("127.0.0.1", 5432)`; the line is open.
    ///
    /// # Errors
    ///
    /// When the target is no address or no port is free.
    pub async fn start(target: impl ToSocketAddrs) -> Result<Proxy> {
        let target = lookup_host(target)
            .await
            .map_err(|error| Error::io("resolving the proxy's target", error))?
            .next()
            .ok_or_else(|| Error::new("the proxy's target resolves to no address"))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(|error| Error::io("opening the proxy's port", error))?;
        let address = listener.local_addr().map_err(|error| Error::io("reading the proxy's port", error))?;
        let (line, watched) = watch::channel(OPEN);
        let mut tasks = JoinSet::new();
        #[expect(clippy::disallowed_methods, reason = "the proxy's own set, which ends with it")]
        tasks.spawn(accept(listener, target, watched));
        Ok(Proxy { address, line, _tasks: tasks })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// `url` with this proxy for its host and port.
    pub fn url_for(&self, url: &str) -> String {
        with_port(url, self.port())
    }

    /// Resets all connections, and every new one as soon as it is made, until [`heal`](Self::heal).
    pub fn cut(&self) {
        self.line.send_replace(Line { cut: true, ..OPEN });
    }

    /// Lets every byte arrive `delay` later, in both directions. What is under way already keeps its time.
    pub fn delay(&self, delay: Duration) {
        self.line.send_replace(Line { delay, ..OPEN });
    }

    /// Nothing arrives and nobody is told. What is sent meanwhile arrives at [`heal`](Self::heal).
    pub fn black_hole(&self) {
        self.line.send_replace(Line { requests: false, replies: false, ..OPEN });
    }

    /// Requests arrive, replies do not: what was asked for is done and the asker does not learn it. With
    /// [`cut`](Self::cut) after it, this is how the outcome of a commit becomes unknown.
    pub fn hold_replies(&self) {
        self.line.send_replace(Line { replies: false, ..OPEN });
    }

    /// Opens the line again.
    pub fn heal(&self) {
        self.line.send_replace(OPEN);
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, line: watch::Receiver<Line>) {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            #[expect(clippy::disallowed_methods, reason = "the proxy's own set, which ends with it")]
            Ok((client, _)) => drop(connections.spawn(connection(client, target, line.clone()))),
            // Out of file descriptors, say: until some are free again, the client waits in the backlog.
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(mut client: TcpStream, target: SocketAddr, mut line: watch::Receiver<Line>) {
    if line.borrow_and_update().cut {
        return reset(&client);
    }
    let Ok(mut server) = TcpStream::connect(target).await else { return reset(&client) };
    // Without this the kernel would add a delay of its own. A socket that refuses is closed already.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (client_reads, client_writes) = client.split();
    let (server_reads, server_writes) = server.split();
    let requests = pump(client_reads, server_writes, line.clone(), Direction::Request);
    let replies = pump(server_reads, client_writes, line.clone(), Direction::Reply);
    let both_ended_well = tokio::select! {
        biased;
        _ = line.wait_for(|line| line.cut) => false,
        ends = async { tokio::try_join!(requests, replies) } => ends.is_ok(),
    };
    if !both_ended_well {
        reset(&client);
        reset(&server);
    }
}

/// Makes the coming close a reset instead of a farewell.
fn reset(stream: &TcpStream) {
    // Fails only on a socket that is gone, which needs no reset.
    let _ = stream.set_zero_linger();
}

/// Carries one direction to its end.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut line: watch::Receiver<Line>,
    direction: Direction,
) -> std::io::Result<()> {
    let (send, mut receive) = mpsc::channel::<(Instant, Vec<u8>)>(QUEUE);
    let delays = line.clone();
    let reader = async move {
        loop {
            let mut chunk = vec![0; CHUNK];
            let read = from.read(&mut chunk).await?;
            chunk.truncate(read);
            let due = Instant::now() + delays.borrow().delay;
            // The empty chunk is the end of the stream, which travels as everything else does.
            if send.send((due, chunk)).await.is_err() || read == 0 {
                return std::io::Result::Ok(());
            }
        }
    };
    let writer = async move {
        while let Some((due, chunk)) = receive.recv().await {
            sleep_until(due).await;
            if line.wait_for(|line| line.lets_through(direction)).await.is_err() {
                break;
            }
            if chunk.is_empty() {
                return to.shutdown().await;
            }
            to.write_all(&chunk).await?;
        }
        Ok(())
    };
    tokio::try_join!(reader, writer).map(|_| ())
}
