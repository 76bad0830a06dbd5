//! Changes that come from outside: each first makes sure that nothing begun before it will be kept, then changes what is
//! there.

use std::borrow::Borrow;
use std::hash::Hash;
use std::sync::Arc;

use burgeon_core::Position;

use crate::inner::Inner;
use crate::stored::Stored;
use crate::tombstones::Reach;

impl<K, V> Inner<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// Removes, or expires, what is under the key. `floor` is the commit that made it wrong.
    pub(crate) fn invalidate<Q>(&self, key: &Q, reach: Reach, floor: Position)
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

    /// The same for everything under the tag.
    pub(crate) fn invalidate_tag(&self, tag: &str, reach: Reach, floor: Position) {
        self.tombstones.bury_tag(self.hash(tag), reach, floor);
        self.meters.invalidated_tag.increment();
    }

    /// The same for everything.
    pub(crate) fn invalidate_all(&self, reach: Reach, floor: Position) {
        self.tombstones.bury_everything(reach, floor);
        self.meters.invalidated_all.increment();
    }

    /// Writes through. Refused if an invalidation comes in between: then the value may be older than what it told of.
    pub(crate) fn set(&self, key: &K, value: Option<V>, tags: &[String], floor: Position) {
        let hash = self.hash(key);
        let stamp = self.tombstones.now();
        let generation = self.generations.raise(hash, floor);
        self.meters.written.increment();
        let Some(weight) = self.weigh(key, value.as_ref(), None) else {
            self.meters.discarded_oversize.increment();
            self.was_removed(self.near.remove_if(hash, key, |_| true));
            return;
        };
        let life = self.life(self.config.ttl, std::time::Duration::ZERO, value.is_some());
        let tags: Arc<[u64]> = tags.iter().map(|tag| self.hash(tag.as_str())).collect();
        let kept = self.keep(
            hash,
            key,
            generation,
            Stored::new(value.map(Arc::new), stamp, tags, None, life),
            weight,
        );
        if !kept {
            // What is there is older than what could not be kept.
            self.was_removed(self.near.remove_if(hash, key, |present| present.stamp <= stamp));
        }
    }

    pub(crate) fn was_removed(&self, weight: Option<u64>) {
        if let Some(weight) = weight {
            self.meters.entries.add(-1);
            self.meters.weight.add(-i64::try_from(weight).unwrap_or(i64::MAX));
        }
    }
}
