//! Reads a table of cases and lives through it, with the time paused.
//!
//! ```text
//! == a name                        a new cache; what follows in brackets changes its settings: [variants=2]
//! @30 GET /a {accept: x}           second 30: this request, with these headers
//!   => [if-none-match: "a"] 200 one {etag: "b"}    what the handler must be asked with, and answers: status, body, headers
//!   ~> 200 two {..}                the same, but nobody waits for it
//!   | 200 one {age: 30} {!etag} burgeon; hit; ttl=1    what goes out: status, body, headers there and not, Cache-Status
//! ```
//!
//! Without `=>` the handler must not be asked. `$(60)` is the date 60 s after the beginning; `-` is an empty body. The handler
//! may also `panic` or `hang`. `@5 !purge tag`, `@5 !expire tag`: what it says.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use burgeon_cache::http::{Cached, Config, ResponseLayer, Responses, Wall};
use burgeon_core::Ctx;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use tokio::time::Instant;
use tower_layer::Layer as _;
use tower_service::Service;

use crate::house::{House, house};

/// Sun, 06 Nov 1994 08:49:37 GMT: the date that HTTP's own documents use.
pub(super) const BEGINNING: i64 = 784_111_777;

pub(super) type Body = UnsyncBoxBody<Bytes, std::io::Error>;
pub(super) type Service_ = Cached<Handler>;

/// What the handler does when it is asked.
pub(super) enum Act {
    Answer(Response<Body>),
    Panic,
    Hang,
}

/// A handler that does what it is told, once each, and notes what it was asked.
#[derive(Clone, Default)]
pub(super) struct Handler(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    acts: VecDeque<Act>,
    asked: Vec<(Method, HeaderMap)>,
}

impl Handler {
    pub(super) fn will(&self, act: Act) {
        self.0.lock().unwrap().acts.push_back(act);
    }

    pub(super) fn answers(&self, status: u16, body: &str, headers: &[(&str, &str)]) {
        self.will(Act::Answer(response(status, Full::from(body.to_owned()), headers)));
    }

    /// What it was asked since the last time.
    pub(super) fn asked(&self) -> Vec<(Method, HeaderMap)> {
        std::mem::take(&mut self.0.lock().unwrap().asked)
    }

    fn left(&self) -> usize {
        self.0.lock().unwrap().acts.len()
    }
}

pub(super) fn response<B>(status: u16, body: B, headers: &[(&str, &str)]) -> Response<Body>
where
    B: http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let mut response = Response::new(body.map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        let name: HeaderName = name.parse().unwrap();
        response.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
    }
    response
}

impl Service<Request<Full<Bytes>>> for Handler {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let act = {
            let mut script = self.0.lock().unwrap();
            script.asked.push((request.method().clone(), request.headers().clone()));
            script.acts.pop_front()
        };
        Box::pin(async move {
            match act {
                Some(Act::Answer(response)) => Ok(response),
                Some(Act::Panic) => panic!("as the table says"),
                Some(Act::Hang) => std::future::pending().await,
                None => Ok(response(500, Full::from("the handler was not to be asked"), &[])),
            }
        })
    }
}

/// A cache around a handler.
pub(super) struct Site {
    pub(super) house: House,
    pub(super) responses: Responses,
    pub(super) handler: Handler,
    pub(super) layer: ResponseLayer,
    pub(super) began: Instant,
}

pub(super) fn site(change: impl FnOnce(&mut Config)) -> Site {
    let house = house();
    let mut config = Config::default();
    change(&mut config);
    let wall = Wall::starting_at(BEGINNING);
    let responses = Responses::with_wall(&house.caches, "it", config, wall).unwrap();
    let layer = responses.layer();
    Site { house, responses, handler: Handler::default(), layer, began: Instant::now() }
}

pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Answered {
    pub(super) fn cache_status(&self) -> String {
        let values = self.headers.get_all("cache-status").iter();
        values.map(|value| value.to_str().unwrap()).collect::<Vec<_>>().join(", ")
    }
}

