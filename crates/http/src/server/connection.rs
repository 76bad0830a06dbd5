//! The life of one connection: TLS, protocol, requests, good-bye.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use burgeon_tls::TlsAcceptor;
use bytes::BytesMut;
use http::{Method, Request};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

use super::answers::Answers;
use super::arriving::{Arriving, Pace};
use super::balance::Seat;
use super::detect::{Protocol, detect};
use super::drain::Drain;
use super::exchange::{Exchanging, OnConnection};
use super::guard::Guard;
use super::leaving::Leaving;
use super::meters::{Counted, End};
use super::progress::Progress;
use super::shelter::Shelter;
use super::streams::{Intake, Streams, Turns};
use super::timer::{Due, Limits, Timer};
use super::wire::{Stream, Wire};
use crate::Config;

/// What a request handler may know of the connection its request came on.
#[derive(Clone)]
pub struct Connection {
    peer: SocketAddr,
    tls: bool,
    shelter: Shelter,
    place: Arc<OwnedSemaphorePermit>,
}

impl Connection {
    /// The other end of the connection; with a proxy in front that is the proxy.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Whether the connection is under TLS.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Lets work go on though this connection ended. It is awaited when the server drains.
    pub fn finish_without(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.shelter.take_in(work, self.place.clone());
    }
}

/// What all connections of one core share.
pub(super) struct Serving<A> {
    pub(super) answers: A,
    pub(super) drain: Arc<Drain>,
    pub(super) shelter: Shelter,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) protocols: Protocols,
    pub(super) counted: Counted,
}

/// How each protocol is spoken. Made once from the [`Config`].
#[derive(Clone)]
pub(super) struct Protocols {
    http1: http1::Builder,
    limits: Limits,
    pace: Pace,
    streams: u32,
    head_size: usize,
}

impl Protocols {
    pub(super) fn new(config: &Config) -> Self {
        let mut http1 = http1::Builder::new();
        // Its timer is not used: ours covers silence before the head and between heads as well, at a lower cost.
        http1.header_read_timeout(None).max_header_size(config.head_size.as_usize());

        let limits =
            Limits { head: config.head_timeout, idle: config.idle_timeout, write: config.write_pause };
        let pace = Pace { pause: config.body_pause, total: config.body_total };
        Self { http1, limits, pace, streams: config.streams, head_size: config.head_size.as_usize() }
    }

    fn http2(&self, intake: Intake) -> http2::Builder<Intake> {
        let mut http2 = http2::Builder::new(intake);
        http2
            .timer(TokioTimer::new())
            // A dead peer is noticed within 15 s, though TCP would wait for minutes.
            .keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(5))
            .max_concurrent_streams(self.streams)
            .max_header_list_size(u32::try_from(self.head_size).unwrap_or(u32::MAX))
            // Rapid reset (CVE-2023-44487) and its kin: a peer that makes us reset this many streams is cut.
            .max_pending_accept_reset_streams(20)
            .max_local_error_reset_streams(1024)
            .initial_stream_window_size(256 * 1024)
            .initial_connection_window_size(1024 * 1024)
            .max_send_buf_size(256 * 1024);
        http2
    }
}

/// Serves one connection to its end. Never fails: a connection's failure is its client's matter, and is only traced.
pub(super) async fn serve<A: Answers>(
    socket: TcpStream,
    peer: SocketAddr,
    place: OwnedSemaphorePermit,
    _seat: Seat,
    serving: Arc<Serving<A>>,
) {
    let _open = serving.counted.open.enter();
    // On Linux it has it from its listener. Fails only on a dead socket.
    if cfg!(not(target_os = "linux")) && socket.set_nodelay(true).is_err() {
        return serving.counted.ended(End::Unopened);
    }
    let opened = open(socket, &serving);
    let opened = match tokio::time::timeout(serving.protocols.limits.head, opened).await {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => {
            tracing::debug!(%peer, %error, "connection not opened");
            None
        }
        Err(_) => {
            tracing::debug!(%peer, "connection closed: it said nothing whole in time");
            None
        }
    };
    let Some((stream, protocol, ahead)) = opened else { return serving.counted.ended(End::Unopened) };
    let connection = Connection {
        peer,
        tls: matches!(stream, Stream::Tls(_)),
        shelter: serving.shelter.clone(),
        place: Arc::new(place),
    };
    let end = match protocol {
        Protocol::Http1 => http1(stream, ahead, connection, &serving).await,
        Protocol::Http2 => http2(stream, ahead, connection, &serving).await,
    };
    serving.counted.ended(end);
}

/// How a connection ended that hyper has let go of.
fn end(ended: hyper::Result<()>, peer: SocketAddr, progress: &Progress, rested: bool) -> End {
    if let Err(error) = &ended {
        tracing::debug!(%peer, %error, "connection ended early");
    }
    match ended {
        _ if progress.refusal().is_some() => End::Refused,
        Ok(()) if rested => End::Idle,
        Ok(()) => End::Closed,
        Err(error) if error.is_parse() => End::Refused,
        Err(_) => End::Broken,
    }
}

