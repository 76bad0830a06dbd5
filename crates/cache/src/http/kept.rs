//! What lies in the cache under a key.

use std::collections::VecDeque;
use std::sync::Mutex;

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_RANGE, DATE, ETAG,
    EXPIRES, LAST_MODIFIED, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
    VARY,
};
use http::{HeaderMap, HeaderName, StatusCode};

use super::config::Config;
use super::directives::{Directives, Of, TARGETS};
use super::tags;
use super::wall;
use crate::sync::hold;

/// What a [`Responses`](super::Responses) keeps under a key: its affair alone.
#[derive(Debug)]
pub struct Entry(pub(super) What);

/// An entry.
#[derive(Debug)]
pub(super) enum What {
    /// A response.
    Kept(Kept),
    /// The responses at this address differ by these fields: look again with their values.
    Varies(Varies),
    /// What this address answers is not for others: do not wait for each other ("hit for miss").
    Pass,
    /// What this address answers to somebody is for him alone; what it answers to anybody is not known yet.
    Personal,
    /// A failure that those who waited for it share. Never kept.
    Failed(Kept),
}

/// A response, and what is known of its life. Times are the cache's milliseconds.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) status: StatusCode,
    /// As they go out, without what is not for others.
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// When it came.
    pub(super) born: u64,
    /// How old it was then.
    pub(super) initial_age: u64,
    /// How long it is fresh, from an age of zero on.
    pub(super) lifetime: u64,
    /// How long beyond that it may be served while a new one is fetched.
    pub(super) behind: u64,
    /// How long beyond that it may be served when no new one can be had.
    pub(super) if_error: u64,
    /// Every use is to be confirmed.
    pub(super) always_ask: bool,
    /// It must not be served stale: on nobody's wish, or not on a client's.
    pub(super) strict: Strict,
    /// Whether it says that others may have it though the request was somebody's.
    pub(super) shared: Shared,
    /// The handler has confirmed it with a 304.
    pub(super) confirmed: bool,
}

/// When a stale response must not be served (RFC 9111, 4.2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Strict {
    No,
    /// `s-maxage` has the force of `proxy-revalidate` for everything that the response does not itself allow.
    UnlessItSaysSo,
    /// `must-revalidate`, `proxy-revalidate`.
    Never,
}

/// Whom it may be given to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shared {
    /// To whoever has cookies: `public` or `s-maxage`.
    pub(super) with_cookies: bool,
    /// To whoever shows credentials: these, or `must-revalidate` (RFC 9111, 3.5).
    pub(super) authorized: bool,
}

/// By what the responses of an address differ, and which variants were seen.
#[derive(Debug)]
pub(super) struct Varies {
    pub(super) names: Vec<HeaderName>,
    // Not a tokio mutex: nothing awaits under it. Oldest first.
    seen: Mutex<VecDeque<String>>,
}

impl Varies {
    pub(super) fn by(names: Vec<HeaderName>) -> Self {
        Self { names, seen: Mutex::default() }
    }

    /// Whether this variant was kept since the address is known.
    pub(super) fn has_seen(&self, secondary: &str) -> bool {
        hold(&self.seen).iter().any(|seen| seen == secondary)
    }

    /// One more variant. Answers which one has to leave for it.
    pub(super) fn see(&self, secondary: &str, most: usize) -> Option<String> {
        let mut seen = hold(&self.seen);
        if seen.iter().any(|known| known == secondary) {
            return None;
        }
        seen.push_back(secondary.to_owned());
        if seen.len() > most { seen.pop_front() } else { None }
    }
}

impl Kept {
    /// What is never kept has no life.
    pub(super) fn of_nothing() -> Self {
        Self {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            born: 0,
            initial_age: 0,
            lifetime: 0,
            behind: 0,
            if_error: 0,
            always_ask: true,
            strict: Strict::Never,
            shared: Shared { with_cookies: false, authorized: false },
            confirmed: false,
        }
    }

    /// Its age (RFC 9111, 4.2.3).
    pub(super) fn age(&self, now: u64) -> u64 {
        self.initial_age.saturating_add(now.saturating_sub(self.born))
    }

    /// What is left of its freshness in whole seconds; negative by how long it is stale.
    pub(super) fn ttl(&self, now: u64) -> i64 {
        let seconds = |millis: u64| i64::try_from(millis / 1_000).unwrap_or(i64::MAX);
        seconds(self.lifetime).saturating_sub(seconds(self.age(now)))
    }

    pub(super) fn etag(&self) -> Option<&http::HeaderValue> {
        self.headers.get(ETAG)
    }

    pub(super) fn last_modified(&self) -> Option<&http::HeaderValue> {
        self.headers.get(LAST_MODIFIED)
    }

