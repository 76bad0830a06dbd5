//! The standard stack: what happens to every request and every response, as one walk in one function.
//!
//! What this is: [`Edge`], a router inside the stack. What it is not: a chain of boxed layers. Each step is a line of
//! `Edge::walk` with its reason; the steps' own code lies beside, one file each. A route's own layers are inside,
//! see [`Policy`](crate::Policy).
//!
//! # Invariants
//! - Every response has an `x-request-id`, and every refusal has gone through the [`Door`](crate::Door).
//! - A handler knows its deadline, criticality and trace before it runs: they are in its [`Ctx`].
//! - A handler that panics costs one response, not a connection.
//!
//! # When it breaks
//! The client leaves: work for GET and HEAD is dropped, other work is finished (a route may say otherwise). The deadline
//! passes: the client gets 504; what must be finished is finished, no longer than `http.timeout_cap`.

mod compression;
mod cors;
mod head;
mod ids;
mod log;
mod meters;
mod networks;
mod origin;
mod security;
mod work;

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

use self::cors::Cors;
use self::ids::Ids;
use self::log::Line;
use self::meters::PerRoute;
pub(crate) use self::networks::Networks;
use self::origin::Origin;
use self::security::Security;
use self::work::{caught, run, until};
use crate::{Asked, Body, BoxError, Config, Connection, Request, RequestId, Response, RouteInfo, Router};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// How many milliseconds the caller will wait: what is left of its own deadline. It can only shorten ours.
const TIMEOUT: HeaderName = HeaderName::from_static("x-request-timeout-ms");

/// An application's routes inside the standard stack. Cloning shares it.
///
/// It is served by [`Server::run`](crate::Server::run), and is a tower service for whoever has a server already.
#[derive(Clone)]
pub struct Edge(Arc<Inner>);

struct Inner {
    router: Router,
    meters: PerRoute,
    ids: Ids,
    proxies: Networks,
    security: Security,
    cors: Option<Cors>,
    compression: bool,
    timeout: Duration,
    timeout_cap: Duration,
}

impl Edge {
    /// The stack as configured, around these routes.
    ///
    /// # Errors
    /// When the configuration is not valid; the sentence names the key.
    pub fn new(config: &Config, router: Router, meters: &Meters) -> Result<Self> {
        config.validate().map_err(Error::invalid)?;
        Ok(Self(Arc::new(Inner {
            meters: PerRoute::new(&router, meters),
            ids: Ids::new()?,
            proxies: Networks::parse(&config.trusted_proxies).map_err(Error::invalid)?,
            security: Security::new(config).map_err(Error::invalid)?,
            cors: Cors::new(config).map_err(Error::invalid)?,
            compression: config.compression,
            timeout: config.timeout,
            timeout_cap: config.timeout_cap,
            router,
        })))
    }

    /// The routes inside.
    pub fn router(&self) -> &Router {
        &self.0.router
    }

    /// Answers a request that came on this connection.
    pub(crate) fn answer(
        &self,
        request: Request,
        connection: &Connection,
    ) -> impl Future<Output = Response> + Send + use<> {
        let origin = Origin { peer: Some(connection.peer()), tls: connection.is_tls() };
        // Only work that outlives its connection needs to know it.
        let connection = (!request.method().is_safe()).then(|| connection.clone());
        self.clone().walk(request, origin, connection)
    }

