//! The handle of one cache: what modules hold and call.

use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use burgeon_core::{Ctx, Result};

use crate::Invalidation;
use crate::inner::Inner;
use crate::load::{Load, Loaded};
use crate::stored::Look;
use crate::tombstones::Reach;
use crate::view::View;

/// A cache of `V` under `K`, made by [`Caches::named`](crate::Caches::named). Cloning shares it.
///
/// Values are shared, not copied: whoever reads gets an `Arc`.
///
/// # Which invalidation
/// - [`invalidate`](Self::invalidate): the value is wrong. It is gone, and never comes back, not even when loading fails.
/// - [`expire`](Self::expire): the value is out of date. The next read loads; if that fails, the old value is served.
///
/// Both exist for a key, for a tag and for everything; all take effect here before they return, on other nodes as soon as
/// these hear of it, and for this request and its client on every node at once, because the context is marked. They cost
/// the same however much they hit, and take the request's context: a refill then reads from a copy of the database that
/// has seen at least what the request has seen and written. In a transaction use [`InvalidateOnCommit`](crate::InvalidateOnCommit) instead.
pub struct Cache<K, V>(Arc<Inner<K, V>>);

/// So many keys are warmed in one load, or in loads side by side.
const WARMED_AT_ONCE: usize = 100;