/// TLS, if served, and the protocol. Under TLS the client has named it; otherwise its first bytes tell.
async fn open<A>(
    mut socket: TcpStream,
    serving: &Serving<A>,
) -> std::io::Result<Option<(Stream, Protocol, BytesMut)>> {
    let Some(tls) = &serving.tls else {
        let drained = serving.drain.begun();
        let detected = detect(&mut socket);
        return Ok(match quiet(drained, &serving.drain, detected).await {
            Some(detected) => detected?.map(|(protocol, ahead)| (Stream::Plain(socket), protocol, ahead)),
            None => None,
        });
    };
    let stream = tls.accept(socket).await?;
    let protocol = match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => Protocol::Http2,
        _ => Protocol::Http1,
    };
    Ok(Some((Stream::Tls(Box::new(stream)), protocol, BytesMut::new())))
}

/// Waits for `speech`, but once draining has begun no longer than a moment: who has said nothing by then loses nothing.
async fn quiet<T>(
    drained: tokio::sync::futures::Notified<'_>,
    drain: &Drain,
    speech: impl Future<Output = T>,
) -> Option<T> {
    let mut speech = pin!(speech);
    if !drain.has_begun() {
        tokio::select! {
            said = &mut speech => return Some(said),
            () = drained => {}
        }
    }
    tokio::time::timeout(super::timer::LINGER, speech).await.ok()
}

async fn http1<A: Answers>(
    stream: Stream,
    ahead: BytesMut,
    connection: Connection,
    serving: &Serving<A>,
) -> End {
    let peer = connection.peer;
    let progress = Arc::new(Progress::default());
    let Protocols { limits, pace, head_size, .. } = serving.protocols;
    let this = OnConnection { serving, connection: &connection, progress: &progress };
    let service = service_fn(|request: Request<Incoming>| {
        let exchange = progress.begin();
        let is_connect = *request.method() == Method::CONNECT;
        // What was refused before it got here is not for the handler.
        let answering = progress.refusal().is_none().then(|| {
            serving.answers.answer(request.map(|body| Arriving::new(body, pace, &progress)), &connection)
        });
        Exchanging::new(this, answering, exchange, is_connect)
    });
    let guard = Some(Guard::new(head_size));
    let wire = TokioIo::new(Wire::new(stream, ahead, guard, progress.clone()));
    let mut connection = pin!(serving.protocols.http1.serve_connection(wire, service).with_upgrades());
    let mut timer = pin!(Timer::new(limits, progress.activity()));
    let mut drained = pin!(serving.drain.begun());
    let (mut waits, mut listening, mut rested) = (false, true, false);

    std::future::poll_fn(|cx| {
        loop {
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(end(ended, peer, &progress, rested));
            }
            if listening && serving.drain.is_heard(drained.as_mut(), &mut waits, cx) {
                listening = false;
                timer.as_mut().drain();
            }
            match timer.as_mut().poll(&progress, cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Due::Cut) => return Poll::Ready(if rested { End::Idle } else { End::Slow }),
                Poll::Ready(Due::Close) => {
                    connection.as_mut().graceful_shutdown();
                    timer.as_mut().closing();
                    rested = listening;
                }
            }
        }
    })
    .await
}

async fn http2<A: Answers>(
    stream: Stream,
    ahead: BytesMut,
    connection: Connection,
    serving: &Serving<A>,
) -> End {
    let peer = connection.peer;
    let progress = Arc::new(Progress::of_many());
    let turns = Turns::default();
    let intake = Intake::default();
    let Protocols { limits, pace, .. } = serving.protocols;
    let service = service_fn(|request: Request<Incoming>| {
        let exchange = progress.begin();
        let turns = turns.clone();
        let request = request.map(|body| Arriving::new(body, pace, &progress));
        let answer = serving.answers.answer(request, &connection);
        async move {
            let response = answer.await;
            Ok::<_, Infallible>(response.map(|body| Leaving::new(body, exchange, Some(turns.begin()))))
        }
    });
    let wire = TokioIo::new(Wire::new(stream, ahead, None, progress.clone()));
    let mut connection = pin!(serving.protocols.http2(intake.clone()).serve_connection(wire, service));
    let mut streams = Streams::new(intake);
    let mut timer = pin!(Timer::new(limits, progress.activity()));
    let mut stalls = tokio::time::interval(limits.write / 2);
    let mut drained = pin!(serving.drain.begun());
    let (mut waits, mut listening, mut rested) = (false, true, false);

    std::future::poll_fn(|cx| {
        loop {
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(end(ended, peer, &progress, rested));
            }
            streams.poll(cx);
            if listening && serving.drain.is_heard(drained.as_mut(), &mut waits, cx) {
                listening = false;
                // GOAWAY: what is under way goes on, nothing new begins here.
                connection.as_mut().graceful_shutdown();
                timer.as_mut().drain();
                continue;
            }
            while stalls.poll_tick(cx).is_ready() {
                if turns.any_stalled(limits.write) {
                    return Poll::Ready(End::Slow);
                }
            }
            match timer.as_mut().poll(&progress, cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Due::Cut) => return Poll::Ready(if rested { End::Idle } else { End::Slow }),
                Poll::Ready(Due::Close) => {
                    connection.as_mut().graceful_shutdown();
                    timer.as_mut().closing();
                    rested = listening;
                }
            }
        }
    })
    .await
}
