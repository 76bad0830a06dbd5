//! The head of a request, as extractors see it.

use std::sync::Arc;

use http::request::Parts;
use http::{Extensions, HeaderMap, Method, Uri};

use burgeon_core::Ctx;
use burgeon_core::units::Size;

use crate::RequestId;
use crate::cookies::Jar;
use crate::door::{Asked, Door};
use crate::extract::{Params, PathValues, Peer, Scheme};
use crate::route::{Ready, RouteInfo};

/// Method, address, headers, what layers have put beside them, and which route it is.
#[derive(Debug)]
pub struct Head {
    pub(crate) parts: Parts,
    pub(crate) params: Params,
    pub(crate) jar: Option<Jar>,
    known: Known,
    ready: Arc<Ready>,
}

/// What the standard stack has found out about a request; all of it is missing where there is no stack.
///
/// It goes straight to the handler. Only a request that passes through layers of others carries it in its extensions,
/// where each part costs an allocation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    pub(crate) ctx: Option<Ctx>,
    pub(crate) id: Option<RequestId>,
    pub(crate) scheme: Option<Scheme>,
    pub(crate) peer: Option<Peer>,
}

impl Known {
    /// What is in the extensions.
    pub(crate) fn of(extensions: &Extensions) -> Self {
        Self {
            ctx: extensions.get().cloned(),
            id: extensions.get().cloned(),
            scheme: extensions.get().copied(),
            peer: extensions.get().copied(),
        }
    }

    /// Puts it into the extensions, for whoever looks for it there.
    pub(crate) fn tell(&self, extensions: &mut Extensions) {
        if let Some(ctx) = &self.ctx {
            extensions.insert(ctx.clone());
        }
        if let Some(id) = &self.id {
            extensions.insert(id.clone());
        }
        if let Some(scheme) = self.scheme {
            extensions.insert(scheme);
        }
        if let Some(peer) = self.peer {
            extensions.insert(peer);
        }
    }
}

impl Head {
    pub(crate) fn new(parts: Parts, params: Params, known: Known, ready: Arc<Ready>) -> Self {
        Self { parts, params, jar: None, known, ready }
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
        self.path_values().iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The route that was found.
    pub fn route(&self) -> &RouteInfo {
        &self.ready.info
    }

    /// What a failure of this request needs.
    pub fn asked(&self) -> Asked {
        Asked::parts(&self.parts.method, &self.parts.uri, &self.parts.headers, self.known.id.clone())
    }

    /// The most bytes the body may have: the route's own limit, or the edge's.
    pub fn body_limit(&self) -> Size {
        self.route().body_limit.unwrap_or(self.door().body_limit())
    }

    /// The way out for errors, with the keys and settings of the edge.
    pub fn door(&self) -> &Door {
        &self.ready.door
    }

    /// Whether cookies may be `Secure`: the connection has TLS, or the edge says that a proxy has.
    pub(crate) fn is_secure(&self) -> bool {
        self.door().secure_cookies() || self.known.scheme == Some(Scheme::Https)
    }

    pub(crate) fn known(&self) -> &Known {
        &self.known
    }

    pub(crate) fn known_mut(&mut self) -> &mut Known {
        &mut self.known
    }

    pub(crate) fn path_values(&self) -> PathValues<'_> {
        self.params.named(&self.ready.names, self.parts.uri.path())
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
