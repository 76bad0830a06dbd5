//! The life of a request at the cache.
//!
//! ```text
//!   method changes something ──▶ handler ──▶ succeeded? its address is purged
//!   range, precondition, body ─▶ handler
//!   look ─┬─ fresh ─────────────────────────────▶ served (304 if the client has it)
//!         ├─ stale, may be served meanwhile ────▶ served, one fetch behind it
//!         ├─ stale or nothing ──▶ one fetch, shared by all who ask ─┬─ may be kept ──▶ kept, served to all
//!         │                                                        ├─ 304 ─────────▶ renewed, served to all
//!         │                                                        ├─ failed ──────▶ the stale one, if that is allowed
//!         │                                                        └─ not for others ▶ to whom it is; the others ask alone
//!         └─ known not to be for others ────────▶ handler, nobody waits for anybody
//! ```

use std::sync::Arc;

use burgeon_core::{Ctx, Kind};
use bytes::Bytes;
use http::header::{
    AGE, AUTHORIZATION, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_TYPE, COOKIE, HeaderValue, IF_MATCH,
    IF_UNMODIFIED_SINCE, LOCATION, RANGE, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::body::Body;
use super::conditional;
use super::directives::Directives;
use super::fetch::{Errand, Told};
use super::freshness::{self, State, Use, judge};
use super::kept::{Entry, Kept, What};
use super::key;
use super::layer::{Answers, Asks, Handles, call};
use super::responses::{Found, Inside};
use super::status::{Fwd, Status};
use super::storing::{self, Whose, Why};
use super::tags;
use crate::flight::{Gate, Landed};

/// How often a request may find, after it has waited, that it must look elsewhere: a variant, an overtaken load.
const ROUNDS: usize = 4;

/// A request that may be answered from the cache.
struct Visit<S> {
    inside: Arc<Inside>,
    service: S,
    head: Parts,
    ctx: Ctx,
    asked: Directives,
    whose: Whose,
    primary: String,
    /// Nothing older than this version of the cache will do: the client's own changes are in it.
    least: u64,
}

/// What came of waiting for a fetch.
enum Next<O> {
    Answer(Response<Body<O>>),
    /// It shall look again: something is there now.
    Again,
    /// What came is not for it.
    Alone(Status),
}

/// Answers a request.
pub(super) async fn answer<S, I, O>(inside: Arc<Inside>, service: S, request: Request<I>) -> Response<Body<O>>
where
    S: Handles<I, O>,
    I: Asks,
    O: Answers,
{
    let ctx = request.extensions().get::<Ctx>().cloned().unwrap_or_else(Ctx::background);
    if !inside.cache.inner().config.enabled {
        let response = call(service, request).await;
        return through(&inside, response, &Status::forwarded(Fwd::Bypass).detail("off"));
    }
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    if !is_read {
        return change(&inside, service, request, &ctx).await;
    }
    if let Some(why) = aside(&request) {
        inside.answers.passed.increment();
        let response = call(service, request).await;
        return through(&inside, response, &Status::forwarded(Fwd::Bypass).detail(why));
    }
    let (head, body) = request.into_parts();
    let primary = key::primary(&inside.config, &head.uri, &head.headers, ctx.tenant());
    let asked = Directives::of_request(&head.headers);
    let whose = whose(&inside, &head.headers, &ctx);
    let least = inside.cache.inner().least(&ctx).await;
    let visit = Visit { inside, service, head, ctx, asked, whose, primary, least };
    visit.answer(body).await
}

/// A request that may change what is kept.
async fn change<S, I, O>(inside: &Inside, service: S, request: Request<I>, ctx: &Ctx) -> Response<Body<O>>
where
    S: Handles<I, O>,
    I: Asks,
    O: Answers,
{
    inside.answers.passed.increment();
    let is_safe = request.method().is_safe();
    let (uri, headers) = (request.uri().clone(), request.headers().clone());
    let response = call(service, request).await;
    let succeeded = response.status().is_success() || response.status().is_redirection();
    if !is_safe && succeeded {
        let config = &inside.config;
        inside.forget(ctx, &key::primary(config, &uri, &headers, ctx.tenant()));
        for name in [LOCATION, CONTENT_LOCATION] {
            let address = response.headers().get(name).and_then(|value| value.to_str().ok());
            let named = address.and_then(|address| key::named(config, &uri, &headers, ctx.tenant(), address));
            if let Some(primary) = named {
                inside.forget(ctx, &primary);
            }
        }
    }
    through(inside, response, &Status::forwarded(Fwd::Method))
}

/// Why a request is none for a cache that keeps whole responses.
fn aside<I: Asks>(request: &Request<I>) -> Option<&'static str> {
    let has = |name| request.headers().contains_key(name);
    match () {
        () if has(RANGE) => Some("range"),
        () if has(IF_MATCH) || has(IF_UNMODIFIED_SINCE) => Some("precondition"),
        () if has(UPGRADE) => Some("upgrade"),
        // What a GET's body means, no cache knows.
        () if !request.body().is_end_stream() => Some("body"),
        () => None,
    }
}

