//! A cache of HTTP responses: what is looked up, kept and purged.

use std::fmt;
use std::sync::Arc;

use burgeon_core::units::{Size, format_duration};
use burgeon_core::{Ctx, Error, Result};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use super::config::Config;
use super::freshness::State;
use super::kept::{Entry, Varies, What};
use super::key;
use super::layer::ResponseLayer;
use super::meters::Answers;
use super::status::Fwd;
use super::wall::Wall;
use crate::stored::Look;
use crate::{Cache, Caches, Invalidation};

/// A cache of whole responses. Cloning shares it; its [`layer`](Self::layer) goes around whatever answers requests.
///
/// What is kept, and for how long, each response says: see [`KeepFor`](super::KeepFor) for the words. Several routes may
/// share one; a route that changes something (POST, PUT, PATCH, DELETE) behind the same one purges its own address.
///
/// Purging is the cache's own invalidation: [`invalidate_tag`](Self::invalidate_tag) and
/// [`expire_tag`](Self::expire_tag) here, and after a commit with [`InvalidateOnCommit`](crate::InvalidateOnCommit) on
/// [`cache`](Self::cache).
#[derive(Clone)]
pub struct Responses(Arc<Inside>);

pub(super) struct Inside {
    pub(super) config: Config,
    pub(super) cache: Cache<String, Entry>,
    pub(super) wall: Wall,
    pub(super) answers: Answers,
}

/// What there is for a request.
pub(super) struct Found {
    /// Where it lies, or shall lie.
    pub(super) key: String,
    pub(super) entry: Option<(Arc<Entry>, State)>,
    /// Why the request would have to go on.
    pub(super) fwd: Fwd,
}

impl Responses {
    /// A cache of this name among `caches`.
    ///
    /// # Errors
    /// [`Kind::Invalid`](burgeon_core::Kind::Invalid) when the configuration makes no sense.
    ///
    /// # Panics
    /// When there is a cache of this name already: a defect, found at start.
    #[track_caller]
    pub fn new(caches: &Caches, name: impl Into<String>, config: Config) -> Result<Self> {
        Self::with_wall(caches, name, config, Wall::system())
    }

    /// As [`new`](Self::new), with another calendar.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    ///
    /// # Panics
    /// As [`new`](Self::new).
    #[track_caller]
    pub fn with_wall(caches: &Caches, name: impl Into<String>, config: Config, wall: Wall) -> Result<Self> {
        let name = name.into();
        config.validate().map_err(|why| Error::invalid(format!("the response cache `{name}`: {why}")))?;
        let answers = Answers::new(caches.meters(), &name);
        let settings = config.clone();
        let cache = caches
            .named::<String, Entry>(name)
            .of_responses()
            .bytes(config.size, |key, entry| key.len() as u64 + entry.0.weight())
            .with(move |own| {
                own.ttl = settings.keep;
                own.stale_max = settings.keep;
                own.load_timeout = settings.load_timeout;
                // Headers may weigh something, too.
                own.payload_limit = Size::bytes(settings.body_limit.as_bytes().saturating_add(64 * 1024));
                // Responses say to the second how long they are fresh. They are refreshed early by their own word alone.
                own.jitter = 0.0;
                own.eager = 1.0;
                own.revalidate = std::time::Duration::ZERO;
            })
            .without_loader();
        Ok(Self(Arc::new(Inside { config, cache, wall, answers })))
    }

    /// A tower layer for any service of HTTP requests that does not fail: one route, a router, a whole application.
    pub fn layer(&self) -> ResponseLayer {
        ResponseLayer::new(self.0.clone())
    }

    /// What it does, for the table of routes: `pages, 64MiB`.
    pub fn describe(&self) -> String {
        let Config { size, stale_while_revalidate, stale_if_error, anonymous, .. } = &self.0.config;
        let mut text = format!("{}, {size}", self.0.cache.name());
        for (what, time) in [("revalidates", stale_while_revalidate), ("if error", stale_if_error)] {
            if !time.is_zero() {
                text.push_str(&format!(", {what} {}", format_duration(*time)));
            }
        }
        if *anonymous {
            text.push_str(", anonymous");
        }
        text
    }

    /// What holds the responses: for [`InvalidateOnCommit`](crate::InvalidateOnCommit), and to look at.
    pub fn cache(&self) -> &Cache<String, Entry> {
        &self.0.cache
    }

    /// Everything under the tag is wrong: it is gone, and no failure brings it back.
    pub fn invalidate_tag(&self, ctx: &Ctx, tag: impl fmt::Display) -> Invalidation {
        self.0.cache.invalidate_tag(ctx, tag)
    }

