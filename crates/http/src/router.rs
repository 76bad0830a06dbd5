//! From a request to its route.
//!
//! What this is: a table built once, at start, from every list of routes; it finds the route of a request without I/O, so
//! that the standard stack knows the route's policy before anything of it runs. The matcher is `matchit`, the one inside
//! axum. What it is not: middleware; that is the stack's.
//!
//! # Invariants
//! - One method on one path is one route. Two are refused when the table is built, with both places.
//! - Every answer is a response: failures have gone through the [`Door`].
//! - HEAD is answered as GET without its body; OPTIONS and 405 name the methods that are there.

mod build;

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_LENGTH};
use http::{HeaderValue, Method, StatusCode};
use http_body::Body as _;
use percent_encoding::percent_decode_str;
use tower::util::ServiceExt as _;

use burgeon_core::Error;

use crate::body::BoxError;
use crate::csrf;
use crate::door::{Asked, Door, with_header};
use crate::extract::{Head, Params};
use crate::policy::RouteService;
use crate::route::{Endpoint, RouteInfo};
use crate::{Body, Request, Response};

pub use build::Mounts;
pub(crate) use build::names;

/// All routes of an application. Cloning shares the table.
#[derive(Clone)]
pub struct Router(Arc<Table>);

struct Table {
    door: Door,
    paths: matchit::Router<usize>,
    places: Vec<Place>,
    targets: Vec<Target>,
    infos: Vec<Arc<RouteInfo>>,
    document: Option<serde_json::Value>,
}

/// One pattern with everything that is there.
struct Place {
    names: Vec<Arc<str>>,
    methods: Vec<(Method, usize)>,
    allow: HeaderValue,
    nested: Option<RouteService>,
}

/// One route, ready to be called.
struct Target {
    handled: Arc<Handled>,
    /// The same inside its policies, if it has any.
    layered: Option<RouteService>,
}

/// One route without its policies.
struct Handled {
    info: Arc<RouteInfo>,
    endpoint: Endpoint,
    door: Door,
}

/// What [`Router::resolve`] found: to be looked at, and then called with the same request.
#[derive(Debug)]
#[must_use = "call it with the request"]
pub struct Resolved {
    router: Router,
    outcome: Outcome,
}

#[derive(Debug)]
enum Outcome {
    Route {
        target: usize,
        params: Params,
        without_body: bool,
    },
    Nested {
        place: usize,
    },
    Options {
        place: usize,
    },
    MethodNotAllowed {
        place: usize,
    },
    NotFound,
    /// A part of the path is not UTF-8 once it is decoded.
    Unreadable,
}

impl Router {
    /// The way out for errors.
    pub fn door(&self) -> &Door {
        &self.0.door
    }

    /// Every route, in order of its `index`.
    pub fn routes(&self) -> &[Arc<RouteInfo>] {
        &self.0.infos
    }

    /// The API document, if one was asked for.
    pub fn document(&self) -> Option<&serde_json::Value> {
        self.0.document.as_ref()
    }

    /// Finds the route of a request.
    pub fn resolve<B>(&self, request: &http::Request<B>) -> Resolved {
        let outcome = self.find(request.method(), request.uri().path());
        Resolved { router: self.clone(), outcome }
    }

    fn find(&self, method: &Method, path: &str) -> Outcome {
        let Ok(found) = self.0.paths.at(path) else { return Outcome::NotFound };
        let index = *found.value;
        let place = &self.0.places[index];
        if place.nested.is_some() {
            return Outcome::Nested { place: index };
        }
        let by = |wanted: &Method| place.methods.iter().find(|(method, _)| method == wanted);
        let (target, without_body) = match by(method) {
            Some((_, target)) => (*target, *method == Method::HEAD),
            None if *method == Method::HEAD => match by(&Method::GET) {
                Some((_, target)) => (*target, true),
                None => return Outcome::MethodNotAllowed { place: index },
            },
            None if *method == Method::OPTIONS => return Outcome::Options { place: index },
            None => return Outcome::MethodNotAllowed { place: index },
        };
        let mut params = Params::with_capacity(place.names.len());
        for (name, (_, value)) in place.names.iter().zip(found.params.iter()) {
            let Ok(decoded) = percent_decode_str(value).decode_utf8() else { return Outcome::Unreadable };
            params.push((Arc::clone(name), decoded.into_owned()));
        }
        Outcome::Route { target, params, without_body }
    }
}