/// Whether a request is somebody's.
fn whose(inside: &Inside, headers: &HeaderMap, ctx: &Ctx) -> Whose {
    let config = &inside.config;
    if config.anonymous {
        return Whose::default();
    }
    let personal = |pair: &str| {
        let name = pair.split('=').next().unwrap_or_default().trim();
        !name.is_empty() && !config.harmless_cookies.iter().any(|harmless| harmless == name)
    };
    let cookies = headers.get_all(COOKIE).iter().any(|list| match list.to_str() {
        Ok(list) => list.split(';').any(personal),
        Err(_) => true,
    });
    // Whoever was recognised before it came here, by whatever it showed.
    let authorized = headers.contains_key(AUTHORIZATION) || ctx.principal().is_some();
    Whose { cookies, authorized }
}

impl<S> Visit<S> {
    async fn answer<I, O>(self, body: I) -> Response<Body<O>>
    where
        S: Handles<I, O>,
        I: Asks,
        O: Answers,
    {
        // Why it had to wait, once it has, and whether for somebody else's fetch.
        let mut waited: Option<(Fwd, bool)> = None;
        let mut fwd = Fwd::UriMiss;
        for _ in 0..ROUNDS {
            let found = self.inside.find(&self.primary, &self.head.headers, self.least);
            if found.key.len() > key::LONGEST {
                return self.alone(body, Status::forwarded(Fwd::Bypass).because(Why::Key), None).await;
            }
            fwd = waited.map_or(found.fwd, |(fwd, _)| fwd);
            if let Some((entry, state)) = &found.entry {
                match &entry.0 {
                    What::Pass => {
                        let status = match waited {
                            Some((fwd, joined)) => {
                                Status { collapsed: joined.then_some(false), ..Status::forwarded(fwd) }
                            }
                            None => Status::forwarded(fwd).detail("hit-for-miss"),
                        };
                        return self.alone(body, status, Some(&found.key)).await;
                    }
                    // Somebody's request need not wait for another's, which would not help it.
                    What::Personal if self.whose != Whose::default() => {
                        let why = if self.whose.authorized { Why::Authorization } else { Why::Cookie };
                        let status = Status::forwarded(fwd).because(why);
                        return self.alone(body, status, Some(&found.key)).await;
                    }
                    What::Kept(kept) => {
                        if let Some(why) = self.keeps_from(kept) {
                            let status = Status::forwarded(Fwd::Request).because(why);
                            return self.alone(body, status, None).await;
                        }
                        let now = self.inside.now();
                        let ttl = ttl(kept, *state, now);
                        let used = judge(kept, *state, now, &self.asked);
                        if let (Use::Serve | Use::ServeAndFetch, Some((fwd, joined))) = (used, waited) {
                            let status = self.status_of_fetched(fwd, joined, &found.key, entry, kept);
                            return self.serve(kept, &status, joined);
                        }
                        match used {
                            Use::Serve => {
                                let fresh = freshness::is_fresh(kept, *state, now);
                                let answers = &self.inside.answers;
                                (if fresh { &answers.hit } else { &answers.stale }).increment();
                                self.inside.cache.inner().meters.hits.increment();
                                return self.serve(kept, &Status::hit(ttl), true);
                            }
                            Use::ServeAndFetch => {
                                self.inside.answers.stale.increment();
                                self.fetch_behind::<I, O>(&found);
                                let status = Status::hit(ttl).detail("stale-while-revalidate");
                                return self.serve(kept, &status, true);
                            }
                            Use::ServeAfterFailure => {
                                self.inside.answers.stale.increment();
                                return self.serve(kept, &Status::hit(ttl).detail("stale-if-error"), true);
                            }
                            Use::Stale => fwd = waited.map_or(Fwd::Stale, |(fwd, _)| fwd),
                            Use::Refused => fwd = waited.map_or(Fwd::Request, |(fwd, _)| fwd),
                        }
                    }
                    What::Personal | What::Varies(_) | What::Failed(_) => {}
                }
            }
            if self.asked.only_if_cached {
                self.inside.answers.refused.increment();
                return self.refuse(StatusCode::GATEWAY_TIMEOUT, &Status::said("only-if-cached"));
            }
            if self.asked.no_store {
                return self.alone(body, Status::forwarded(fwd).because(Why::Request), None).await;
            }
            let mut joined = false;
            match self.fetch::<I, O>(&found, fwd, &mut joined).await {
                Next::Answer(response) => return response,
                Next::Alone(status) => return self.alone(body, status, None).await,
                Next::Again => waited = Some((fwd, joined)),
            }
        }
        self.alone(body, Status { collapsed: Some(false), ..Status::forwarded(fwd) }, None).await
    }

