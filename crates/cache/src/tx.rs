//! Changes of caches that belong to a transaction: after its commit, and only then.
//!
//! ```text
//!   invalidate ── work ── before_commit: it is tried ── COMMIT ── after_commit: invalidated, and told
//!                    │            │                        │
//!                    │            └─ durable: a row        ├─ the answer was lost: invalidated at once, and once more later,
//!                    │                                     │  because the commit may still come
//!                    └─ rolled back: nothing happens       └─ the process dies: the row is told by another node
//! ```

use std::borrow::Cow;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use burgeon_core::Ctx;
use burgeon_db::Tx;
use burgeon_runtime::Tasks;

use crate::cache::Cache;
use crate::caches::{Caches, Purge};
use crate::hashes::shared;
use crate::inner::Inner;
use crate::invalidate::Rest;
use crate::news::{Message, Outbox, Telling, What};
use crate::tags;
use crate::tombstones::Reach;

/// What a cache adds to a transaction.
///
/// The caches are changed when the commit is durable, before the transaction's caller has its answer, and with the
/// commit's position: a refill reads from a copy of the database that has it. After a rollback nothing happens.
///
/// ```no_run
/// # use burgeon_cache::{Cache, InvalidateOnCommit};
/// # use burgeon_core::{Ctx, Result};
/// # use burgeon_db::{Db, sql};
/// # async fn reprice(db: &Db, products: &Cache<i64, String>, ctx: &Ctx, id: i64, price: i64) -> Result<()> {
/// db.tx(ctx, async |tx| {
///     sql!("reprice", "update product set price = $2 where id = $1", id, price).execute(tx).await?;
///     tx.invalidate(products, id);
///     Ok(())
/// })
/// .await
/// # }
/// ```
pub trait InvalidateOnCommit {
    /// What is under the key is wrong from the commit on: see [`Cache::invalidate`].
    fn invalidate<K, V>(&self, cache: &Cache<K, V>, key: K)
    where
        K: Eq + Hash + Clone + Send + Sync + 'static,
        V: Send + Sync + 'static;

    /// What is under the key is out of date from the commit on: see [`Cache::expire`].
    fn expire<K, V>(&self, cache: &Cache<K, V>, key: K)
    where
        K: Eq + Hash + Clone + Send + Sync + 'static,
        V: Send + Sync + 'static;

    /// Everything under the tag is wrong from the commit on: see [`Cache::invalidate_tag`].
    fn invalidate_tag<K, V>(&self, cache: &Cache<K, V>, tag: impl fmt::Display)
    where
        K: Eq + Hash + Clone + Send + Sync + 'static,
        V: Send + Sync + 'static;

    /// Everything under the tag is out of date from the commit on: see [`Cache::expire_tag`].
    fn expire_tag<K, V>(&self, cache: &Cache<K, V>, tag: impl fmt::Display)
    where
        K: Eq + Hash + Clone + Send + Sync + 'static,
        V: Send + Sync + 'static;

    /// Everything is wrong from the commit on: see [`Cache::invalidate_all`].
    fn invalidate_all<K, V>(&self, cache: &Cache<K, V>)
    where
        K: Eq + Hash + Clone + Send + Sync + 'static,
        V: Send + Sync + 'static;

    /// Everything under the tag is wrong from the commit on, in every cache: see [`Caches::purge`].
    fn purge(&self, caches: &Caches, tag: impl fmt::Display);

    /// Writes through: from the commit on this is the value, on this node; the others load it. If another transaction changes
    /// the same key about the same time, neither value is kept: which of the two is later is not known here.
    ///
    /// It is under no tag, so no invalidation of one removes it: where the loader tags, use [`set_tagged`](Self::set_tagged).
    fn set<K, V>(&self, cache: &Cache<K, V>, key: K, value: V)
    where
        K: Eq + Hash + Clone + Send + Sync + 'static,
        V: Send + Sync + 'static,
    {
        self.set_tagged(cache, key, value, std::iter::empty::<&str>());
    }

    /// As [`set`](Self::set), under these tags.
    fn set_tagged<K, V, T>(&self, cache: &Cache<K, V>, key: K, value: V, tags: impl IntoIterator<Item = T>)
    where
        K: Eq + Hash + Clone + Send + Sync + 'static,
        V: Send + Sync + 'static,
        T: fmt::Display;
}

impl InvalidateOnCommit for Tx {
    fn invalidate<K, V>(&self, cache: &Cache<K, V>, key: K)
    where
        K: Eq + Hash + Clone + Send + Sync + 'static,
        V: Send + Sync + 'static,
    {
        pend(self, cache, Target::Key(key), Reach::Remove);
    }

    fn expire<K, V>(&self, cache: &Cache<K, V>, key: K)
    where
        K: Eq + Hash + Clone + Send + Sync + 'static,
        V: Send + Sync + 'static,
    {
        pend(self, cache, Target::Key(key), Reach::Expire);
    }

    fn invalidate_tag<K, V>(&self, cache: &Cache<K, V>, tag: impl fmt::Display)
    where
        K: Eq + Hash + Clone + Send + Sync + 'static,
        V: Send + Sync + 'static,
    {
        pend(self, cache, Target::Tag(tag.to_string()), Reach::Remove);
    }

    fn expire_tag<K, V>(&self, cache: &Cache<K, V>, tag: impl fmt::Display)
    where
        K: Eq + Hash + Clone + Send + Sync + 'static,
        V: Send + Sync + 'static,
    {
        pend(self, cache, Target::Tag(tag.to_string()), Reach::Expire);
    }

