//! The head of a request, as extractors see it.

use std::sync::Arc;

use http::request::Parts;
use http::{Extensions, HeaderMap, Method, Uri};

use burgeon_core::units::Size;

use crate::cookies::Jar;
use crate::door::{Asked, Door};
use crate::extract::Scheme;
use crate::route::RouteInfo;

/// Method, address, headers, what layers have put beside them, and which route it is.
#[derive(Debug)]
pub struct Head {
    pub(crate) parts: Parts,
    pub(crate) params: Params,
    pub(crate) jar: Option<Jar>,
    route: Arc<RouteInfo>,
    door: Door,
}

/// Names and values from the path, the values percent-decoded.
pub(crate) type Params = Vec<(Arc<str>, String)>;

impl Head {
    pub(crate) fn new(parts: Parts, params: Params, route: Arc<RouteInfo>, door: Door) -> Self {
        Self { parts, params, jar: None, route, door }
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.parts.method
    }

    /// The address.
    pub fn uri(&self) -> &Uri {
        &self.parts.uri
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// One header's first value, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    /// What layers have put beside the request.
    pub fn extensions(&self) -> &Extensions {
        &self.parts.extensions
    }

    /// To put something beside the request for extractors that come later.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.parts.extensions
    }

    /// A value from the path, by its name in the route's pattern.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(known, _)| **known == *name).map(|(_, value)| value.as_str())
    }

    /// The route that was found.
    pub fn route(&self) -> &RouteInfo {
        &self.route
    }

    /// What a failure of this request needs.
    pub fn asked(&self) -> Asked {
        Asked::parts(&self.parts.method, &self.parts.uri, &self.parts.headers, &self.parts.extensions)
    }

    /// The most bytes the body may have: the route's own limit, or the edge's.
    pub fn body_limit(&self) -> Size {
        self.route.body_limit.unwrap_or(self.door.body_limit())
    }

    /// The way out for errors, with the keys and settings of the edge.
    pub fn door(&self) -> &Door {
        &self.door
    }

    /// Whether cookies may be `Secure`: the connection has TLS, or the edge says that a proxy has.
    pub(crate) fn is_secure(&self) -> bool {
        self.door.secure_cookies() || self.parts.extensions.get::<Scheme>() == Some(&Scheme::Https)
    }

    /// The cookies of this request, and those to be set with its response.
    pub(crate) fn jar(&mut self) -> Jar {
        if let Some(jar) = &self.jar {
            return jar.clone();
        }
        let jar = Jar::of(&self.parts.headers);
        self.jar = Some(jar.clone());
        jar
    }
}
