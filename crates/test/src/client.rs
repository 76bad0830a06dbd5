//! A visitor: keeps cookies, fetches form tokens, and asks one node after the other.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use burgeon_http::{CSRF_FIELD, Edge, Peer};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, HOST, SET_COOKIE};
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::ServiceExt as _;

use crate::Answer;

/// A visitor of the application. Cloning shares its cookies.
///
/// With several nodes, each request goes to the next one.
#[derive(Clone)]
pub struct Client {
    targets: Arc<Vec<Target>>,
    next: Arc<AtomicUsize>,
    visitor: Arc<Mutex<Visitor>>,
}

/// Where a request goes.
#[derive(Clone)]
pub(crate) enum Target {
    /// Into the application, without a socket.
    Edge(Edge),
    /// Through a socket.
    Socket(SocketAddr),
}

/// What a browser would remember.
#[derive(Default)]
struct Visitor {
    cookies: BTreeMap<String, String>,
    token: Option<String>,
}

/// No answer of an application in a test takes longer than this; its own deadlines are far below.
const PATIENCE: Duration = Duration::from_secs(90);

impl Client {
    pub(crate) fn new(targets: Vec<Target>) -> Self {
        Self { targets: Arc::new(targets), next: Arc::default(), visitor: Arc::default() }
    }

    /// The same visitor, asking these nodes.
    pub(crate) fn at(&self, targets: Vec<Target>) -> Self {
        Self { targets: Arc::new(targets), next: Arc::default(), visitor: self.visitor.clone() }
    }

    /// A client of the application that listens at `address`.
    pub fn of(address: SocketAddr) -> Self {
        Self::new(vec![Target::Socket(address)])
    }

    /// `GET path`.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None, Bytes::new()).await
    }

    /// `DELETE path`.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None, Bytes::new()).await
    }

    /// `POST path` with JSON.
    pub async fn post_json(&self, path: &str, value: &impl Serialize) -> Answer {
        self.send_json(Method::POST, path, value).await
    }

    /// `PUT path` with JSON.
    pub async fn put_json(&self, path: &str, value: &impl Serialize) -> Answer {
        self.send_json(Method::PUT, path, value).await
    }

    async fn send_json(&self, method: Method, path: &str, value: &impl Serialize) -> Answer {
        match serde_json::to_vec(value) {
            Ok(json) => self.send(method, path, Some("application/json"), json.into()).await,
            Err(error) => panic!("{method} {path}: the value is not JSON: {error}"),
        }
    }

    /// `POST path` with a form, as a browser would: with the token of the last page that had one. Where none has been
    /// seen and the visitor has cookies, the form's page is fetched first (`path` itself, then `/`).
    pub async fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let mut fields = fields.to_vec();
        let token = self.token_for(path).await;
        if let Some(token) = &token {
            fields.push((CSRF_FIELD, token));
        }
        match serde_urlencoded::to_string(&fields) {
            Ok(form) => {
                self.send(Method::POST, path, Some("application/x-www-form-urlencoded"), form.into()).await
            }
            Err(error) => panic!("POST {path}: the form cannot be written: {error}"),
        }
    }

    async fn token_for(&self, path: &str) -> Option<String> {
        for page in [None, Some(path), Some("/")] {
            if let Some(page) = page {
                if self.visitor().cookies.is_empty() {
                    return None;
                }
                self.get(page).await;
            }
            if let Some(token) = self.visitor().token.clone() {
                return Some(token);
            }
        }
        None
    }

    /// Any request.
    pub async fn send(&self, method: Method, path: &str, content_type: Option<&str>, body: Bytes) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header(HOST, "localhost");
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        match request.body(body) {
            Ok(request) => self.request(request).await,
            Err(error) => panic!("{path}: no request can be made of it: {error}"),
        }
    }

    /// Any request, with whatever headers it has; cookies are added.
    pub async fn request(&self, request: Request<Bytes>) -> Answer {
        let said = format!("{} {}", request.method(), request.uri());
        match self.try_request(request).await {
            Ok(answer) => answer,
            Err(error) => panic!("{said}: {error}"),
        }
    }

    /// As [`request`](Self::request), for tests in which a node may be away.
    ///
    /// # Errors
    /// When there was no connection, or it broke before the whole response had come.
    pub async fn try_request(&self, request: Request<Bytes>) -> Result<Answer, String> {
        let said = format!("{} {}", request.method(), request.uri());
        let (mut head, body) = request.into_parts();
        if let Some(cookies) = self.visitor().header() {
            head.headers.insert(COOKIE, cookies);
        }
        let request = Request::from_parts(head, Full::new(body));
        let Some(target) =
            self.targets.get(self.next.fetch_add(1, Ordering::Relaxed) % self.targets.len().max(1))
        else {
            return Err("no node is running".to_owned());
        };
        let whole = async {
            match target {
                Target::Edge(edge) => inside(edge.clone(), request).await,
                Target::Socket(address) => through(*address, request).await,
            }
        };
        let response =
            timeout(PATIENCE, whole).await.map_err(|_| format!("no answer within {PATIENCE:?}"))??;
        let (head, body) = response.into_parts();
        let answer = Answer { request: said, status: head.status, headers: head.headers, body };
        self.visitor().remember(&answer);
        Ok(answer)
    }

    /// A cookie's value.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.visitor().cookies.get(name).cloned()
    }

    /// Forgets all cookies and tokens: a new visitor.
    pub fn forget(&self) {
        *self.visitor() = Visitor::default();
    }

    fn visitor(&self) -> MutexGuard<'_, Visitor> {
        self.visitor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn inside(edge: Edge, mut request: Request<Full<Bytes>>) -> Result<Response<Bytes>, String> {
    request.extensions_mut().insert(Peer(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0)));
    let Ok(response) = edge.oneshot(request).await;
    collected(response).await
}