    fn invalidate_all<K, V>(&self, cache: &Cache<K, V>)
    where
        K: Eq + Hash + Clone + Send + Sync + 'static,
        V: Send + Sync + 'static,
    {
        pend(self, cache, Target::All, Reach::Remove);
    }

    fn purge(&self, caches: &Caches, tag: impl fmt::Display) {
        caches.each(&Purge::OnCommit(self, &tag.to_string()));
    }

    fn set_tagged<K, V, T>(&self, cache: &Cache<K, V>, key: K, value: V, tags: impl IntoIterator<Item = T>)
    where
        K: Eq + Hash + Clone + Send + Sync + 'static,
        V: Send + Sync + 'static,
        T: fmt::Display,
    {
        let tags: Vec<String> = tags.into_iter().map(|tag| tag.to_string()).collect();
        // Two numbers from just before the commit: a value is kept only if nothing has touched its key since.
        let seen = Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
        let (inner, hash) = (cache.inner().clone(), cache.inner().hash(&key));
        self.before_commit({
            let (inner, seen) = (inner.clone(), seen.clone());
            move |tx| {
                seen.0.store(inner.tombstones.now(), Ordering::Relaxed);
                seen.1.store(inner.generations.raise(hash, tx.ctx().position()), Ordering::Relaxed);
                Box::pin(async { Ok(()) })
            }
        });
        // First, so that whatever becomes of the value, the old one is gone, here and everywhere.
        pend(self, cache, Target::Key(key.clone()), Reach::Remove);
        self.after_commit(what(cache, "write into"), async move {
            let (stamp, generation) = (seen.0.load(Ordering::Relaxed), seen.1.load(Ordering::Relaxed));
            // The one step since then is the invalidation above.
            // The second tier has been emptied of it, and takes it from the next who loads it.
            drop(inner.put(&key, Some(value), &tags, stamp, generation + 1));
            Ok(())
        });
    }
}

/// What a transaction changes.
enum Target<K> {
    Key(K),
    Tag(String),
    All,
}

impl<K: Hash> Target<K> {
    fn what(&self, reach: Reach) -> What {
        match self {
            Self::Key(key) => What::Key(shared(key), reach),
            Self::Tag(tag) => What::Tag(tags::hash(tag), reach),
            Self::All => What::All(reach),
        }
    }
}

fn what<K, V>(cache: &Cache<K, V>, verb: &str) -> Cow<'static, str>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    format!("{verb} the cache `{}`", cache.name()).into()
}

/// Ties the change to the transaction's end.
fn pend<K, V>(tx: &Tx, cache: &Cache<K, V>, target: Target<K>, reach: Reach)
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    let inner = cache.inner().clone();
    let tried = Arc::new(AtomicBool::new(false));
    let row = Arc::new(AtomicI64::new(0));
    let written = inner.written_down(&target, reach);
    tx.before_commit({
        let (tried, row) = (tried.clone(), row.clone());
        move |tx| {
            Box::pin(async move {
                if let Some(message) = written {
                    row.store(Outbox::write(tx, &message).await?, Ordering::Relaxed);
                }
                // Last: what failed before this was not tried.
                tried.store(true, Ordering::Relaxed);
                Ok(())
            })
        }
    });
    let tasks = inner.tasks.clone();
    let change = move |ctx: &Ctx| match &target {
        Target::Key(key) => inner.invalidate(ctx, key, reach),
        Target::Tag(tag) => inner.invalidate_tag(ctx, tag, reach),
        Target::All => inner.invalidate_all(ctx, reach),
    };
    let pending = Pending { change: Some(Arc::new(change)), tried, ctx: tx.ctx().clone(), tasks };
    let inner = cache.inner().clone();
    tx.after_commit(what(cache, "invalidate in"), async move {
        pending.commit().await;
        inner.is_said(row.load(Ordering::Relaxed));
        Ok(())
    });
}

impl<K, V> Inner<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// What a transaction writes down of a change, where it must outlive this process.
    fn written_down(&self, target: &Target<K>, reach: Reach) -> Option<Message> {
        let neighbours = self.neighbours.as_ref().filter(|_| self.config.durable)?;
        let text = match (target, &self.far) {
            (Target::Key(key), Some(far)) => far.text(key),
            _ => None,
        };
        Some(Telling::before_commit(neighbours.about, target.what(reach), text))
    }

    fn is_said(&self, row: i64) {
        if let Some(neighbours) = self.neighbours.as_ref().filter(|_| row > 0) {
            neighbours.desk.outbox.is_said(row);
        }
    }
}

/// How long after a lost answer the commit may still take effect: the server notices a dead client within this.
const SECOND_TRY: Duration = Duration::from_secs(5);

type Change = Arc<dyn Fn(&Ctx) -> Option<Rest> + Send + Sync>;

/// A change that waits for its transaction's end. Dropped without it, after the commit was tried, it cannot know how that
/// ended, and takes it for done: one load too many instead of an old price.
struct Pending {
    change: Option<Change>,
    tried: Arc<AtomicBool>,
    ctx: Ctx,
    tasks: Tasks,
}

impl Pending {
    async fn commit(mut self) {
        if let Some(change) = self.change.take()
            && let Some(rest) = change(&self.ctx)
        {
            rest.await;
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let Some(change) = self.change.take() else { return };
        if !self.tried.load(Ordering::Relaxed) {
            return;
        }
        let rest = change(&self.ctx);
        let again = async move {
            if let Some(rest) = rest {
                rest.await;
            }
            tokio::time::sleep(SECOND_TRY).await;
            if let Some(rest) = change(&Ctx::background()) {
                rest.await;
            }
        };
        drop(self.tasks.spawn("cache.invalidate", again));
    }
}