    /// Why this response is not for this request, though the address is the same.
    fn keeps_from(&self, kept: &Kept) -> Option<Why> {
        match () {
            () if self.whose.authorized && !kept.shared.authorized => Some(Why::Authorization),
            () if self.whose.cookies && !kept.shared.with_cookies => Some(Why::Cookie),
            () => None,
        }
    }

    /// Waits for a fetch: somebody else's, or its own.
    async fn fetch<I, O>(&self, found: &Found, fwd: Fwd, joined: &mut bool) -> Next<O>
    where
        S: Handles<I, O>,
        I: Asks,
        O: Answers,
    {
        let inner = self.inside.cache.inner();
        inner.meters.misses.increment();
        let until = inner.until(&self.ctx, Instant::now());
        let (old, state) = match &found.entry {
            Some((entry, state)) => (Some(entry.clone()), *state),
            None => (None, State::Sound),
        };
        let status = Status::forwarded(fwd);
        let (mut seat, told) = match self.board(found) {
            Gate::There(_) => return Next::Again,
            Gate::Joined(seat) => {
                *joined = true;
                inner.meters.joined.increment();
                (seat, None)
            }
            Gate::Leads(seat, landing) => {
                let (tell, told) = oneshot::channel();
                let errand = self.errand::<I, O>(found, Some(tell));
                inner.depart(&self.ctx, landing, true, errand.begin());
                (seat, Some(told))
            }
        };
        let (mut fwd_status, mut own) = (None, HeaderMap::new());
        if let Some(told) = told {
            match timeout_at(until, told).await {
                Ok(Ok(Told::Own(response, why))) => return Next::Answer(self.own(response, fwd, why)),
                Ok(Ok(Told::Variant(key, entry, own))) => {
                    if let What::Kept(kept) = &entry.0 {
                        let status = self.status_of_fetched(fwd, false, &key, &entry, kept);
                        return Next::Answer(with(self.serve(kept, &status, false), &own));
                    }
                }
                Ok(Ok(Told::Beside(fields))) => own = fields,
                Ok(Ok(Told::Failed(status))) => fwd_status = Some(status),
                // It has nothing to say to the first alone.
                Ok(Err(_)) => {}
                Err(_) => return Next::Answer(self.without_answer(old.as_ref(), fwd, Kind::Deadline)),
            }
        }
        let landed = match timeout_at(until, seat.landed()).await {
            Ok(landed) => landed,
            Err(_) => return Next::Answer(self.without_answer(old.as_ref(), fwd, Kind::Deadline)),
        };
        match landed {
            Landed::Abandoned => Next::Again,
            Landed::Failed(shared) => {
                let kind = shared.into_error().kind();
                Next::Answer(self.without_answer(old.as_ref(), fwd, kind))
            }
            Landed::Value { value, tags, stale } => {
                // Made of something stale it may be older than what this client has done, unless it was made for him.
                let is_old = stale.is_some() && self.least > 0;
                if *joined && (is_old || seat.was_late(inner.tombstones.latest(&tags))) {
                    return Next::Again;
                }
                let alone = Next::Alone(Status { collapsed: joined.then_some(false), ..status.clone() });
                let Some(entry) = value else { return alone };
                let kept = match &entry.0 {
                    What::Varies(_) => return Next::Again,
                    // Whoever is nobody in particular has learnt nothing from somebody's own.
                    What::Personal if self.whose == Whose::default() => return Next::Again,
                    What::Pass | What::Personal => return alone,
                    What::Failed(kept) => {
                        self.count_fetched(*joined, kept);
                        let status = Status { collapsed: joined.then_some(true), ..status };
                        return Next::Answer(self.serve(kept, &status, false));
                    }
                    What::Kept(kept) => kept,
                };
                if self.keeps_from(kept).is_some() {
                    return alone;
                }
                let now = self.inside.now();
                // The fetch failed, and left what was there before.
                if old.as_ref().is_some_and(|old| Arc::ptr_eq(old, &entry)) {
                    self.inside.answers.stale.increment();
                    let status = Status {
                        fwd_status,
                        collapsed: joined.then_some(true),
                        ttl: Some(ttl(kept, state, now)),
                        ..status.detail("stale-if-error")
                    };
                    return Next::Answer(self.serve(kept, &status, true));
                }
                // What must be confirmed at each use was confirmed for another one's.
                let unasked = Directives::default();
                if *joined
                    && !matches!(judge(kept, State::Sound, now, &unasked), Use::Serve | Use::ServeAndFetch)
                {
                    return alone;
                }
                let status = self.status_of_fetched(fwd, *joined, &found.key, &entry, kept);
                Next::Answer(with(self.serve(kept, &status, *joined), &own))
            }
        }
    }