impl Site {
    pub(super) fn service(&self) -> Service_ {
        self.layer.layer(self.handler.clone())
    }

    pub(super) async fn get(&self, path: &str) -> Answered {
        self.ask(request(&format!("GET {path}"))).await
    }

    pub(super) async fn ask(&self, request: Request<Full<Bytes>>) -> Answered {
        let (parts, body) = self.service().call(request).await.unwrap().into_parts();
        let body = body
            .collect()
            .await
            .map_or_else(|error| format!("broken: {error}").into(), http_body_util::Collected::to_bytes);
        let body = String::from_utf8(body.to_vec()).unwrap();
        Answered { status: parts.status.as_u16(), headers: parts.headers, body }
    }
}

/// `GET /a {accept: x}`.
pub(super) fn request(text: &str) -> Request<Full<Bytes>> {
    let (plain, braces) = braces(text);
    let mut words = plain.split_whitespace();
    let mut request = Request::new(Full::default());
    *request.method_mut() = words.next().unwrap().parse().unwrap();
    *request.uri_mut() = words.next().unwrap().parse().unwrap();
    request.headers_mut().insert("host", HeaderValue::from_static("shop.example"));
    for brace in braces {
        let (name, value) = brace.split_once(": ").unwrap();
        let (name, value): (HeaderName, _) = (name.parse().unwrap(), HeaderValue::from_str(value).unwrap());
        if name == "host" {
            request.headers_mut().insert(name, value);
        } else {
            request.headers_mut().append(name, value);
        }
    }
    if let Some(body) = words.next() {
        *request.body_mut() = Full::from(body.to_owned());
    }
    request
}

/// What stands in braces, and the rest.
fn braces(text: &str) -> (String, Vec<String>) {
    let (mut plain, mut braces, mut rest) = (String::new(), Vec::new(), text);
    while let Some((before, behind)) = rest.split_once('{') {
        let (inside, after) = behind.split_once('}').unwrap();
        plain.push_str(before);
        braces.push(inside.to_owned());
        rest = after;
    }
    plain.push_str(rest);
    (plain, braces)
}

/// Each case: its heading and its steps.
pub(super) fn cases(table: &str) -> impl Iterator<Item = (&str, &str)> {
    table.split("== ").skip(1).map(|case| case.split_once('\n').unwrap())
}

pub(super) async fn check(table: &str) {
    for (heading, steps) in cases(table) {
        let (name, settings) = match heading.split_once('[') {
            Some((name, settings)) => (name.trim(), settings.trim_end().trim_end_matches(']')),
            None => (heading.trim(), ""),
        };
        let site = site(|config| {
            for setting in settings.split(',').map(str::trim).filter(|setting| !setting.is_empty()) {
                set(config, setting);
            }
        });
        // A step goes on until the next one begins.
        for step in steps.split('@').map(str::trim).filter(|step| !step.is_empty()) {
            let step = step.lines().map(str::trim).collect::<Vec<_>>().join(" ");
            site.live(name, &dates(&step)).await;
        }
        assert_eq!(site.handler.left(), 0, "{name}: the handler was to be asked once more");
    }
}

fn set(config: &mut Config, setting: &str) {
    let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
    let seconds = || Duration::from_secs(value.parse().unwrap());
    match name {
        "anonymous" => config.anonymous = true,
        "heuristic" => config.heuristic = value.parse().unwrap(),
        "variants" => config.variants = value.parse().unwrap(),
        "revalidate" => config.stale_while_revalidate = seconds(),
        "if-error" => config.stale_if_error = seconds(),
        "pass" => config.pass = seconds(),
        "ignore" => config.ignored_parameters.push(value.to_owned()),
        "show" => config.shown_tags.push(value.parse().unwrap()),
        "name" => config.name = value.to_owned(),
        other => panic!("no setting {other}"),
    }
}

