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
use tower::util::ServiceExt as _;

use burgeon_core::Error;

use crate::body::BoxError;
use crate::door::{Asked, Door, with_header};
use crate::extract::{Known, Params};
use crate::policy::RouteService;
use crate::route::{Answer, Ready, RouteInfo};
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
#[derive(Clone)]
struct Place {
    methods: Vec<(Method, usize)>,
    allow: HeaderValue,
    nested: Option<RouteService>,
}

/// One route, ready to be called.
#[derive(Clone)]
struct Target {
    ready: Arc<Ready>,
    /// The same inside its policies, if it has any.
    layered: Option<RouteService>,
}

/// What [`Router::resolve`] found: to be looked at, and then called with the same request.
#[derive(Debug)]
#[must_use = "call it with the request"]
pub struct Resolved<'a> {
    router: &'a Router,
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

/// A request that was called.
pub(crate) enum Called {
    /// The table had the answer.
    Answered(Box<Response>),
    /// A handler works on it.
    Begun(Answer),
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
    pub fn resolve<B>(&self, request: &http::Request<B>) -> Resolved<'_> {
        let outcome = self.find(request.method(), request.uri().path());
        Resolved { router: self, outcome }
    }

    /// The same table with counts of references of its own, for one core. The policies around routes stay one for all
    /// cores: what they count is the process's.
    pub(crate) fn apart(&self) -> Self {
        let table = &*self.0;
        let door = table.door.apart();
        let alone = |target: &Target| {
            let Ready { info, names, endpoint, .. } = &*target.ready;
            let (info, names, endpoint) = (Arc::clone(info), Arc::clone(names), endpoint.apart());
            let ready = Arc::new(Ready { info, names, endpoint, door: door.clone() });
            Target { ready, layered: target.layered.clone() }
        };
        Self(Arc::new(Table {
            paths: table.paths.clone(),
            places: table.places.clone(),
            targets: table.targets.iter().map(alone).collect(),
            infos: table.infos.clone(),
            document: table.document.clone(),
            door,
        }))
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
        let Some(params) = Params::of(path, found.params.iter().map(|(_, value)| value)) else {
            return Outcome::Unreadable;
        };
        Outcome::Route { target, params, without_body }
    }
}

impl<'a> Resolved<'a> {
    /// The route; `None` for 404, 405, OPTIONS, and what is nested.
    pub fn route(&self) -> Option<&'a Arc<RouteInfo>> {
        match &self.outcome {
            Outcome::Route { target, .. } => Some(&self.router.0.targets[*target].ready.info),
            _ => None,
        }
    }

    /// Runs the handler. It does not fail: what fails inside has become a response.
    pub async fn call(self, request: Request) -> Response {
        let known = Known::of(request.extensions());
        match self.begin(request, known) {
            Called::Answered(response) => *response,
            Called::Begun(answer) => answer.await,
        }
    }

    /// As [`call`](Self::call), with what the stack knows of the request. Nothing has run when it returns, and nothing
    /// of the router is held.
    pub(crate) fn begin(self, mut request: Request, known: Known) -> Called {
        let table = &*self.router.0;
        let asked = |request: &Request| {
            Asked::parts(request.method(), request.uri(), request.headers(), known.id.clone())
        };
        let answered = match self.outcome {
            Outcome::Route { target, params, without_body } => {
                let target = &table.targets[target];
                let answer = match &target.layered {
                    None => target.ready.call(request, params, known),
                    Some(service) => {
                        let params = params.apart(request.uri().path());
                        known.tell(request.extensions_mut());
                        request.extensions_mut().insert(Matched(params));
                        through(service, request)
                    }
                };
                return Called::Begun(if without_body { stripped(answer) } else { answer });
            }
            Outcome::Nested { place } => match &table.places[place].nested {
                Some(service) => {
                    known.tell(request.extensions_mut());
                    return Called::Begun(through(service, request));
                }
                None => table.door.not_found(&asked(&request)),
            },
            Outcome::Options { place } => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::NO_CONTENT;
                with_header(response, ALLOW, &table.places[place].allow)
            }
            Outcome::MethodNotAllowed { place } => {
                table.door.method_not_allowed(&asked(&request), &table.places[place].allow)
            }
            Outcome::NotFound => table.door.not_found(&asked(&request)),
            Outcome::Unreadable => {
                let error = Error::invalid("The address is not valid UTF-8.");
                table.door.refuse(&error, &asked(&request))
            }
        };
        Called::Answered(Box::new(answered))
    }
}

/// Parameters on their way through a route's policies.
#[derive(Clone)]
struct Matched(Params);

/// The handler as a service for the policies around it.
fn service(ready: Arc<Ready>) -> RouteService {
    RouteService::new(tower::service_fn(move |mut request: Request| {
        let params = request.extensions_mut().remove::<Matched>();
        let known = Known::of(request.extensions());
        let answer = ready.call(request, params.map(|matched| matched.0).unwrap_or_default(), known);
        async move { Ok(answer.await) }
    }))
}

fn through(service: &RouteService, request: Request) -> Answer {
    let service = service.clone();
    Box::pin(async move { infallible(service.oneshot(request).await) })
}

fn infallible(result: Result<Response, Infallible>) -> Response {
    match result {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// The response to HEAD: the length that the body would have had, and no body.
fn stripped(answer: Answer) -> Answer {
    Box::pin(async move {
        let mut response = answer.await;
        let length = response.body().size_hint().exact();
        if let (Some(length), false) = (length, response.headers().contains_key(CONTENT_LENGTH)) {
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        response.map(|_| Body::empty())
    })
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
        let known = Known::of(request.extensions());
        let called = self.resolve(&request).begin(request, known);
        Box::pin(async move {
            Ok(match called {
                Called::Answered(response) => *response,
                Called::Begun(answer) => answer.await,
            })
        })
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router").field("routes", &self.0.infos.len()).finish_non_exhaustive()
    }
}
