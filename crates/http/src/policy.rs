//! A route's policy: a name, a description, and a tower layer.
//!
//! Other rooms (a cache, rate limits) give layers; the application puts them on its routes; neither knows the other.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tower::util::{BoxCloneSyncService, ServiceExt as _};
use tower::{Layer, Service};

use crate::{Body, BoxError, Request, Response};

/// A route's handler as a service, with the policies inside the one that sees it.
pub type RouteService = BoxCloneSyncService<Request, Response, Infallible>;

/// Something that holds for a route. Cloning shares it.
#[derive(Clone)]
pub struct Policy {
    name: String,
    detail: String,
    apply: Arc<dyn Fn(RouteService) -> RouteService + Send + Sync>,
}

impl Policy {
    /// A policy of this name (`limit`) and detail (`10 per minute and user`), done by `layer`: any tower layer that does not
    /// fail, whatever the bodies of its responses.
    pub fn new<L, B>(name: impl Into<String>, detail: impl Into<String>, layer: L) -> Self
    where
        L: Layer<RouteService> + Send + Sync + 'static,
        L::Service: Service<Request, Response = http::Response<B>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        <L::Service as Service<Request>>::Future: Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let whole = |response: http::Response<B>| response.map(Body::new);
        let apply = move |inner| RouteService::new(layer.layer(inner).map_response(whole));
        Self { name: name.into(), detail: detail.into(), apply: Arc::new(apply) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it demands, for people.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    pub(crate) fn apply(&self, inner: RouteService) -> RouteService {
        (self.apply)(inner)
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.detail)
    }
}