    /// A place on the fetch for this key; in charge of it, if there was none and nothing has come meanwhile.
    fn board(&self, found: &Found) -> Gate<String, Entry> {
        let inner = self.inside.cache.inner();
        inner.board_unless(inner.hash(found.key.as_str()), &found.key, self.least, || {
            let (there, _) = self.inside.look(&found.key, self.least)?;
            let known = found.entry.as_ref().is_some_and(|(entry, _)| Arc::ptr_eq(entry, &there));
            (!known).then_some((Some(there), None))
        })
    }

    /// A fetch that nobody waits for, unless one is under way.
    fn fetch_behind<I, O>(&self, found: &Found)
    where
        S: Handles<I, O>,
        I: Asks,
        O: Answers,
    {
        if let Gate::Leads(_, landing) = self.board(found) {
            let errand = self.errand::<I, O>(found, None);
            self.inside.cache.inner().depart(&self.ctx, landing, true, errand.begin());
        }
    }

    fn errand<I, O>(&self, found: &Found, tell: Option<oneshot::Sender<Told<O>>>) -> Errand<S, I, O>
    where
        S: Handles<I, O>,
        I: Asks,
        O: Answers,
    {
        Errand::new(
            self.inside.clone(),
            self.service.clone(),
            &self.head,
            self.whose,
            self.primary.clone(),
            found.entry.as_ref().map(|(entry, _)| entry.clone()),
            tell,
        )
    }

    /// Asks the handler for this request alone. If `marked`, the address was known to answer with what is not for others:
    /// an answer that is ends that.
    async fn alone<I, O>(self, body: I, status: Status, marked: Option<&str>) -> Response<Body<O>>
    where
        S: Handles<I, O>,
        I: Asks,
        O: Answers,
    {
        self.inside.answers.passed.increment();
        let Self { inside, service, head, ctx, whose, .. } = self;
        let began = Instant::now();
        let (parts, body) = call(service, Request::from_parts(head, body)).await.into_parts();
        if let Some(key) = marked
            && storing::terms(&inside.config, whose, &parts, inside.wall.now(), began.elapsed()).is_ok()
        {
            inside.cache.invalidate(&ctx, key);
        }
        through(&inside, Response::from_parts(parts, body), &status)
    }

