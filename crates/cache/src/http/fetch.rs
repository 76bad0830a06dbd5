//! A request to the handler whose response others may wait for: it runs in a task of the cache's own, so that a client who
//! leaves takes nobody's answer along.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, COOKIE, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE};
use http::request;
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, response};
use tokio::sync::oneshot;
use tokio::time::Instant;

use burgeon_core::{Ctx, Deadline, Result};

use super::body::{Body, gather};
use super::freshness::may_stand_in;
use super::kept::{self, Entry, Kept, What};
use super::key;
use super::layer::{Answers, Asks, Handles, call};
use super::responses::Inside;
use super::storing::{self, Terms, Whose, Why};
use super::tags;
use crate::flight::{Gate, Landed};
use crate::loader::Loading;
use crate::tombstones::Verdict;
use crate::{Load, Loaded};

/// What the one who sent it learns before the others.
pub(super) enum Told<O> {
    /// This response is for nobody else.
    Own(Response<Body<O>>, Why),
    /// This one is kept, as a variant under this key; these fields of it are for this one alone.
    Variant(String, Arc<Entry>, HeaderMap),
    /// What comes is kept without these fields, which are for this one alone.
    Beside(HeaderMap),
    /// The handler failed with this, and there is something stale to stand in.
    Failed(StatusCode),
}

/// The way to the handler and back.
pub(super) struct Errand<S, I, O> {
    inside: Arc<Inside>,
    service: S,
    head: request::Parts,
    whose: Whose,
    primary: String,
    old: Option<Arc<Entry>>,
    tell: Option<oneshot::Sender<Told<O>>>,
    body: PhantomData<fn() -> I>,
}

/// The largest body of a failure that those who waited for it share.
const FAILURE: u64 = 64 * 1024;