    /// Its headers after the handler has confirmed it with `newer` (RFC 9111, 3.2); `None` when that confirms another one.
    pub(super) fn confirmed_headers(&self, newer: &HeaderMap) -> Option<HeaderMap> {
        if !self.is_meant(newer) {
            return None;
        }
        let mut headers = self.headers.clone();
        let replaced = |name: &HeaderName| ![CONTENT_LENGTH, CONTENT_ENCODING, CONTENT_RANGE].contains(name);
        for name in newer.keys().filter(|name| replaced(name)) {
            headers.remove(name);
        }
        for (name, value) in newer.iter().filter(|(name, _)| replaced(name)) {
            headers.append(name, value.clone());
        }
        if !newer.contains_key(DATE) {
            headers.remove(DATE);
        }
        Some(headers)
    }

    /// Whether a 304 with these headers is about this response (RFC 9111, 4.3.4). One that names nothing is: it was asked about this one
    /// alone.
    fn is_meant(&self, newer: &HeaderMap) -> bool {
        match (newer.get(ETAG), newer.get(LAST_MODIFIED)) {
            // A strong one is the same to the last byte.
            (Some(theirs), _) if !is_weak(theirs.as_bytes()) => {
                self.etag().is_some_and(|ours| ours.as_bytes().trim_ascii() == theirs.as_bytes().trim_ascii())
            }
            (Some(theirs), _) if self.etag().is_some() => {
                self.etag().is_some_and(|ours| opaque(ours.as_bytes()) == opaque(theirs.as_bytes()))
            }
            (_, Some(theirs)) => self
                .last_modified()
                .is_some_and(|ours| ours == theirs || wall::parse(ours) == wall::parse(theirs)),
            (theirs, None) => theirs.is_none(),
        }
    }

    /// The headers of a 304 in its place.
    pub(super) fn headers_of_304(&self) -> HeaderMap {
        let told = [CACHE_CONTROL, CONTENT_LOCATION, DATE, ETAG, EXPIRES, VARY, LAST_MODIFIED];
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            if told.contains(name) || TARGETS.contains(name) {
                headers.append(name, value.clone());
            }
        }
        headers
    }

    fn weight(&self) -> u64 {
        let fields: usize =
            self.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 64).sum();
        (self.body.len() + fields) as u64
    }
}

impl What {
    /// What it weighs beside its key.
    pub(super) fn weight(&self) -> u64 {
        match self {
            What::Kept(kept) | What::Failed(kept) => kept.weight(),
            // The keys of its variants come later; what they are likely to take is counted at once.
            What::Varies(varies) => 1_024 + varies.names.len() as u64 * 32,
            What::Pass | What::Personal => 0,
        }
    }
}

fn is_weak(etag: &[u8]) -> bool {
    etag.trim_ascii().starts_with(b"W/")
}

/// An entity tag without its weakness: weak comparison compares these (RFC 9110, 8.8.3.2).
pub(super) fn opaque(etag: &[u8]) -> &[u8] {
    let etag = etag.trim_ascii();
    etag.strip_prefix(b"W/").unwrap_or(etag)
}

/// The fields that are for the one who asked alone: named by `private` or `no-cache`.
pub(super) fn limited(headers: &HeaderMap, said: &Directives) -> HeaderMap {
    let mut own = HeaderMap::new();
    for (name, value) in headers {
        if names_limited(said).any(|limited| limited == name) {
            own.append(name, value.clone());
        }
    }
    own
}

fn names_limited(said: &Directives) -> impl Iterator<Item = &HeaderName> {
    let limited = [&said.private, &said.no_cache].into_iter().filter_map(|of| match of {
        Some(Of::Fields(names)) => Some(names),
        _ => None,
    });
    limited.flatten()
}

/// Leaves out what is for this connection alone, what is ours to read, and what the response says is not for others.
pub(super) fn clean(headers: &mut HeaderMap, said: &Directives, config: &Config) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let of_hop = [
        CONNECTION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        const { HeaderName::from_static("keep-alive") },
        const { HeaderName::from_static("proxy-connection") },
        const { HeaderName::from_static("proxy-authentication-info") },
        http::header::AGE,
    ];
    for name in of_hop.iter().chain(&named).chain(names_limited(said)) {
        headers.remove(name);
    }
    tags::hide(headers, config);
}

/// The date that a response without one came at: whoever keeps it writes it down (RFC 9110, 6.6.1).
pub(super) fn date(headers: &mut HeaderMap, now: i64) {
    if !headers.contains_key(DATE)
        && let Some(value) = wall::write(now)
    {
        headers.insert(DATE, value);
    }
}