    /// The list. Down to the handler in this order, and up again in the other.
    async fn walk(self, mut request: Request, origin: Origin, connection: Option<Connection>) -> Response {
        let edge = &*self.0;
        // First of all the time: everything after it belongs to what the client waits for.
        let now = Instant::now();
        // Who asks: the proxies that we trust may say so, nobody else.
        let seen = origin::seen(origin, request.headers(), &edge.proxies);
        // The trace, so that all that follows can be found again, here and in other processes.
        let trace = edge.trace(request.headers(), now);
        // One name for this request: in the log, in the answer, in a refusal. Before anything can be refused.
        let (id, id_header) = request_id(request.headers(), &trace, seen.trusted);
        // The route before any work, because its policy decides about the work.
        let resolved = edge.router.resolve(&request);
        let route = resolved.route();
        let deadline = edge.deadline(request.headers(), route, now);
        let ctx = Ctx::of_request(
            Deadline::at(deadline.into_std()),
            route.map_or(Criticality::default(), |route| route.criticality),
            trace,
        );
        // Counted from here to the response's head, whatever becomes of it, also when the client leaves.
        let meters = edge.meters.of(route).clone();
        let line = Line::begin(meters, &request, route, &id, seen, now);

        let method = request.method().clone();
        let accepts_gzip = edge.compression && compression::is_accepted(request.headers());
        let cross_origin = edge.cors.as_ref().and_then(|cors| cors.allowed(request.headers()));
        let extensions = request.extensions_mut();
        extensions.insert(ctx);
        extensions.insert(RequestId(id));
        extensions.insert(seen.scheme);
        if let Some(peer) = seen.peer {
            extensions.insert(peer);
        }

        // A head with two readings is refused before anybody reads it, and its connection with it.
        let mut response = if let Err(error) =
            head::check(request.version(), request.uri(), request.headers())
        {
            let mut response = edge.router.door().refuse(&error, &Asked::of(&request));
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            response
        // A browser's question before the request itself is answered here: it is not for any handler.
        } else if let Some(answer) =
            edge.cors.as_ref().and_then(|cors| cors.preflight(&method, request.headers()))
        {
            answer
        } else {
            let asked = Asked::of(&request);
            let stops = route.and_then(|route| route.stop_when_client_leaves).unwrap_or(method.is_safe());
            // A panic ends below the deadline, so that work which goes on alone is caught as well.
            let work = caught(resolved.call(request));
            let alone = connection.filter(|_| !stops).map(|connection| (connection, now + edge.timeout_cap));
            let answer = until(deadline, run(work, alone)).await;
            answer.unwrap_or_else(|error| edge.router.door().refuse(&error, &asked))
        };

        // Smaller, before anything else looks at the headers that describe the body.
        if edge.compression {
            response = compression::apply(response, accepts_gzip, &method);
        }
        let headers = response.headers_mut();
        if let Some(cors) = &edge.cors {
            cors.apply(headers, cross_origin);
        }
        // What a browser may do with it. A handler's own word stands.
        edge.security.apply(headers, seen.scheme);
        headers.insert(REQUEST_ID, id_header);
        // Last: the log and the meters see what the client sees.
        line.end(&response);
        response
    }
}

impl Inner {
    fn trace(&self, headers: &HeaderMap, now: Instant) -> Trace {
        let caller = headers.get(TRACEPARENT).and_then(|trace| trace.to_str().ok());
        match caller.and_then(|caller| Trace::from_str(caller).ok()) {
            Some(caller) => caller.child(self.ids.span()),
            None => self.ids.trace(now),
        }
    }

    /// The strictest of the client's, the route's (or the default), and the cap.
    fn deadline(&self, headers: &HeaderMap, route: Option<&Arc<RouteInfo>>, now: Instant) -> Instant {
        let own = route.and_then(|route| route.timeout).unwrap_or(self.timeout).min(self.timeout_cap);
        let asked = headers.get(TIMEOUT).and_then(|millis| millis.to_str().ok());
        let asked = asked.and_then(|millis| millis.parse().ok()).map_or(own, Duration::from_millis);
        now + own.min(asked)
    }
}

/// The trusted proxy's name for the request, or the trace's.
fn request_id(headers: &HeaderMap, trace: &Trace, trusted: bool) -> (Arc<str>, HeaderValue) {
    if trusted
        && let Some(header) = headers.get(REQUEST_ID)
        && let Some(id) = header.to_str().ok().filter(|id| ids::is_sane(id))
    {
        return (id.into(), header.clone());
    }
    let name = ids::name(trace);
    let text = std::str::from_utf8(&name).unwrap_or_default();
    // Hexadecimal digits always fit a header.
    (text.into(), HeaderValue::from_bytes(&name).unwrap_or(HeaderValue::from_static("-")))
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
        let answer = self.clone().walk(request.map(Body::new), origin, None);
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
