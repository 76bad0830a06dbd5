//! The standard stack: what happens to every request and every response, as one walk in one function.
//!
//! What this is: [`Edge`], a router inside the stack. What it is not: a chain of boxed layers. Each step is a line of
//! `Edge::way_in` or `way_out` with its reason; the steps' own code lies beside, one file each. Between the two the
//! handler's work is one future in one box. A route's own layers are inside, see [`Policy`](crate::Policy).
//!
//! # Invariants
//! - Every response has an `x-request-id`, and every refusal has gone through the [`Door`](crate::Door).
//! - A handler knows its deadline, criticality and trace before it runs: they are in its [`Ctx`].
//! - A handler that panics costs one response, not a connection.
//!
//! # When it breaks
//! The client leaves: work for GET and HEAD is dropped, other work is finished (a route may say otherwise). The deadline
//! passes: the client gets 504; what must be finished is finished, no longer than `http.timeout_cap`.

mod answering;
mod compression;
mod cors;
mod fields;
mod head;
mod ids;
mod log;
mod meters;
mod networks;
mod origin;
mod position;
mod security;

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::str::FromStr as _;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use burgeon_core::{Criticality, Ctx, Deadline, Error, Result, Trace};
use burgeon_meter::Meters;

pub use self::answering::Answering;
use self::answering::Wanted;
use self::cors::Cors;
use self::fields::Fields;
use self::ids::Ids;
use self::log::Line;
use self::meters::PerRoute;
pub(crate) use self::networks::Networks;
use self::origin::Origin;
use self::security::Security;
use crate::extract::Known;
use crate::router::Called;
use crate::{Asked, Body, BoxError, Config, Connection, Request, RequestId, Response, RouteInfo, Router};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// An application's routes inside the standard stack. Cloning shares it.
///
/// It is served by [`Server::run`](crate::Server::run), and is a tower service for whoever has a server already.
#[derive(Clone)]
pub struct Edge(Arc<Inner>);

struct Inner {
    config: Config,
    router: Router,
    meters: PerRoute,
    ids: Ids,
    proxies: Networks,
    security: Security,
    cors: Option<Cors>,
}

impl Edge {
    /// The stack as configured, around these routes.
    ///
    /// # Errors
    /// When the configuration is not valid; the sentence names the key.
    pub fn new(config: &Config, router: Router, meters: &Meters) -> Result<Self> {
        config.validate().map_err(Error::invalid)?;
        let meters = PerRoute::new(&router, meters);
        Self::of(config.clone(), router, meters)
    }

    /// The same with memory of its own for all that every request touches: counts of references, meters, the source of
    /// names. So the cores that each have one do not wait for each other's cache lines.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub(crate) fn apart(&self) -> Result<Self> {
        let Inner { config, router, meters, .. } = &*self.0;
        Self::of(config.clone(), router.apart(), meters.part())
    }

    fn of(config: Config, router: Router, meters: PerRoute) -> Result<Self> {
        Ok(Self(Arc::new(Inner {
            ids: Ids::new()?,
            proxies: Networks::parse(&config.trusted_proxies).map_err(Error::invalid)?,
            security: Security::new(&config).map_err(Error::invalid)?,
            cors: Cors::new(&config).map_err(Error::invalid)?,
            config,
            router,
            meters,
        })))
    }

    /// The routes inside.
    pub fn router(&self) -> &Router {
        &self.0.router
    }

    /// Answers a request that came on this connection.
    pub(crate) fn answer_on(&self, request: Request, connection: &Connection) -> Answering {
        let origin = Origin { peer: Some(connection.peer()), tls: connection.is_tls() };
        self.way_in(request, origin, Some(connection))
    }

    /// The list, from the request's head to its handler. Nothing here waits: what is begun runs when the answering is
    /// polled, and ends in [`way_out`](Self::way_out).
    fn way_in(&self, request: Request, origin: Origin, connection: Option<&Connection>) -> Answering {
        let edge = &*self.0;
        // First of all the time: everything after it belongs to what the client waits for.
        let now = Instant::now();
        // What the stack wants to know of the head, in one look.
        let fields = Fields::of(request.headers());
        // Who asks: the proxies that we trust may say so, nobody else.
        let seen = origin::seen(origin, request.headers(), &edge.proxies);
        // The trace, so that all that follows can be found again, here and in other processes.
        let trace = edge.trace(&fields, now);
        // One name for this request: in the log, in the answer, in a refusal. Before anything can be refused.
        let id = request_id(&fields, &trace, seen.trusted);
        // The route before any work, because its policy decides about the work.
        let resolved = edge.router.resolve(&request);
        let route = resolved.route();
        let deadline = edge.deadline(&fields, route, now);
        let criticality = route.map_or(Criticality::default(), |route| route.criticality);
        let ctx = Ctx::of_request(Deadline::at(deadline.into_std()), criticality, trace);
        // What the client has written before, here or on another node: it shall see it.
        let carried = position::arrive(edge.router.door(), &fields, request.headers(), seen.scheme, &ctx);
        // Counted from here to the response's head, whatever becomes of it, also when the client leaves.
        let asked = Asked::seen(&request, fields.accept, id.clone());
        let line = Line::begin(self.clone(), route, asked, seen, now);
        let wanted = Wanted { encodings: fields.encodings, origin: fields.origin.cloned(), carried };
        // Only work that outlives its connection needs to know it.
        let stops = route.and_then(|route| route.stop_when_client_leaves);
        let alone = connection.filter(|_| !stops.unwrap_or(request.method().is_safe()));
        let alone = alone.map(|connection| (connection.clone(), now + edge.config.timeout_cap));

        // A head with two readings is refused before anybody reads it, and its connection with it.
        let work = if let Err(error) = head::check(request.version(), request.uri(), &fields) {
            let mut response = edge.router.door().refuse(&error, line.asked());
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            Called::Answered(Box::new(response))
        // A browser's question before the request itself is answered here: it is not for any handler.
        } else if let Some(answer) =
            edge.cors.as_ref().and_then(|cors| cors.preflight(request.method(), request.headers()))
        {
            Called::Answered(Box::new(answer))
        } else {
            let scheme = Some(seen.scheme);
            resolved.begin(request, Known { ctx: Some(ctx), id: Some(id), scheme, peer: seen.peer })
        };
        Answering::new(line, work, deadline, alone, wanted)
    }

    /// The answer to a request that was refused before it could be read, in the same form and as well counted.
    pub(crate) fn refuse_unread(
        &self,
        error: &Error,
        rule: &'static str,
        connection: &Connection,
    ) -> Response {
        let edge = &*self.0;
        let now = Instant::now();
        let origin = Origin { peer: Some(connection.peer()), tls: connection.is_tls() };
        let seen = origin::seen(origin, &HeaderMap::new(), &edge.proxies);
        let asked = Asked::unread(RequestId::from(edge.ids.trace(now).trace_id));
        let mut response = edge.router.door().refuse(error, &asked);
        let mut line = Line::begin(self.clone(), None, asked, seen, now).refused_by(rule);
        way_out(&mut response, &mut line, &Wanted::default());
        response
    }
}

