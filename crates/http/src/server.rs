//! The server: sockets, connections, their timers, and the end of them all.
//!
//! What this is: everything between the kernel and the standard stack. Each core has its own listener, its own
//! current-thread runtime and its own connections; once a connection has its core it stays there. What it is not: routing, policy, or
//! anything that knows what a request means.
//!
//! # Invariants
//! - No HTTP/1 message whose framing has two readings reaches a handler: it is answered with 400 and the connection closed.
//! - No wait is without a bound: TLS, protocol, head, rest between requests, body, response. See [`Config`].
//! - A second instance on the port is refused, though the cores share it.
//! - Once draining began: no accepted request fails, no connection in the queue is reset, every HTTP/1 response says
//!   `Connection: close`, every HTTP/2 connection gets GOAWAY, and the grace timer closes what is left.
//! - A connection whose request body was not read to its end is closed, never used again.
//! - When the client leaves, its requests are dropped with the connection; what shall go on is handed to
//!   [`Connection::finish_without`] by the stack.
//!
//! # When it breaks
//! Out of file descriptors, accepting pauses for a moment and goes on. A connection that panics ends alone.

mod accept;
mod answers;
mod arriving;
mod balance;
mod connection;
mod detect;
mod drain;
mod exchange;
mod guard;
mod leaving;
mod listen;
mod meters;
mod progress;
mod shelter;
mod streams;
mod timer;
mod wire;

use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use burgeon_tls::TlsAcceptor;
use futures_util::future::try_join_all;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use burgeon_core::{Error, Result};
use burgeon_runtime::{Cores, Life, Tasks};

use self::accept::{All, Entrance};
pub use self::answers::Answers;
pub use self::arriving::Arriving;
use self::balance::Balance;
pub use self::connection::Connection;
use self::drain::Drain;
use self::meters::Counted;
use crate::{Config, Edge};

/// Sockets that listen; [`serve`](Self::serve) answers on them.
pub struct Server {
    listeners: Vec<TcpListener>,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    config: Config,
}

impl Server {
    /// Opens the sockets. Clients may connect from here on, and wait in the kernel's queue.
    ///
    /// # Errors
    /// When the configuration is not valid, the port is taken or not allowed, or the certificate cannot be read. Each
    /// says what to do.
    pub fn bind(config: &Config) -> Result<Self> {
        Self::bind_section("http", config)
    }

    /// As [`bind`](Self::bind), for an address and port that another section than `[http]` configures: its name is
    /// what the errors speak of.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn bind_section(section: &str, config: &Config) -> Result<Self> {
        config.validate().map_err(Error::invalid)?;
        let tls = match config.tls.is_on() {
            true => Some(burgeon_tls::server(&config.tls.certificate, &config.tls.key)?.into()),
            false => None,
        };
        let listeners = listen::bind(config.listen(), workers(config)).map_err(|error| {
            Error::unavailable(listen::explain(section, config.listen(), &error)).with_source(error)
        })?;
        let address = listeners[0].local_addr().map_err(Error::internal)?;
        Ok(Self { listeners, address, tls, config: config.clone() })
    }

    /// Where it listens; with port 0 configured, the port it got.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers every request with `answers` (a closure will do), on one thread per core, until `drain` resolves with the
    /// moment by which all must have ended. Returns when it has. `drain` is first polled when every core accepts
    /// connections.
    ///
    /// # Errors
    /// When a core cannot be started.
    pub async fn serve<A: Answers>(
        self,
        answers: A,
        tasks: &Tasks,
        drain: impl Future<Output = Instant>,
    ) -> Result<()> {
        let cap = listen::connection_cap(self.config.connections);
        let all = Arc::new(All {
            places: Arc::new(Semaphore::new(cap)),
            drain: Arc::new(Drain::default()),
            counted: Counted::new(tasks.meters()),
        });
        let cores = Cores::start("http", self.listeners.len(), tasks).await?;
        let mut accepting = Vec::with_capacity(self.listeners.len());
        let (balance, arrivals) = Balance::new(self.listeners.len());
        for (core, (listener, arrivals)) in self.listeners.into_iter().zip(arrivals).enumerate() {
            let entrance = Entrance { listener, balance: balance.clone(), arrivals };
            let (tls, config) = (self.tls.clone(), self.config.clone());
            let (answers, all) = (answers.for_core()?, all.clone());
            accepting
                .push(cores.run_on(core, move |core| accept::run(core, entrance, tls, config, answers, all)));
        }
        // The cores alone hold it now: when all have stopped accepting, nobody is on the way between them.
        drop(balance);
        let mut accepting = pin!(try_join_all(accepting));
        let grace = tokio::select! {
            grace = drain => grace,
            // Nobody told them to stop, so one of them has died.
            died = &mut accepting => return died.map(drop),
        };
        all.drain.begin();
        accepting.await?;
        if let Err(cut) = cores.stop(grace.saturating_duration_since(Instant::now())).await {
            // Clients that hang, or handlers that do: nothing that a failing exit would mend.
            tracing::warn!(%cut, "connections did not end within the drain deadline");
        }
        Ok(())
    }
}

impl Server {
    /// Serves an application as a service of the process: ready when every core accepts, draining when it is told to.
    ///
    /// # Errors
    /// When a core cannot be started, or dies.
    pub async fn run(self, edge: Edge, life: Life) -> Result<()> {
        let drain = async {
            life.ready();
            life.draining().await;
            let deadline = life.drain_deadline().unwrap_or_else(Instant::now);
            // So that the service itself ends before it is ended.
            deadline.checked_sub(END).unwrap_or(deadline).max(Instant::now())
        };
        self.serve(edge, life.tasks(), drain).await
    }
}

/// What is kept of the drain deadline for joining the cores.
const END: Duration = Duration::from_millis(1_500);

fn workers(config: &Config) -> usize {
    if config.workers == 0 { Cores::available() } else { config.workers }
}