/// `$(60)` as a date.
fn dates(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("$(") {
        let (seconds, after) = behind.split_once(')').unwrap();
        let at = BEGINNING + seconds.parse::<i64>().unwrap();
        let at = std::time::UNIX_EPOCH + Duration::from_secs(at.unsigned_abs());
        out.push_str(before);
        out.push_str(&httpdate::fmt_http_date(at));
        rest = after;
    }
    out + rest
}

impl Site {
    async fn live(&self, name: &str, step: &str) {
        let (second, rest) = step.split_once(' ').unwrap();
        let at = self.began + Duration::from_secs(second.parse().unwrap());
        tokio::time::advance(at.saturating_duration_since(Instant::now())).await;
        let row = format!("{name}: @{step}");
        if let Some(command) = rest.trim().strip_prefix('!') {
            let ctx = Ctx::background();
            match command.split_once(' ').unwrap() {
                ("purge", tag) => self.responses.invalidate_tag(&ctx, tag).await,
                ("expire", tag) => self.responses.expire_tag(&ctx, tag).await,
                _ => panic!("{row}"),
            }
            return;
        }
        let (doing, expected) = rest.split_once(" | ").unwrap_or_else(|| panic!("no result: {row}"));
        let behind = doing.contains("~>");
        let doing = doing.replace("~>", "=>");
        let mut parts = doing.split("=>");
        let asked = request(parts.next().unwrap());
        let wanted: Vec<Vec<String>> = parts.map(|act| self.script(act)).collect();

        let answered = self.ask(asked).await;
        if behind {
            while self.handler.left() > 0 {
                tokio::task::yield_now().await;
            }
            self.house.landed().await;
        }
        let (plain, headers) = braces(expected);
        let mut words = plain.splitn(3, ' ');
        assert_eq!(answered.status.to_string(), words.next().unwrap(), "{row}\n{}", answered.body);
        let body = words.next().unwrap().trim();
        // What a failure of the cache's own says is not the table's affair.
        if body != "*" {
            assert_eq!(answered.body, if body == "-" { "" } else { body }, "{row}");
        }
        assert_eq!(answered.cache_status(), words.next().unwrap_or_default().trim(), "{row}");
        for header in headers {
            match header.strip_prefix('!') {
                Some(absent) => assert!(!answered.headers.contains_key(absent), "{row}: there is a {absent}"),
                None => {
                    let (name, value) = header.split_once(": ").unwrap();
                    assert_eq!(
                        answered.headers.get(name).map(|value| value.to_str().unwrap()),
                        Some(value),
                        "{row}"
                    );
                }
            }
        }
        let asked = self.handler.asked();
        assert_eq!(asked.len(), wanted.len(), "{row}: how often the handler was asked");
        for ((_, headers), wanted) in asked.iter().zip(wanted) {
            for header in wanted {
                match header.strip_prefix('!') {
                    Some(absent) => assert!(!headers.contains_key(absent), "{row}: asked with {absent}"),
                    None => {
                        let (name, value) = header.split_once(": ").unwrap();
                        let sent = headers.get(name).map(|value| value.to_str().unwrap());
                        assert_eq!(sent, Some(value), "{row}: asked with");
                    }
                }
            }
        }
    }

    /// Tells the handler what to do next; answers what it must be asked with.
    fn script(&self, act: &str) -> Vec<String> {
        let (plain, headers) = braces(act);
        let (mut wanted, mut rest) = (Vec::new(), plain.trim().to_owned());
        while let Some(behind) = rest.strip_prefix('[') {
            let (inside, after) = behind.split_once(']').unwrap();
            wanted.push(inside.to_owned());
            rest = after.trim().to_owned();
        }
        let mut words = rest.split_whitespace();
        match words.next().unwrap() {
            "panic" => self.handler.will(Act::Panic),
            "hang" => self.handler.will(Act::Hang),
            status => {
                let body = words.next().filter(|body| *body != "-").unwrap_or_default();
                let headers: Vec<(&str, &str)> =
                    headers.iter().map(|header| header.split_once(": ").unwrap()).collect();
                self.handler.answers(status.parse().unwrap(), body, &headers);
            }
        }
        wanted
    }
}