    /// Everything under the tag is out of date, a soft purge: it is stale at once, so that it is confirmed, or served while
    /// a new one is fetched, where the response allows that.
    pub fn expire_tag(&self, ctx: &Ctx, tag: impl fmt::Display) -> Invalidation {
        self.0.cache.expire_tag(ctx, tag)
    }

    /// What is kept of this address, in all variants, is wrong. `host` as clients send it; `address` is path and query.
    ///
    /// # Errors
    /// [`Kind::Invalid`](burgeon_core::Kind::Invalid) when the address cannot be read.
    pub fn invalidate_address(&self, ctx: &Ctx, host: &str, address: &str) -> Result<()> {
        let odd = |what: &str| Error::invalid(format!("`{what}` is no address of this site."));
        let uri: Uri = address.parse().map_err(|error| odd(address).with_source(error))?;
        let host = HeaderValue::from_str(host).map_err(|error| odd(host).with_source(error))?;
        let headers = HeaderMap::from_iter([(http::header::HOST, host)]);
        let primary = key::primary(&self.0.config, &uri, &headers, ctx.tenant());
        self.0.forget(ctx, &primary);
        Ok(())
    }
}

impl Inside {
    pub(super) fn now(&self) -> u64 {
        self.cache.inner().clock.now()
    }

    /// What there is for a request with this key and these headers, for a client who has changed something: only what was
    /// loaded at version `least` or later.
    pub(super) fn find(&self, primary: &str, headers: &HeaderMap, least: u64) -> Found {
        // By what the responses of an address differ is not what anybody changes.
        let mut entry = self.look(primary, 0);
        if let Some((known, _)) = &entry
            && let What::Varies(varies) = &known.0
        {
            let key = key::secondary(primary, &varies.names, headers);
            let entry = self.look(&key, least);
            let fwd = if varies.has_seen(&key) { Fwd::Miss } else { Fwd::VaryMiss };
            return Found { key, entry, fwd };
        }
        if least > 0 {
            entry = self.look(primary, least);
        }
        Found { key: primary.to_owned(), entry, fwd: Fwd::UriMiss }
    }

    /// What lies under the key, however old, unless it must never be seen again.
    pub(super) fn look(&self, key: &str, least: u64) -> Option<(Arc<Entry>, State)> {
        let inner = self.cache.inner();
        let hash = inner.hash(key);
        match inner.look(hash, key, least) {
            // What was made of something stale is as old as that, and fresh until then.
            Look::Fresh { value, stale: Some(_) } => Some((value?, State::JustFailed)),
            Look::Fresh { value, .. } | Look::Early { value, .. } | Look::Revalidate(value) => {
                Some((value?, State::Sound))
            }
            Look::Stale => {
                let entry = inner.at_worst(hash, &key.to_owned(), least)??;
                let before_its_time =
                    matches!(&entry.0, What::Kept(kept) if kept.age(self.now()) < kept.lifetime);
                let state = match before_its_time {
                    _ if inner.is_in_doubt(hash, key) => State::InDoubt,
                    true => State::Expired,
                    false => State::Sound,
                };
                // Markers end when they end.
                match entry.0 {
                    What::Pass | What::Personal => None,
                    _ => Some((entry, state)),
                }
            }
            Look::Nothing => None,
        }
    }

    /// By what the responses of this address differ, as far as is known.
    pub(super) fn varies(&self, primary: &str) -> Vec<HeaderName> {
        match self.look(primary, 0) {
            Some((entry, _)) => match &entry.0 {
                What::Varies(varies) => varies.names.clone(),
                _ => Vec::new(),
            },
            None => Vec::new(),
        }
    }

    /// Notes that this variant is kept; the oldest leaves when there are too many.
    pub(super) fn note(&self, ctx: &Ctx, primary: &str, secondary: &str) {
        if let Some((entry, _)) = self.look(primary, 0)
            && let What::Varies(varies) = &entry.0
            && let Some(oldest) = varies.see(secondary, self.config.variants)
        {
            self.cache.invalidate(ctx, &oldest);
        }
    }

    /// A list of variants that begins with this one.
    pub(super) fn list(&self, names: Vec<HeaderName>, secondary: &str) -> Entry {
        let varies = Varies::by(names);
        varies.see(secondary, self.config.variants);
        Entry(What::Varies(varies))
    }

    /// Whether exactly this lies under the key.
    pub(super) fn holds(&self, key: &str, entry: &Arc<Entry>) -> bool {
        self.look(key, 0).is_some_and(|(there, _)| Arc::ptr_eq(&there, entry))
    }

    /// What is kept of an address is wrong, in all variants.
    pub(super) fn forget(&self, ctx: &Ctx, primary: &str) {
        self.cache.invalidate_tag(ctx, key::tag(primary));
    }
}

impl fmt::Debug for Responses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responses").field("name", &self.0.cache.name()).finish_non_exhaustive()
    }
}