    /// What is kept, as this request wants it. `told_age`: it was not made for this request.
    fn serve<O>(&self, kept: &Kept, status: &Status, tell_age: bool) -> Response<Body<O>> {
        let known = conditional::is_known(&self.head.headers, kept.status, &kept.headers);
        let mut response = Response::new(Body::kept(Bytes::new()));
        if known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            *response.headers_mut() = kept.headers_of_304();
        } else {
            *response.status_mut() = kept.status;
            *response.headers_mut() = kept.headers.clone();
            if self.head.method == Method::HEAD {
                let length = HeaderValue::from(kept.body.len());
                response.headers_mut().entry(CONTENT_LENGTH).or_insert(length);
            } else {
                *response.body_mut() = Body::kept(kept.body.clone());
            }
        }
        let headers = response.headers_mut();
        let age = kept.age(self.inside.now()) / 1_000;
        if tell_age || age > 0 && !kept.confirmed {
            headers.insert(AGE, HeaderValue::from(age));
        }
        let mut status = status.clone();
        if known && status.fwd.is_some() {
            status.fwd_status.get_or_insert(kept.status);
        }
        status.tell(&self.inside.config.name, headers);
        response
    }

    /// What came for this request and cannot be kept.
    fn own<O: Answers>(&self, response: Response<Body<O>>, fwd: Fwd, why: Why) -> Response<Body<O>> {
        self.inside.answers.fetched.increment();
        let (mut parts, mut body) = response.into_parts();
        let mut status = Status::forwarded(fwd).because(why);
        if conditional::is_known(&self.head.headers, parts.status, &parts.headers) {
            status.fwd_status = Some(parts.status);
            parts.status = StatusCode::NOT_MODIFIED;
            parts.headers.remove(CONTENT_LENGTH);
            body = Body::kept(Bytes::new());
        } else if self.head.method == Method::HEAD {
            if let Some(length) = http_body::Body::size_hint(&body).exact() {
                parts.headers.entry(CONTENT_LENGTH).or_insert(HeaderValue::from(length));
            }
            body = Body::kept(Bytes::new());
        }
        tags::hide(&mut parts.headers, &self.inside.config);
        status.tell(&self.inside.config.name, &mut parts.headers);
        Response::from_parts(parts, body)
    }

    fn status_of_fetched(
        &self,
        fwd: Fwd,
        joined: bool,
        key: &str,
        entry: &Arc<Entry>,
        kept: &Kept,
    ) -> Status {
        self.count_fetched(joined, kept);
        Status {
            fwd_status: kept.confirmed.then_some(StatusCode::NOT_MODIFIED),
            collapsed: joined.then_some(true),
            stored: self.inside.holds(key, entry),
            ..Status::forwarded(fwd)
        }
    }

    fn count_fetched(&self, joined: bool, kept: &Kept) {
        let answers = &self.inside.answers;
        let counter = match (joined, kept.confirmed) {
            (true, _) => &answers.collapsed,
            (false, true) => &answers.confirmed,
            (false, false) => &answers.fetched,
        };
        counter.increment();
    }

    /// The handler broke, or did not answer in time: what is stale, if it may stand in for that.
    fn without_answer<O>(&self, old: Option<&Arc<Entry>>, fwd: Fwd, kind: Kind) -> Response<Body<O>> {
        let now = self.inside.now();
        if let Some(entry) = old
            && let What::Kept(kept) = &entry.0
            && freshness::may_stand_in(kept, now)
            // Looked up again: it may have been purged while we waited.
            && self.inside.find(&self.primary, &self.head.headers, self.least).entry.is_some_and(|(now, _)| Arc::ptr_eq(&now, entry))
        {
            self.inside.answers.stale.increment();
            let ttl = Some(ttl(kept, State::JustFailed, now));
            let status = Status { ttl, ..Status::forwarded(fwd).detail("stale-if-error") };
            return self.serve(kept, &status, true);
        }
        self.inside.answers.refused.increment();
        match kind {
            Kind::Deadline => {
                self.refuse(StatusCode::GATEWAY_TIMEOUT, &Status::forwarded(fwd).detail("timeout"))
            }
            _ => self.refuse(StatusCode::INTERNAL_SERVER_ERROR, &Status::forwarded(fwd).detail("broken")),
        }
    }

    /// An answer of the cache's own (RFC 9457).
    fn refuse<O>(&self, code: StatusCode, status: &Status) -> Response<Body<O>> {
        let title = code.canonical_reason().unwrap_or_default();
        let text = format!("{{\"type\":\"about:blank\",\"title\":\"{title}\",\"status\":{}}}", code.as_u16());
        let body = if self.head.method == Method::HEAD { Bytes::new() } else { Bytes::from(text) };
        let mut response = Response::new(Body::kept(body));
        *response.status_mut() = code;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, const { HeaderValue::from_static("application/problem+json") });
        status.tell(&self.inside.config.name, headers);
        response
    }
}

/// What is left of its freshness, to be told: none where it was expired before its time.
fn ttl(kept: &Kept, state: State, now: u64) -> i64 {
    match state {
        State::Expired | State::InDoubt => kept.ttl(now).min(0),
        State::Sound | State::JustFailed => kept.ttl(now),
    }
}

/// The response with these fields, which were not kept.
fn with<O>(mut response: Response<Body<O>>, own: &HeaderMap) -> Response<Body<O>> {
    for (name, value) in own {
        response.headers_mut().append(name, value.clone());
    }
    response
}

/// The handler's response as it is.
fn through<O: Answers>(inside: &Inside, response: Response<O>, status: &Status) -> Response<Body<O>> {
    let mut response = response.map(Body::through);
    tags::hide(response.headers_mut(), &inside.config);
    status.tell(&inside.config.name, response.headers_mut());
    response
}