/// The list, from the handler's response to what the client sees.
fn way_out(response: &mut Response, line: &mut Line, wanted: &Wanted) {
    let edge = &*line.edge().0;
    // Smaller, before anything else looks at the headers that describe the body.
    if edge.config.compression {
        compression::apply(response, wanted.encodings, line.asked().method());
    }
    let headers = response.headers_mut();
    // What the request has written, also one that failed after it: whatever the client asks next shall see it.
    if let Some(carried) = &wanted.carried {
        position::leave(edge.router.door(), carried, line.scheme(), headers);
    }
    if let Some(cors) = &edge.cors {
        cors.apply(headers, wanted.origin.as_ref());
    }
    // What a browser may do with it. A handler's own word stands.
    edge.security.apply(headers, line.scheme());
    if let Some(id) = line.asked().request_id() {
        headers.insert(REQUEST_ID, id.header());
    }
    // Last: the log and the meters see what the client sees.
    line.end(response);
}

impl Inner {
    fn trace(&self, fields: &Fields<'_>, now: Instant) -> Trace {
        let caller = fields.traceparent.and_then(|trace| trace.to_str().ok());
        match caller.and_then(|caller| Trace::from_str(caller).ok()) {
            Some(caller) => caller.child(self.ids.span()),
            None => self.ids.trace(now),
        }
    }

    /// The strictest of the client's, the route's (or the default), and the cap.
    fn deadline(&self, fields: &Fields<'_>, route: Option<&Arc<RouteInfo>>, now: Instant) -> Instant {
        let own = route.and_then(|route| route.timeout).unwrap_or(self.config.timeout);
        let own = own.min(self.config.timeout_cap);
        let asked = fields.timeout.and_then(|millis| millis.to_str().ok()?.parse().ok());
        now + asked.map_or(own, |millis| own.min(Duration::from_millis(millis)))
    }
}

/// The trusted proxy's name for the request, or the trace's.
fn request_id(fields: &Fields<'_>, trace: &Trace, trusted: bool) -> RequestId {
    let given = fields.request_id.filter(|_| trusted).and_then(|id| id.to_str().ok());
    match given.filter(|id| ids::is_sane(id)) {
        Some(id) => RequestId::from(id),
        None => RequestId::from(trace.trace_id),
    }
}

impl<B> tower::Service<http::Request<B>> for Edge
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let peer = request.extensions().get::<crate::Peer>().map(|peer| peer.0);
        let origin = Origin { peer, tls: false };
        let answer = self.way_in(request.map(Body::new), origin, None);
        Box::pin(async move { Ok(answer.await) })
    }
}

impl fmt::Debug for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edge").field("router", &self.0.router).finish_non_exhaustive()
    }
}

/// Whether the configured headers can be sent.
pub(crate) fn headers_of(config: &Config) -> Result<(), String> {
    Security::new(config)?;
    Cors::new(config)?;
    Ok(())
}
