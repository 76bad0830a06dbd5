//! Changes that come from outside. Each first makes sure that nothing begun before it will be kept, then changes what is
//! there, and then tells the other nodes: in this order, so that whoever hears it from us finds it done.

use std::borrow::Borrow;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use burgeon_core::{Ctx, Position};

use crate::hashes::shared;
use crate::inner::Inner;
use crate::news::{Telling, What};
use crate::stored::Stored;
use crate::tombstones::Reach;

impl<K, V> Inner<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// Removes, or expires, what is under the key, on every node. The context has seen the commit that made it wrong.
    pub(crate) fn invalidate<Q>(&self, ctx: &Ctx, key: &Q, reach: Reach)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let floor = ctx.position();
        self.change_key(key, reach, floor);
        self.tell(ctx, What::Key(shared(key), reach), Telling { floor, is_doubtful: false });
    }

    /// The same for everything under the tag.
    pub(crate) fn invalidate_tag(&self, ctx: &Ctx, tag: &str, reach: Reach) {
        let floor = ctx.position();
        let tag = shared(tag);
        self.tombstones.bury_tag(tag, reach, floor);
        self.meters.invalidated_tag.increment();
        self.tell(ctx, What::Tag(tag, reach), Telling { floor, is_doubtful: false });
    }

    /// The same for everything.
    pub(crate) fn invalidate_all(&self, ctx: &Ctx, reach: Reach) {
        let floor = ctx.position();
        self.tombstones.bury_everything(reach, floor);
        self.meters.invalidated_all.increment();
        self.tell(ctx, What::All(reach), Telling { floor, is_doubtful: false });
    }

    /// Writes through: here the value is there from now on, the other nodes load it.
    pub(crate) fn set(&self, ctx: &Ctx, key: &K, value: Option<V>, tags: &[String]) {
        let floor = ctx.position();
        let stamp = self.tombstones.now();
        let generation = self.generations.raise(self.hash(key), floor);
        self.put(key, value, tags, stamp, generation);
        self.tell(ctx, What::Key(shared(key), Reach::Remove), Telling { floor, is_doubtful: false });
    }

    /// Keeps a value that is as new as this generation; if that has passed, nothing is kept.
    pub(crate) fn put(&self, key: &K, value: Option<V>, tags: &[String], stamp: u64, generation: u64) {
        let hash = self.hash(key);
        self.meters.written.increment();
        let Some(weight) = self.weigh(key, value.as_ref(), None) else {
            self.meters.discarded_oversize.increment();
            self.was_removed(self.near.remove_if(hash, key, |_| true));
            return;
        };
        let life = self.life(self.config.ttl, Duration::ZERO, value.is_some());
        let tags: Arc<[u64]> = tags.iter().map(|tag| shared(tag.as_str())).collect();
        let stored = Stored::new(value.map(Arc::new), stamp, tags, None, life);
        if !self.keep(hash, key, generation, stored, weight) {
            // What is there is older than what could not be kept.
            self.was_removed(self.near.remove_if(hash, key, |present| present.stamp <= stamp));
        }
    }

    /// In this process alone.
    pub(crate) fn change_key<Q>(&self, key: &Q, reach: Reach, floor: Position)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hash(key);
        self.generations.raise(hash, floor);
        match reach {
            Reach::Remove => self.was_removed(self.near.remove_if(hash, key, |_| true)),
            Reach::Expire => {
                self.near.read(hash, key, Stored::expire);
            }
        }
        self.meters.invalidated_key.increment();
    }

    /// The same, of a key that is known by its hash only. Another key of the same hash goes with it.
    pub(crate) fn change_hash(&self, hash: u64, reach: Reach, floor: Position) {
        self.generations.raise(hash, floor);
        match reach {
            Reach::Remove => self.near.remove_hash(hash, |weight| self.was_removed(Some(weight))),
            Reach::Expire => self.near.read_hash(hash, Stored::expire),
        }
        self.meters.invalidated_key.increment();
    }

    pub(crate) fn was_removed(&self, weight: Option<u64>) {
        if let Some(weight) = weight {
            self.meters.entries.add(-1);
            self.meters.weight.add(-i64::try_from(weight).unwrap_or(i64::MAX));
        }
    }
}