async fn through(address: SocketAddr, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| format!("{address}: {error}"))?;
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(io).await.map_err(|error| format!("{address}: {error}"))?;
    let exchange = async move {
        let response = sender.send_request(request).await.map_err(|error| format!("{address}: {error}"))?;
        collected(response).await
    };
    // The connection moves only while it is polled, so both go on together. It may end before the exchange has read the
    // last bytes that it handed over.
    tokio::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        ended = connection => match exchange.await {
            Ok(answer) => Ok(answer),
            Err(error) => Err(ended.err().map_or(error, |ended| format!("{address}: {ended}"))),
        },
    }
}

async fn collected<B>(response: Response<B>) -> Result<Response<Bytes>, String>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: std::fmt::Display,
{
    let (head, body) = response.into_parts();
    let body = body.collect().await.map_err(|error| format!("the body broke off: {error}"))?.to_bytes();
    Ok(Response::from_parts(head, body))
}

impl Visitor {
    fn header(&self) -> Option<http::HeaderValue> {
        let text: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (!text.is_empty()).then(|| http::HeaderValue::from_str(&text.join("; ")).ok()).flatten()
    }

    fn remember(&mut self, answer: &Answer) {
        for cookie in answer.headers.get_all(SET_COOKIE).iter().filter_map(|cookie| cookie.to_str().ok()) {
            let mut parts = cookie.split(';').map(str::trim);
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { continue };
            match parts.any(|part| part.eq_ignore_ascii_case("max-age=0")) {
                true => self.cookies.remove(name),
                false => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        if answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html"))
            && let Some(token) = token_in(&answer.text())
        {
            self.token = Some(token);
        }
    }
}

/// The value of the hidden field in the first form that has one.
fn token_in(page: &str) -> Option<String> {
    let field = page.split("<input").find(|input| input.contains(&format!("name=\"{CSRF_FIELD}\"")))?;
    let value = field.split_once("value=\"")?.1;
    Some(value.split_once('"')?.0.to_owned())
}
