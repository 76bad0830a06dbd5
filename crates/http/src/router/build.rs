//! From lists of routes to one table, with everything that is wrong told at once.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Uri};
use tower::{Service, ServiceExt as _};

use burgeon_core::{Error, Result};

use super::{Place, Router, Table, Target, service};
use crate::body::BoxError;
use crate::door::Door;
use crate::openapi::{self, Info};
use crate::policy::{Policy, RouteService};
use crate::route::{Bound, Endpoint, Ready, RouteInfo, RouteList};
use crate::{Body, Request};

/// What is mounted where: the way to a [`Router`].
///
/// ```
/// use burgeon_http::{Door, Mounts, Routes, get};
///
/// async fn home() -> &'static str { "hello" }
///
/// let router = Mounts::new()
///     .mount("/", Routes::new(()).routes([get("/", home)]))
///     .router(Door::new())
///     .unwrap();
/// assert_eq!(router.routes().len(), 1);
/// ```
#[derive(Default)]
#[must_use = "make a router of it"]
pub struct Mounts {
    routes: Vec<Bound>,
    nested: Vec<(String, RouteService)>,
    about: Option<Info>,
}

impl Mounts {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds routes below `prefix` (`/` for none).
    pub fn mount(mut self, prefix: &str, routes: impl Into<RouteList>) -> Self {
        for mut bound in routes.into().0 {
            bound.info.path = join(prefix, &bound.info.path);
            self.routes.push(bound);
        }
        self
    }

    /// Hands every request below `prefix`, whatever its method, to another service: an axum `Router`, a static site.
    /// The service sees the path without the prefix. Routes mounted below the same prefix come first.
    pub fn nest<T, B>(mut self, prefix: &str, service: T) -> Self
    where
        T: Service<http::Request<Body>, Response = http::Response<B>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        T::Future: Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let prefix = prefix.trim_end_matches('/').to_owned();
        let cut = prefix.len();
        let service = service
            .map_request(move |request: Request| without_prefix(request, cut))
            .map_response(|response: http::Response<B>| response.map(Body::new));
        self.nested.push((prefix, RouteService::new(service)));
        self
    }

    /// Serves the API document of all routes at `/openapi.json`, and for people at `/docs`.
    pub fn with_document(mut self, about: Info) -> Self {
        self.about = Some(about);
        self
    }

    /// Every route with its policies, in order.
    pub fn table(&self) -> Vec<RouteInfo> {
        self.routes.iter().map(|bound| bound.info.clone()).collect()
    }

    /// Builds the table.
    ///
    /// # Errors
    /// [`Kind::Invalid`](burgeon_core::Kind::Invalid) with every mistake: two routes of one method on one path, a
    /// pattern that is none, patterns that name the same part differently.
    pub fn router(mut self, door: Door) -> Result<Router> {
        let document = self.about.take().map(|about| {
            openapi::document(self.routes.iter().map(|bound| (&bound.info, bound.describe)), &about)
        });
        if let Some(document) = &document {
            self = self.mount("/", openapi::routes(document));
        }
        let mut faults = Vec::new();
        let mut places: BTreeMap<String, Place> = BTreeMap::new();
        let (mut targets, mut infos) = (Vec::new(), Vec::<Arc<RouteInfo>>::new());

        for (index, mut bound) in self.routes.into_iter().enumerate() {
            bound.info.index = index;
            let info = Arc::new(bound.info);
            infos.push(Arc::clone(&info));
            let place = places.entry(info.path.clone()).or_insert_with(Place::empty);
            if let Some((_, first)) = place.methods.iter().find(|(method, _)| *method == info.method) {
                let (method, path) = (&info.method, &info.path);
                faults.push(format!(
                    "two routes are {method} {path}: one at {}, one at {}; remove one or change its path",
                    infos[*first].place, info.place
                ));
                continue;
            }
            place.methods.push((info.method.clone(), index));
            targets.push(target(info, bound.endpoint, &bound.policies, &door));
        }
        for (prefix, service) in self.nested {
            for path in [prefix.clone(), format!("{prefix}/"), format!("{prefix}/{{*rest}}")] {
                let path = if path.is_empty() { continue } else { path };
                // A route of our own at exactly this address comes first.
                places.entry(path).or_insert(Place { nested: Some(service.clone()), ..Place::empty() });
            }
        }

        let mut paths = matchit::Router::new();
        let mut list = Vec::with_capacity(places.len());
        for (path, mut place) in places {
            place.allow = allow(&place.methods);
            let written = place.methods.first().map(|(_, index)| format!(" at {}", infos[*index].place));
            if let Err(error) = paths.insert(&path, list.len()) {
                let why = match error {
                    matchit::InsertError::Conflict { with } => {
                        format!("`{with}` means the same addresses; give the parts in braces the same names")
                    }
                    other => format!(
                        "{other}; write parameters as `{{name}}` and the rest of a path as `{{*rest}}`"
                    ),
                };
                faults.push(format!("the path `{path}`{}: {why}", written.unwrap_or_default()));
            } else if !path.starts_with('/') {
                faults.push(format!(
                    "the path `{path}`{} does not begin with `/`",
                    written.unwrap_or_default()
                ));
            }
            list.push(place);
        }
        match faults.is_empty() {
            true => Ok(Router(Arc::new(Table { door, paths, places: list, targets, infos, document }))),
            false => Err(Error::invalid(faults.join("\n"))),
        }
    }
}

fn target(info: Arc<RouteInfo>, endpoint: Arc<dyn Endpoint>, policies: &[Policy], door: &Door) -> Target {
    let names = names(&info.path).into();
    let ready = Arc::new(Ready { info, names, endpoint, door: door.clone() });
    // The first named is the outermost, so it is applied last.
    let layered = (!policies.is_empty()).then(|| {
        policies.iter().rev().fold(service(Arc::clone(&ready)), |service, policy| policy.apply(service))
    });
    Target { ready, layered }
}

impl Place {
    fn empty() -> Self {
        Self { methods: Vec::new(), allow: HeaderValue::from_static(""), nested: None }
    }
}

/// The names in braces, in order. `{{` is a brace that means itself.
pub(crate) fn names(path: &str) -> Vec<Arc<str>> {
    let plain = path.replace("{{", "").replace("}}", "");
    let mut names = Vec::new();
    for part in plain.split('{').skip(1) {
        let name = part.split('}').next().unwrap_or_default();
        names.push(Arc::from(name.trim_start_matches('*')));
    }
    names
}

fn allow(methods: &[(Method, usize)]) -> HeaderValue {
    let mut names: Vec<&str> = methods.iter().map(|(method, _)| method.as_str()).collect();
    if names.contains(&"GET") && !names.contains(&"HEAD") {
        names.push("HEAD");
    }
    if !names.contains(&"OPTIONS") {
        names.push("OPTIONS");
    }
    names.sort_unstable();
    HeaderValue::from_str(&names.join(", ")).unwrap_or(HeaderValue::from_static(""))
}

fn join(prefix: &str, path: &str) -> String {
    let prefix = prefix.trim_end_matches('/');
    match (prefix, path) {
        ("", path) => path.to_owned(),
        (prefix, "/" | "") => prefix.to_owned(),
        (prefix, path) => format!("{prefix}{path}"),
    }
}

/// What is nested does not know where.
fn without_prefix(mut request: Request, cut: usize) -> Request {
    let mut parts = request.uri().clone().into_parts();
    let rest = parts.path_and_query.as_ref().map_or("/", |whole| whole.as_str().get(cut..).unwrap_or("/"));
    let rest = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
    parts.path_and_query = rest.parse().ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    request
}
