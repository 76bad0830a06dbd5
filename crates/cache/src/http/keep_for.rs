//! What a handler says of its response, in headers.

use std::fmt;
use std::time::Duration;

use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderValue};

use super::directives::TARGETS;
use super::tags::SURROGATE_KEY;

/// How long a response is kept by the response cache, in the words that it understands: headers for a reply.
///
/// Browsers are told to ask each time (`Cache-Control: private, no-cache`), unless [`browsers`](Self::browsers) says
/// otherwise: what they keep, no purge reaches.
///
/// ```
/// use std::time::Duration;
/// use burgeon_cache::http::KeepFor;
///
/// let headers = KeepFor::new(Duration::from_secs(30))
///     .revalidate(Duration::from_secs(300))
///     .tag("catalog")
///     .headers();
/// assert_eq!(headers["burgeon-cache-control"], "max-age=30, stale-while-revalidate=300");
/// assert_eq!(headers["surrogate-key"], "catalog");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "give its `headers` to the reply"]
pub struct KeepFor {
    fresh: Duration,
    revalidate: Option<Duration>,
    if_error: Option<Duration>,
    public: bool,
    browsers: Option<Duration>,
    tags: Vec<String>,
}

impl KeepFor {
    /// Fresh for so long; whole seconds.
    pub fn new(fresh: Duration) -> Self {
        Self { fresh, revalidate: None, if_error: None, public: false, browsers: None, tags: Vec::new() }
    }

    /// Served for so long after that, while a new one is fetched behind.
    pub fn revalidate(mut self, time: Duration) -> Self {
        self.revalidate = Some(time);
        self
    }

    /// Served for so long after that, when no new one can be had.
    pub fn if_error(mut self, time: Duration) -> Self {
        self.if_error = Some(time);
        self
    }

    /// The same for everybody, whatever cookies or credentials they come with. Say it only of a response that looks at neither.
    pub fn public(mut self) -> Self {
        self.public = true;
        self
    }

    /// Browsers, and caches on the way, may keep it for so long. No purge reaches what they keep.
    pub fn browsers(mut self, time: Duration) -> Self {
        self.browsers = Some(time);
        self
    }

    /// Under this tag: no spaces in it.
    pub fn tag(mut self, tag: impl fmt::Display) -> Self {
        self.tags.push(tag.to_string());
        self
    }

    /// Under these tags.
    pub fn tags<T: fmt::Display>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.tags.extend(tags.into_iter().map(|tag| tag.to_string()));
        self
    }

    /// As headers.
    pub fn headers(&self) -> HeaderMap {
        let mut own = format!("max-age={}", self.fresh.as_secs());
        for (name, time) in [("stale-while-revalidate", self.revalidate), ("stale-if-error", self.if_error)] {
            if let Some(time) = time {
                own.push_str(&format!(", {name}={}", time.as_secs()));
            }
        }
        if self.public {
            own.push_str(", public");
        }
        let others = match (self.browsers, self.public) {
            (None, _) => "private, no-cache".to_owned(),
            (Some(time), false) => format!("private, max-age={}", time.as_secs()),
            (Some(time), true) => format!("public, max-age={}", time.as_secs()),
        };
        let mut headers = HeaderMap::new();
        for (name, value) in
            [(TARGETS[0].clone(), own), (CACHE_CONTROL, others), (SURROGATE_KEY, self.tags.join(" "))]
        {
            // A tag that cannot stand in a header tags nothing, and then nothing is kept that could not be purged.
            match HeaderValue::from_str(&value) {
                Ok(value) if !value.is_empty() => {
                    headers.insert(name, value);
                }
                Ok(_) => {}
                Err(_) => {
                    headers.remove(&TARGETS[0]);
                }
            }
        }
        headers
    }
}
