//! A load, as its loader sees it: the request's context, what was there before, and what the loader wants to say of its value.

use std::any::Any;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use burgeon_core::{Ctx, Deadline, Error};

use crate::stored::Validators;
use crate::sync::hold;

/// Handed to a loader. It is a [`Ctx`]: hand it on to the database, which then reads from a copy that is fresh enough.
///
/// Its deadline is the load's own (`load_timeout`), not that of the caller who happened to be first: others may wait, too.
///
/// Hand it on to other caches as well: what is read from them with it is waited for where others would be served something
/// stale meanwhile, and if there is nothing better, what is made of it is kept as something stale, too.
///
/// What the loader says of its value (`ttl`, `tag`, ..) holds for this load alone.
///
/// ```
/// # use burgeon_cache::Load;
/// # use burgeon_core::Result;
/// # async fn find(_: &Load, _: i64) -> Result<Option<String>> { Ok(None) }
/// async fn load_product(db: (), load: Load, id: i64) -> Result<Option<String>> {
///     load.tag(format_args!("product:{id}"));
///     find(&load, id).await
/// }
/// ```
#[derive(Clone)]
pub struct Load(Arc<Inner>);

struct Inner {
    ctx: Ctx,
    before: Option<Before>,
    // Not a tokio mutex: nothing awaits under it.
    said: Mutex<Said>,
}

/// What was there before.
pub(crate) struct Before {
    pub(crate) value: Option<Arc<dyn Any + Send + Sync>>,
    pub(crate) validators: Option<Arc<Validators>>,
}

/// What a loader said of its value.
#[derive(Debug, Default, Clone)]
pub(crate) struct Said {
    pub(crate) ttl: Option<Duration>,
    pub(crate) tags: Vec<String>,
    pub(crate) weight: Option<u64>,
    pub(crate) unkept: bool,
    pub(crate) validators: Option<Validators>,
    /// When what went into it is to be asked for again, if some of that was stale.
    pub(crate) stale_until: Option<Deadline>,
}

/// What a loader brings. Loaders that always bring a value return it, those that may not an `Option`; this is for those
/// with more to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loaded<V> {
    /// A value.
    Value(V),
    /// There is no such thing; believed for `negative_ttl`.
    NotFound,
    /// What was there before is as good as new: it gets a whole new life.
    NotModified,
    /// Keep what was there before, as after a failure: stale, asked again after `throttle`.
    Keep,
}

impl<V> From<V> for Loaded<V> {
    fn from(value: V) -> Self {
        Self::Value(value)
    }
}

impl<V> From<Option<V>> for Loaded<V> {
    fn from(value: Option<V>) -> Self {
        value.map_or(Self::NotFound, Self::Value)
    }
}

impl Load {
    pub(crate) fn new(ctx: Ctx, before: Option<Before>) -> Self {
        Self(Arc::new(Inner { ctx, before, said: Mutex::default() }))
    }

    /// The context that the load runs in.
    pub fn ctx(&self) -> &Ctx {
        &self.0.ctx
    }

    /// Puts the value under this tag: [`Cache::invalidate_tag`](crate::Cache::invalidate_tag) of it removes the value.
    pub fn tag(&self, tag: impl fmt::Display) {
        hold(&self.0.said).tags.push(tag.to_string());
    }

    /// How long this value is fresh, instead of the cache's `ttl`. Zero: it is not kept.
    pub fn ttl(&self, ttl: Duration) {
        hold(&self.0.said).ttl = Some(ttl);
    }

    /// What this value weighs, instead of what the cache measures.
    pub fn weight(&self, weight: u64) {
        hold(&self.0.said).weight = Some(weight);
    }

    /// Those who wait get the value, and it is not kept.
    pub fn do_not_keep(&self) {
        hold(&self.0.said).unkept = true;
    }

    /// The value that is there, stale as it may be, of the cache's own type.
    pub fn before<V: Send + Sync + 'static>(&self) -> Option<Arc<V>> {
        self.0.before.as_ref()?.value.clone()?.downcast().ok()
    }

    /// The entity tag of the value that is there.
    pub fn etag_before(&self) -> Option<&str> {
        self.validators()?.etag.as_deref()
    }

    /// The modification date of the value that is there, as its origin wrote it.
    pub fn last_modified_before(&self) -> Option<&str> {
        self.validators()?.last_modified.as_deref()
    }

    /// Keeps the origin's entity tag with the value, for the next [`etag_before`](Self::etag_before).
    pub fn etag(&self, etag: impl Into<String>) {
        hold(&self.0.said).validators.get_or_insert_default().etag = Some(etag.into());
    }

    /// Keeps the origin's modification date with the value.
    pub fn last_modified(&self, date: impl Into<String>) {
        hold(&self.0.said).validators.get_or_insert_default().last_modified = Some(date.into());
    }

    /// An error for a loader that cannot bring a value, though nothing broke: the stale value or the cache's `fallback`
    /// is served, if there is one.
    pub fn fail(&self, why: &str) -> Error {
        Error::unavailable("This cannot be loaded at the moment.").with_source(why)
    }

    pub(crate) fn said(&self) -> Said {
        let said = hold(&self.0.said).clone();
        Said { stale_until: self.ctx().stale_until(), ..said }
    }

    fn validators(&self) -> Option<&Validators> {
        self.0.before.as_ref()?.validators.as_deref()
    }
}

impl Deref for Load {
    type Target = Ctx;

    fn deref(&self) -> &Ctx {
        self.ctx()
    }
}

impl fmt::Debug for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Load")
            .field("ctx", &self.0.ctx)
            .field("said", &*hold(&self.0.said))
            .finish_non_exhaustive()
    }
}