impl<K, V> Clone for Cache<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, V> Cache<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    pub(crate) fn new(inner: Arc<Inner<K, V>>) -> Self {
        Self(inner)
    }

    pub(crate) fn inner(&self) -> &Arc<Inner<K, V>> {
        &self.0
    }

    /// The value under the key, loaded if it must be; `None` when there is no such thing.
    ///
    /// Ends by the context's deadline, and after `load_timeout` at the latest. When loading fails or takes too long, the
    /// stale value is served if there is one, then the cache's fallback.
    ///
    /// # Errors
    /// What the loader said; [`Fault::Timeout`](crate::Fault::Timeout) when it took too long.
    pub async fn get<Q>(&self, ctx: &Ctx, key: &Q) -> Result<Option<Arc<V>>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let hash = self.0.hash(key);
        // Who has changed something elsewhere takes the longer way, which asks what he must see.
        if !self.0.is_bound(ctx)
            && let Some(value) = self.0.hit(ctx, hash, key, 0)
        {
            return Ok(value);
        }
        self.0.clone().fetch(ctx.clone(), hash, key.to_owned()).await
    }

    /// As [`get`](Self::get), with a loader of the caller's own. It must own what it uses, because others may wait for it
    /// when the caller has gone.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn get_or_load<Q, F, Fut, R>(&self, ctx: &Ctx, key: &Q, load: F) -> Result<Option<Arc<V>>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
        F: FnOnce(Load) -> Fut + Send + 'static,
        Fut: Future<Output = Result<R>> + Send + 'static,
        R: Into<Loaded<V>>,
    {
        let hash = self.0.hash(key);
        // Who has changed something elsewhere takes the longer way, which asks what he must see.
        if !self.0.is_bound(ctx)
            && let Some(value) = self.0.hit(ctx, hash, key, 0)
        {
            return Ok(value);
        }
        let begin = move |about: Load, _: K| {
            Box::pin(async move { load(about).await.map(Into::into) }) as crate::loader::Loading<Loaded<V>>
        };
        Box::pin(self.0.clone().walk(ctx.clone(), hash, key.to_owned(), begin)).await
    }

    /// The values under these keys, in their order. What is missing is loaded at once: in one call, if the cache has a
    /// [`batch_loader`](crate::Named::batch_loader), otherwise side by side. A key that somebody else is loading is not
    /// loaded twice.
    ///
    /// # Errors
    /// The first key's that could neither be loaded nor served stale.
    pub async fn get_many(&self, ctx: &Ctx, keys: &[K]) -> Result<Vec<Option<Arc<V>>>> {
        Box::pin(self.0.clone().many(ctx.clone(), keys.to_vec())).await
    }

    /// Loads what of these keys is not in memory yet, a hundred at a time: at start, so that the first to ask wait for nothing.
    /// Answers how many there are; none where nothing is cached.
    ///
    /// What is more than fits pushes out what came before; what was invalidated meanwhile is not kept, as ever.
    ///
    /// # Errors
    /// As [`get_many`](Self::get_many). What was loaded by then is there; an application that starts is better off
    /// with that than not at all.
    pub async fn warm(&self, ctx: &Ctx, keys: impl IntoIterator<Item = K>) -> Result<u64> {
        // Nothing would be kept of it.
        if !self.0.config.enabled {
            return Ok(0);
        }
        let mut keys = keys.into_iter();
        let mut there = 0;
        loop {
            let some: Vec<K> = keys.by_ref().take(WARMED_AT_ONCE).collect();
            if some.is_empty() {
                return Ok(there);
            }
            there += self.get_many(ctx, &some).await?.iter().flatten().count() as u64;
        }
    }

    /// The fresh value under the key, if memory has it. Loads nothing, and knows no difference between "not here" and "not
    /// there at all".
    pub fn peek<Q>(&self, key: &Q) -> Option<Arc<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        match self.0.look(self.0.hash(key), key, 0) {
            Look::Fresh { value, stale: None } | Look::Early { value, .. } => value,
            Look::Fresh { .. } | Look::Revalidate(_) | Look::Stale | Look::Nothing => None,
        }
    }

    /// Writes through: from now on this is the value here, until it expires; on the other nodes it is invalidated. Call it
    /// after the data is committed, or use [`InvalidateOnCommit::set`](crate::InvalidateOnCommit::set).
    ///
    /// Two writers of one key may arrive in either order: where that matters, invalidate instead.
    pub fn set(&self, ctx: &Ctx, key: &K, value: V) -> Invalidation {
        self.0.set(ctx, key, Some(value), &[])
    }

    /// As [`set`](Self::set), under these tags.
    pub fn set_tagged<T: fmt::Display>(
        &self,
        ctx: &Ctx,
        key: &K,
        value: V,
        tags: impl IntoIterator<Item = T>,
    ) -> Invalidation {
        let tags: Vec<String> = tags.into_iter().map(|tag| tag.to_string()).collect();
        self.0.set(ctx, key, Some(value), &tags)
    }

    /// The value under the key is wrong: it is removed. Loads under way are not kept, and reads from now on do not wait for
    /// them, also where nothing was there.
    pub fn invalidate<Q>(&self, ctx: &Ctx, key: &Q) -> Invalidation
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        self.0.behind(self.0.invalidate(ctx, key, Reach::Remove))
    }

    /// The value under the key is out of date: the next read loads, and has it to fall back on.
    pub fn expire<Q>(&self, ctx: &Ctx, key: &Q) -> Invalidation
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        self.0.behind(self.0.invalidate(ctx, key, Reach::Expire))
    }

    /// The values under these keys are wrong: as [`invalidate`](Self::invalidate) of each, for whoever changes many outside of
    /// a transaction.
    pub fn invalidate_many<'a, Q>(&self, ctx: &Ctx, keys: impl IntoIterator<Item = &'a Q>) -> Invalidation
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized + 'a,
    {
        let mut all = Invalidation::of(None);
        keys.into_iter().for_each(|key| all.and(self.0.behind(self.0.invalidate(ctx, key, Reach::Remove))));
        all
    }

    /// Everything under the tag is wrong.
    pub fn invalidate_tag(&self, ctx: &Ctx, tag: impl fmt::Display) -> Invalidation {
        self.0.behind(self.0.invalidate_tag(ctx, &tag.to_string(), Reach::Remove))
    }

    /// Everything under the tag is out of date.
    pub fn expire_tag(&self, ctx: &Ctx, tag: impl fmt::Display) -> Invalidation {
        self.0.behind(self.0.invalidate_tag(ctx, &tag.to_string(), Reach::Expire))
    }

    /// Everything is wrong. Its memory is given back as new values come.
    pub fn invalidate_all(&self, ctx: &Ctx) -> Invalidation {
        self.0.behind(self.0.invalidate_all(ctx, Reach::Remove))
    }

    /// Everything is out of date.
    pub fn expire_all(&self, ctx: &Ctx) -> Invalidation {
        self.0.behind(self.0.invalidate_all(ctx, Reach::Expire))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What a person wants to know of it now.
    pub fn view(&self) -> View {
        View::of(&self.0)
    }
}

impl<K, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("name", &self.0.name).finish_non_exhaustive()
    }
}