impl<S, I, O> Errand<S, I, O>
where
    S: Handles<I, O>,
    I: Asks,
    O: Answers,
{
    pub(super) fn new(
        inside: Arc<Inside>,
        service: S,
        head: &request::Parts,
        whose: Whose,
        primary: String,
        old: Option<Arc<Entry>>,
        tell: Option<oneshot::Sender<Told<O>>>,
    ) -> Self {
        let mut head = head.clone();
        // HEAD is answered from what GET gives, and conditions are the cache's to answer.
        head.method = Method::GET;
        for name in [IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_RANGE] {
            head.headers.remove(name);
        }
        if inside.config.anonymous {
            head.headers.remove(COOKIE);
            head.headers.remove(AUTHORIZATION);
        }
        Self { inside, service, head, whose, primary, old, tell, body: PhantomData }
    }

    /// As a load of the cache.
    pub(super) fn begin(self) -> impl FnOnce(Load, String) -> Loading<Loaded<Entry>> + Send + 'static {
        move |load, key| Box::pin(self.run(load, key))
    }

    async fn run(mut self, load: Load, key: String) -> Result<Loaded<Entry>> {
        let tombstones = self.inside.cache.inner().tombstones.now();
        let old = self.old.take();
        let old = old.as_ref().and_then(|entry| match &entry.0 {
            What::Kept(kept) => Some(kept),
            _ => None,
        });
        let began = Instant::now();
        // What is made for keeping, apart from what else this load may keep: a mark, a list of variants.
        let ctx = load.ctx().lasting();
        let asked = old.is_some_and(|old| old.etag().is_some() || old.last_modified().is_some());
        let (mut parts, mut body) = self.ask(&ctx, old.filter(|_| asked)).await.into_parts();
        let mut confirmed = None;
        if asked && parts.status == StatusCode::NOT_MODIFIED {
            match old.and_then(|old| Some((old, old.confirmed_headers(&parts.headers)?))) {
                Some((old, headers)) => {
                    (parts.status, parts.headers) = (old.status, headers);
                    confirmed = Some(old.body.clone());
                }
                // It confirms something that is not here.
                None => (parts, body) = self.ask(&ctx, None).await.into_parts(),
            }
        }
        if is_failure(parts.status) && old.is_some_and(|old| may_stand_in(old, self.inside.now())) {
            self.tell(Told::Failed(parts.status));
            return Ok(Loaded::Keep);
        }
        let delay = began.elapsed();
        let terms = storing::terms(&self.inside.config, self.whose, &parts, self.inside.wall.now(), delay);
        let mut terms = match terms {
            Ok(terms) => terms,
            Err(why) if is_shared_failure(parts.status, why, self.whose) => {
                return self.failed(&load, parts, body, why).await;
            }
            Err(why) => {
                let body = confirmed.map_or_else(|| Body::through(body), Body::kept);
                return Ok(self.own(&load, parts, body, why));
            }
        };
        let is_confirmed = confirmed.is_some();
        let bytes = match confirmed {
            Some(bytes) => bytes,
            None => {
                let (limit, patience) =
                    (self.inside.config.body_limit.as_bytes(), self.inside.config.body_patience);
                match gather(body, limit, patience).await {
                    Ok(bytes) if !is_cut(&parts, &bytes) => bytes,
                    Ok(bytes) => return Ok(self.own(&load, parts, Body::kept(bytes), Why::Incomplete)),
                    Err((body, why)) => return Ok(self.own(&load, parts, body, why)),
                }
            }
        };
        if let Some(until) = ctx.stale_until() {
            terms.made_of_stale(until, Instant::now().into_std());
        }
        Ok(self.keep(&load, &key, parts, bytes, terms, is_confirmed, tombstones).await)
    }

    async fn ask(&self, ctx: &Ctx, old: Option<&Kept>) -> Response<O> {
        let mut head = self.head.clone();
        // The load's own deadline and position, not those of whoever happened to come first.
        head.extensions.insert(ctx.clone());
        let validators = [
            (IF_NONE_MATCH, old.and_then(Kept::etag)),
            (IF_MODIFIED_SINCE, old.and_then(Kept::last_modified)),
        ];
        for (name, value) in validators {
            if let Some(value) = value {
                head.headers.insert(name, value.clone());
            }
        }
        call(self.service.clone(), Request::from_parts(head, I::default())).await
    }

    /// Keeps it: under this key, or as a variant of its address.
    #[expect(clippy::too_many_arguments, reason = "each is said once, at the end of the way")]
    async fn keep(
        mut self,
        load: &Load,
        key: &str,
        parts: response::Parts,
        body: Bytes,
        terms: Terms,
        confirmed: bool,
        tombstones: u64,
    ) -> Loaded<Entry> {
        let inside = self.inside.clone();
        let mut tags = tags::of(&parts.headers);
        tags.push(key::tag(&self.primary));
        let stay = Stay::under(&terms);
        let mut names = if key == self.primary { Vec::new() } else { inside.varies(&self.primary) };
        let known = names.len();
        names.extend(
            terms.vary.iter().filter(|name| !names.contains(name)).cloned().collect::<Vec<HeaderName>>(),
        );
        let is_known_variant = names.len() == known;
        let variant = key::secondary(&self.primary, &names, &self.head.headers);
        if variant.len() > key::LONGEST {
            return self.own(load, parts, Body::kept(body), Why::Key);
        }
        let own = kept::limited(&parts.headers, &terms.said);
        let entry = Entry(What::Kept(self.kept(parts, body, &terms, confirmed)));
        if is_known_variant {
            tags.iter().for_each(|tag| load.tag(tag));
            stay.tell(load);
            if known > 0 {
                inside.note(load, &self.primary, key);
            }
            if !own.is_empty() {
                self.tell(Told::Beside(own));
            }
            return Loaded::Value(entry);
        }
        // The address is known to differ by more than it was: the response goes to its variant's place, and what all share
        // is how to find it.
        let entry = self.put(load, variant.clone(), entry, tags, stay, tombstones).await;
        let of_address = key::tag(&self.primary);
        self.tell(Told::Variant(variant.clone(), entry, own));
        if key == self.primary {
            load.tag(of_address);
            load.ttl(inside.config.keep);
        } else {
            inside.cache.set_tagged(load, &self.primary, inside.list(names.clone(), &variant), [of_address]);
            load.do_not_keep();
        }
        Loaded::Value(inside.list(names, &variant))
    }

    /// Keeps a variant in a flight of its own, if nothing was purged since the handler was asked.
    async fn put(
        &self,
        load: &Load,
        key: String,
        entry: Entry,
        tags: Vec<String>,
        stay: Stay,
        tombstones: u64,
    ) -> Arc<Entry> {
        let inner = self.inside.cache.inner().clone();
        let hash = inner.hash(key.as_str());
        let hashes: Vec<u64> = tags.iter().map(|tag| crate::tags::hash(tag)).collect();
        let (mut seat, landing) = match inner.board_unless(hash, &key, 0, || None) {
            Gate::Leads(seat, landing) => (seat, landing),
            // Somebody else is bringing this very variant.
            Gate::Joined(_) | Gate::There(_) => return Arc::new(entry),
        };
        let store = inner.clone();
        inner.depart(load, landing, true, move |load, _| {
            Box::pin(async move {
                tags.iter().for_each(|tag| load.tag(tag));
                stay.tell(&load);
                // Asked after this flight has begun: what is purged from now on, it is refused for itself.
                if store.tombstones.verdict(tombstones, &hashes) != Verdict::Alive {
                    load.do_not_keep();
                }
                Ok(Loaded::Value(entry))
            })
        });
        match seat.landed().await {
            Landed::Value { value: Some(entry), .. } => entry,
            _ => Arc::new(Entry(What::Pass)),
        }
    }

    fn kept(&self, parts: response::Parts, body: Bytes, terms: &Terms, confirmed: bool) -> Kept {
        let mut headers = parts.headers;
        kept::clean(&mut headers, &terms.said, &self.inside.config);
        kept::date(&mut headers, self.inside.wall.now());
        Kept {
            status: parts.status,
            headers,
            body,
            born: self.inside.now(),
            initial_age: terms.initial_age,
            lifetime: terms.lifetime,
            behind: terms.behind,
            if_error: terms.if_error,
            always_ask: terms.always_ask,
            strict: terms.strict,
            shared: terms.shared,
            confirmed,
        }
    }

    /// Gives a response to the one who asked, and leaves a mark for those who come, unless they may fare better.
    fn own(&mut self, load: &Load, parts: response::Parts, body: Body<O>, why: Why) -> Loaded<Entry> {
        let is_personal = why.is_of_who_asked();
        if why.is_of_this_request() && !is_personal {
            load.do_not_keep();
        } else {
            load.tag(key::tag(&self.primary));
            load.ttl(self.inside.config.pass);
        }
        self.tell(Told::Own(Response::from_parts(parts, body), why));
        Loaded::Value(Entry(if is_personal { What::Personal } else { What::Pass }))
    }

    /// A failure goes to all who waited for it: a herd on a handler in trouble helps nobody.
    async fn failed(
        mut self,
        load: &Load,
        parts: response::Parts,
        body: O,
        why: Why,
    ) -> Result<Loaded<Entry>> {
        load.do_not_keep();
        let body = match gather(body, FAILURE, self.inside.config.body_patience).await {
            Ok(body) => body,
            Err((body, _)) => {
                self.tell(Told::Own(Response::from_parts(parts, body), why));
                return Ok(Loaded::Value(Entry(What::Pass)));
            }
        };
        let mut headers = parts.headers;
        kept::clean(&mut headers, &Default::default(), &self.inside.config);
        let failed = Kept { status: parts.status, headers, body, ..Kept::of_nothing() };
        Ok(Loaded::Value(Entry(What::Failed(failed))))
    }

    fn tell(&mut self, what: Told<O>) {
        if let Some(tell) = self.tell.take() {
            // Who asked may have left.
            let _ = tell.send(what);
        }
    }
}

/// How long a response stays.
struct Stay {
    fresh: Duration,
    stale_until: Option<Deadline>,
}

impl Stay {
    fn under(terms: &Terms) -> Self {
        let fresh = Duration::from_millis(terms.lifetime.saturating_sub(terms.initial_age).max(1));
        Self { fresh, stale_until: terms.stale_until }
    }

    fn tell(&self, load: &Load) {
        load.ttl(self.fresh);
        if let Some(until) = self.stale_until {
            load.made_of_stale(until);
        }
    }
}

/// For which the stale may stand in (RFC 5861, 4).
fn is_failure(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504)
}

/// A failure that is nobody's own: not somebody's request, and nothing in it that must not be seen by others.
fn is_shared_failure(status: StatusCode, why: Why, whose: Whose) -> bool {
    is_failure(status) && why == Why::NoLifetime && whose == Whose::default()
}

/// Whether the body is not what was announced.
fn is_cut(parts: &response::Parts, body: &Bytes) -> bool {
    let announced =
        parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    announced.is_some_and(|announced| announced != body.len())
}
