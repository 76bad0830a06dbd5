//! The one door from an [`Error`] to a response.
//!
//! Every failure of a request leaves through [`Door::refuse`]: a handler's, a router's, the standard stack's. There the
//! private detail is logged, once, with the request's id; the client gets the public part as problem+json, or as a page
//! when it is a browser that asks for one.
//!
//! # Invariants
//! - No private source reaches a client.
//! - A refusal is never cached (`Cache-Control: no-store`).

use std::fmt;
use std::sync::Arc;

use http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, VARY, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};

use burgeon_core::units::Size;
use burgeon_core::{Error, Kind, TraceId};
use burgeon_db::Db;

use crate::accept::prefers_html;
use crate::keys::Keys;
use crate::page;
use crate::problem::{PROBLEM_JSON, Problem};
use crate::{Body, Cors, Response};

/// Names one request, in the log and to the client. Put into the request's extensions by the standard stack where others
/// look for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(Name);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    /// That of its trace, written down only where somebody reads it.
    Trace(TraceId),
    /// The one a trusted proxy gave.
    Given(Arc<str>),
}

impl From<TraceId> for RequestId {
    fn from(id: TraceId) -> Self {
        Self(Name::Trace(id))
    }
}

impl From<&str> for RequestId {
    fn from(id: &str) -> Self {
        Self(Name::Given(id.into()))
    }
}

impl RequestId {
    pub(crate) fn header(&self) -> HeaderValue {
        let header = match &self.0 {
            Name::Trace(id) => HeaderValue::from_bytes(&id.digits()),
            Name::Given(id) => HeaderValue::from_str(id),
        };
        // The digits fit, and what was given came in a header.
        header.unwrap_or(HeaderValue::from_static("-"))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Name::Trace(id) => id.fmt(f),
            Name::Given(id) => f.write_str(id),
        }
    }
}

/// What must be remembered of a request to answer its failure. Making it copies nothing.
#[derive(Debug, Clone)]
pub struct Asked {
    method: Method,
    uri: Uri,
    accept: Option<HeaderValue>,
    request_id: Option<RequestId>,
}

impl Asked {
    /// Of this request.
    pub fn of<B>(request: &http::Request<B>) -> Self {
        let id = request.extensions().get().cloned();
        Self::parts(request.method(), request.uri(), request.headers(), id)
    }

    /// As [`of`](Self::of), of a request whose fields were looked at already.
    pub(crate) fn seen<B>(request: &http::Request<B>, accept: Option<&HeaderValue>, id: RequestId) -> Self {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        Self { method, uri, accept: accept.cloned(), request_id: Some(id) }
    }

    /// Of a request that could not be read.
    pub(crate) fn unread(id: RequestId) -> Self {
        let (method, uri) = (Method::from_bytes(b"-").unwrap_or_default(), Uri::from_static("-"));
        Self { method, uri, accept: None, request_id: Some(id) }
    }