impl Resolved {
    /// The route; `None` for 404, 405, OPTIONS, and what is nested.
    pub fn route(&self) -> Option<&Arc<RouteInfo>> {
        match &self.outcome {
            Outcome::Route { target, .. } => Some(&self.router.0.targets[*target].handled.info),
            _ => None,
        }
    }

    /// Runs the handler. It does not fail: what fails inside has become a response.
    pub async fn call(self, request: Request) -> Response {
        let table = &self.router.0;
        let refuse = |error: Error| table.door.refuse(&error, &Asked::of(&request));
        match self.outcome {
            Outcome::Route { target, params, without_body } => {
                let target = &table.targets[target];
                let response = match &target.layered {
                    None => target.handled.run(request, params).await,
                    Some(service) => {
                        let mut request = request;
                        request.extensions_mut().insert(Matched(params));
                        infallible(service.clone().oneshot(request).await)
                    }
                };
                if without_body { strip(response) } else { response }
            }
            Outcome::Nested { place } => match &table.places[place].nested {
                Some(service) => infallible(service.clone().oneshot(request).await),
                None => table.door.not_found(&Asked::of(&request)),
            },
            Outcome::Options { place } => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::NO_CONTENT;
                with_header(response, ALLOW, &table.places[place].allow)
            }
            Outcome::MethodNotAllowed { place } => {
                table.door.method_not_allowed(&Asked::of(&request), &table.places[place].allow)
            }
            Outcome::NotFound => table.door.not_found(&Asked::of(&request)),
            Outcome::Unreadable => refuse(Error::invalid("The address is not valid UTF-8.")),
        }
    }
}

/// Parameters on their way through a route's policies.
#[derive(Clone)]
struct Matched(Params);

impl Handled {
    async fn run(&self, request: Request, params: Params) -> Response {
        let (parts, body) = request.into_parts();
        let mut head = Head::new(parts, params, Arc::clone(&self.info), self.door.clone());
        let answered = match csrf::refuse_other_sites(head.method(), head.uri(), head.headers()) {
            Ok(()) => (self.endpoint)(&mut head, body).await,
            Err(error) => Err(error),
        };
        let finished = answered.and_then(|mut response| {
            if let Some(jar) = &head.jar {
                jar.apply(response.headers_mut(), &self.door, head.is_secure())?;
            }
            Ok(response)
        });
        finished.unwrap_or_else(|error| self.door.refuse(&error, &head.asked()))
    }

    /// The endpoint as a service for the policies around it.
    fn service(self: &Arc<Self>) -> RouteService {
        let handled = Arc::clone(self);
        RouteService::new(tower::service_fn(move |mut request: Request| {
            let handled = Arc::clone(&handled);
            async move {
                let params = request
                    .extensions_mut()
                    .remove::<Matched>()
                    .map_or_else(Params::new, |matched| matched.0);
                Ok(handled.run(request, params).await)
            }
        }))
    }
}

fn infallible(result: Result<Response, Infallible>) -> Response {
    match result {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// The response to HEAD: the length that the body would have had, and no body.
fn strip(mut response: Response) -> Response {
    let length = response.body().size_hint().exact();
    if let (Some(length), false) = (length, response.headers().contains_key(CONTENT_LENGTH)) {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    response.map(|_| Body::empty())
}

impl<B> tower::Service<http::Request<B>> for Router
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
        let request = request.map(Body::new);
        let resolved = self.resolve(&request);
        Box::pin(async move { Ok(resolved.call(request).await) })
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router").field("routes", &self.0.infos.len()).finish_non_exhaustive()
    }
}
