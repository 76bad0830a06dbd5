//! One core: accepts connections, owns them, and sees all of them end.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use burgeon_tls::TlsAcceptor;
use futures_util::FutureExt as _;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

use burgeon_runtime::Core;

use super::answers::Answers;
use super::balance::{Arrival, Balance};
use super::connection::{self, Protocols, Serving};
use super::drain::Drain;
use super::listen;
use super::meters::Counted;
use super::shelter::Shelter;
use crate::Config;

/// How long clients whose handshake is under way may take to finish it once draining began.
const HANDSHAKES: Duration = Duration::from_millis(100);

/// What the cores share.
pub(super) struct All {
    /// One place per connection.
    pub(super) places: Arc<Semaphore>,
    /// Raised when the server drains.
    pub(super) drain: Arc<Drain>,
    pub(super) counted: Counted,
}

/// What one core has of its own.
pub(super) struct Entrance {
    pub(super) listener: TcpListener,
    pub(super) balance: Balance,
    /// Connections that other cores accepted for this one.
    pub(super) arrivals: mpsc::UnboundedReceiver<Arrival>,
}

/// Accepts until draining began and nobody waits in the queue. The connections are tasks of the core, which awaits them.
pub(super) async fn run<A: Answers>(
    core: Core,
    entrance: Entrance,
    tls: Option<TlsAcceptor>,
    config: Config,
    answers: A,
    all: Arc<All>,
) {
    let Entrance { listener, balance, mut arrivals } = entrance;
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "a core cannot listen"),
    };
    let serving = Arc::new(Serving {
        answers,
        drain: all.drain.clone(),
        shelter: Shelter::open(&core),
        tls,
        protocols: Protocols::new(&config),
        counted: all.counted.part(),
    });
    let take_in = |(socket, peer): (TcpStream, SocketAddr), place: OwnedSemaphorePermit| {
        let seat = balance.seat(core.index());
        core.spawn(connection::serve(socket, peer, place, seat, serving.clone()));
    };
    let (at, here) = (core.clone(), serving.clone());
    core.spawn(async move {
        while let Some(Arrival { socket, peer, place, seat }) = arrivals.recv().await {
            // Fails only on a socket that is dead already.
            let Ok(socket) = TcpStream::from_std(socket) else { continue };
            at.spawn(connection::serve(socket, peer, place, seat, here.clone()));
        }
    });

    while let Some((accepted, place)) = next(&listener, &all).await {
        match accepted {
            Ok(accepted) => match balance.choose(core.index()) {
                own if own == core.index() => take_in(accepted, place),
                other => {
                    let (socket, peer) = accepted;
                    // Deregistered here, registered there.
                    let Ok(socket) = socket.into_std() else { continue };
                    let seat = balance.seat(other);
                    if balance.send(other, Arrival { socket, peer, place, seat }).is_err() {
                        tracing::error!(core = other, "a core has ended, and a connection with it");
                    }
                }
            },
            Err(error) => pause(&error).await,
        }
    }

    // Closing a listener resets whoever waits in its queue. So first nobody new gets in, then whoever is about to
    // finish a handshake may do so, then the queue is emptied and closed in the same breath.
    listen::close_entrance(&listener);
    let handshakes = Instant::now() + HANDSHAKES;
    while let Ok(Ok(accepted)) = tokio::time::timeout_at(handshakes, listener.accept()).await {
        take_in(accepted, place_or_extra(&all.places));
    }
    while let Some(Ok(accepted)) = listener.accept().now_or_never() {
        take_in(accepted, place_or_extra(&all.places));
    }
}

/// The next connection and its place; none once draining began. At the cap it waits for a place before it accepts.
async fn next(
    listener: &tokio::net::TcpListener,
    all: &All,
) -> Option<(io::Result<(TcpStream, SocketAddr)>, OwnedSemaphorePermit)> {
    let drained = all.drain.begun();
    if all.drain.has_begun() {
        return None;
    }
    tokio::select! {
        biased;
        () = drained => None,
        accepted = async {
            let place = all.places.clone().acquire_owned().await.ok()?;
            Some((listener.accept().await, place))
        } => accepted,
    }
}

/// A place, if need be beyond the cap: at the end better a few too many than a client refused.
fn place_or_extra(places: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    loop {
        if let Ok(place) = places.clone().try_acquire_owned() {
            return place;
        }
        places.add_permits(1);
    }
}

/// What went wrong with one connection is its own matter; out of files, the others need a moment to end.
async fn pause(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted) {
        tracing::error!(%error, "cannot accept connections; trying again in 100 ms");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