    pub(crate) fn parts(
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        request_id: Option<RequestId>,
    ) -> Self {
        let accept = headers.get(ACCEPT).cloned();
        Self { method: method.clone(), uri: uri.clone(), accept, request_id }
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path, as it was sent.
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// Whether a page is wanted rather than JSON.
    pub fn wants_page(&self) -> bool {
        self.accept.as_ref().and_then(|accept| accept.to_str().ok()).is_some_and(prefers_html)
    }

    /// The request's id, if the standard stack gave it one.
    pub fn request_id(&self) -> Option<&RequestId> {
        self.request_id.as_ref()
    }
}

/// Makes the page that a browser shows for a problem.
type PageHook = dyn Fn(&Problem, &Asked) -> String + Send + Sync;

/// The way out for errors, and what extractors need to know of the edge. Cloning shares it.
#[derive(Clone)]
pub struct Door(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    page: Arc<PageHook>,
    keys: Option<Keys>,
    database: Option<Db>,
    body_limit: Size,
    secure_cookies: bool,
    friends: Vec<String>,
}

impl Door {
    /// A simple error page, no keys (so no sessions), bodies up to 2 MiB.
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            page: Arc::new(page::default_page),
            keys: None,
            database: None,
            body_limit: Size::mib(2),
            secure_cookies: false,
            friends: Vec::new(),
        }))
    }

    /// Replaces the page that browsers see when something failed. The result is HTML.
    #[must_use]
    pub fn with_page(self, page: impl Fn(&Problem, &Asked) -> String + Send + Sync + 'static) -> Self {
        self.change(|inner| inner.page = Arc::new(page))
    }

    /// The keys that sessions, flash messages and form tokens are signed with.
    #[must_use]
    pub fn with_keys(self, keys: Keys) -> Self {
        self.change(|inner| inner.keys = Some(keys))
    }

    /// Takes what a client has written to its next request, on whichever node that comes: the position of its last write in
    /// the log of this database, and the marks of what its node told the others, signed, as a cookie and as the header
    /// `burgeon-position`. It needs [keys](Self::with_keys), and does nothing on SQLite, which one process has alone.
    #[must_use]
    pub fn with_causal_reads(self, database: Db) -> Self {
        self.change(|inner| inner.database = Some(database))
    }

    /// The most bytes a body may have where its route says nothing. Default 2 MiB.
    #[must_use]
    pub fn with_body_limit(self, limit: Size) -> Self {
        self.change(|inner| inner.body_limit = limit)
    }

    /// Whether cookies are `Secure` (and named `__Host-`) even on a connection without TLS, because a proxy in front
    /// has it. Default off; on a connection with TLS they always are.
    #[must_use]
    pub fn with_secure_cookies(self, secure: bool) -> Self {
        self.change(|inner| inner.secure_cookies = secure)
    }

    /// Origins whose pages may send requests with a visitor's cookies: those of `cors`, if it allows credentials. What
    /// they cause is not refused as another site's. Forms still need their token. Default none.
    #[must_use]
    pub fn with_cors(self, cors: &Cors) -> Self {
        let friends = if cors.credentials { cors.origins.as_slice() } else { &[] };
        let friends = friends.iter().map(|origin| origin.trim_end_matches('/').to_owned()).collect();
        self.change(|inner| inner.friends = friends)
    }

    /// The same with a count of references of its own, for one core.
    pub(crate) fn apart(&self) -> Self {
        self.change(|_| ())
    }

    pub(crate) fn friends(&self) -> &[String] {
        &self.0.friends
    }

    /// The signing keys.
    pub fn keys(&self) -> Option<&Keys> {
        self.0.keys.as_ref()
    }

    /// The database whose log's positions travel with clients.
    pub(crate) fn database(&self) -> Option<&Db> {
        self.0.database.as_ref()
    }

    /// The most bytes a body may have where its route says nothing.
    pub fn body_limit(&self) -> Size {
        self.0.body_limit
    }

    pub(crate) fn secure_cookies(&self) -> bool {
        self.0.secure_cookies
    }

    /// The response for `error`. Logs the private part.
    pub fn refuse(&self, error: &Error, asked: &Asked) -> Response {
        log(error, asked);
        let mut problem = Problem::of(error);
        problem.instance = asked.request_id().map(ToString::to_string);
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);

        let (content_type, body) = if asked.wants_page() {
            (HeaderValue::from_static("text/html; charset=utf-8"), Body::from((self.0.page)(&problem, asked)))
        } else {
            // A problem holds only text and numbers, which always serialise.
            let json = serde_json::to_vec(&problem).unwrap_or_default();
            (HeaderValue::from_static(PROBLEM_JSON), Body::from(json))
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, content_type);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(VARY, HeaderValue::from_static("accept"));
        if let Some(seconds) = problem.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            // RFC 9110 wants a challenge beside every 401; ours is the application's own sign-in.
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Session"));
        }
        response
    }

    pub(crate) fn not_found(&self, asked: &Asked) -> Response {
        self.refuse(&Error::not_found("There is nothing at this address."), asked)
    }

    pub(crate) fn method_not_allowed(&self, asked: &Asked, allow: &HeaderValue) -> Response {
        let methods = allow.to_str().unwrap_or_default();
        let sentence = format!("This address does not take {}; it takes {methods}.", asked.method());
        let error = crate::status_error(StatusCode::METHOD_NOT_ALLOWED, sentence);
        with_header(self.refuse(&error, asked), ALLOW, allow)
    }

    fn change(&self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Inner::clone(&self.0);
        change(&mut inner);
        Self(Arc::new(inner))
    }
}

impl Default for Door {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("body_limit", &self.0.body_limit).finish_non_exhaustive()
    }
}

pub(crate) fn with_header(mut response: Response, name: HeaderName, value: &HeaderValue) -> Response {
    response.headers_mut().insert(name, value.clone());
    response
}

fn log(error: &Error, asked: &Asked) {
    let (kind, detail) = (error.kind(), error.detail());
    let id = asked.request_id().map(tracing::field::display);
    let (method, path) = (asked.method(), asked.path());
    match kind {
        Kind::Internal => tracing::error!(%kind, request_id = id, %method, path, detail, "request failed"),
        _ if kind.is_ours() => {
            tracing::warn!(%kind, request_id = id, %method, path, detail, "request failed")
        }
        _ => tracing::debug!(%kind, request_id = id, %method, path, detail, "request refused"),
    }
}
