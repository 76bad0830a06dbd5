//! Invalidation that belongs to a transaction: after its commit, and only then.
//!
//! ```text
//!   invalidate ── work ── before_commit: it is tried ── COMMIT ── after_commit: invalidated
//!                    │                                     │
//!                    └─ rolled back: nothing happens       └─ the answer was lost: invalidated at once, and once more
//!                                                             later, because the commit may still come
//! ```

use std::borrow::Cow;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use burgeon_core::{Ctx, Position};
use burgeon_db::Tx;
use burgeon_runtime::Tasks;

use crate::cache::Cache;
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

    /// Everything under the tag is wrong from the commit on: see [`Cache::invalidate_tag`].
    fn invalidate_tag<K, V>(&self, cache: &Cache<K, V>, tag: impl fmt::Display)
    where
        K: Eq + Hash + Clone + Send + Sync + 'static,
        V: Send + Sync + 'static;

    /// Everything is wrong from the commit on: see [`Cache::invalidate_all`].
    fn invalidate_all<K, V>(&self, cache: &Cache<K, V>)
    where
        K: Eq + Hash + Clone + Send + Sync + 'static,
        V: Send + Sync + 'static;
}

impl InvalidateOnCommit for Tx {
    fn invalidate<K, V>(&self, cache: &Cache<K, V>, key: K)
    where
        K: Eq + Hash + Clone + Send + Sync + 'static,
        V: Send + Sync + 'static,
    {
        let inner = cache.inner().clone();
        pend(self, cache, move |floor| inner.invalidate(&key, Reach::Remove, floor));
    }

    fn invalidate_tag<K, V>(&self, cache: &Cache<K, V>, tag: impl fmt::Display)
    where
        K: Eq + Hash + Clone + Send + Sync + 'static,
        V: Send + Sync + 'static,
    {
        let (inner, tag) = (cache.inner().clone(), tag.to_string());
        pend(self, cache, move |floor| inner.invalidate_tag(&tag, Reach::Remove, floor));
    }

    fn invalidate_all<K, V>(&self, cache: &Cache<K, V>)
    where
        K: Eq + Hash + Clone + Send + Sync + 'static,
        V: Send + Sync + 'static,
    {
        let inner = cache.inner().clone();
        pend(self, cache, move |floor| inner.invalidate_all(Reach::Remove, floor));
    }
}

/// Ties the change to the transaction's end.
fn pend<K, V>(tx: &Tx, cache: &Cache<K, V>, change: impl Fn(Position) + Send + Sync + 'static)
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    let tried = Arc::new(AtomicBool::new(false));
    let pending = Pending {
        change: Some(Arc::new(change)),
        tried: tried.clone(),
        ctx: tx.ctx().clone(),
        tasks: cache.inner().tasks.clone(),
    };
    tx.before_commit(move |_| {
        tried.store(true, Ordering::Relaxed);
        Box::pin(async { Ok(()) })
    });
    let what: Cow<'static, str> = format!("invalidate in the cache `{}`", cache.name()).into();
    tx.after_commit(what, async move {
        pending.commit();
        Ok(())
    });
}

/// How long after a lost answer the commit may still take effect: the server notices a dead client within this.
const SECOND_TRY: Duration = Duration::from_secs(5);

/// A change that waits for its transaction's end. Dropped without it, after the commit was tried, it cannot know how that
/// ended, and takes it for done: one load too many instead of an old price.
struct Pending {
    change: Option<Arc<dyn Fn(Position) + Send + Sync>>,
    tried: Arc<AtomicBool>,
    ctx: Ctx,
    tasks: Tasks,
}

impl Pending {
    fn commit(mut self) {
        if let Some(change) = self.change.take() {
            change(self.ctx.position());
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let Some(change) = self.change.take() else { return };
        if !self.tried.load(Ordering::Relaxed) {
            return;
        }
        change(self.ctx.position());
        let again = async move {
            tokio::time::sleep(SECOND_TRY).await;
            change(Position::START);
        };
        drop(self.tasks.spawn("cache.invalidate", again));
    }
}
