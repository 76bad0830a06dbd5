//! Changes that come from outside. Each first makes sure that nothing begun before it will be kept, then changes what is
//! there, and then tells the other nodes: in this order, so that whoever hears it from us finds it done.

use std::borrow::Borrow;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use burgeon_core::{Ctx, Position};

use crate::Invalidation;
use crate::far::{Burial, Doubt, Export};
use crate::hashes::shared;
use crate::inner::Inner;
use crate::news::{Order, Out, Telling, What};
use crate::stored::Stored;
use crate::tags;
use crate::tombstones::Reach;

/// What is left of an invalidation when it has been done in this process: to see it through in the second tier, and to tell the
/// other nodes.
pub(crate) type Rest = Pin<Box<dyn Future<Output = ()> + Send>>;

impl<K, V> Inner<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// Removes, or expires, what is under the key, on every node. The context has seen the commit that made it wrong. What it
    /// answers is still to be done: [`Rest`].
    pub(crate) fn invalidate<Q>(self: &Arc<Self>, ctx: &Ctx, key: &Q, reach: Reach) -> Option<Rest>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let floor = ctx.position();
        // First of all: from here on this node gets nothing old from there.
        let doubt = self.far.as_ref().and_then(|far| far.doubt_key(&key.to_owned(), Burial { reach, floor }));
        self.change_key(key, reach, floor);
        self.rest(ctx, What::Key(shared(key), reach), floor, doubt)
    }

    /// The same for everything under the tag.
    pub(crate) fn invalidate_tag(self: &Arc<Self>, ctx: &Ctx, tag: &str, reach: Reach) -> Option<Rest> {
        let floor = ctx.position();
        let tag = tags::hash(tag);
        let doubt = self.far.as_ref().map(|far| far.doubt_tag(tag, Burial { reach, floor }));
        self.tombstones.bury_tag(tag, reach, floor);
        self.meters.invalidated_tag.increment();
        self.rest(ctx, What::Tag(tag, reach), floor, doubt)
    }

    /// The same for everything.
    pub(crate) fn invalidate_all(self: &Arc<Self>, ctx: &Ctx, reach: Reach) -> Option<Rest> {
        let floor = ctx.position();
        let doubt = self.far.as_ref().map(|far| far.doubt_everything(Burial { reach, floor }));
        self.tombstones.bury_everything(reach, floor);
        self.meters.invalidated_all.increment();
        self.rest(ctx, What::All(reach), floor, doubt)
    }

    /// Tells the other nodes, after the second tier: whoever hears it and loads anew must find nothing old there. And after all
    /// that was changed before it: whoever loads anew what is made of something must find that it is not the old one.
    fn rest(self: &Arc<Self>, ctx: &Ctx, what: What, floor: Position, doubt: Option<Doubt>) -> Option<Rest> {
        let turns = self.turns();
        let (inner, ctx) = (self.clone(), ctx.clone());
        let Some(doubt) = doubt else {
            let out = turns?.say(move || inner.tell(&ctx, what, Telling::sure(floor)))?;
            return Some(Box::pin(said(out)));
        };
        let turn = turns.map(Order::turn);
        Some(Box::pin(async move {
            let telling = match doubt.confirm().await {
                true => Telling::sure(floor),
                false => Telling::doubtful(floor, doubt.text()),
            };
            if let Some(turn) = turn {
                said(turn.say(move || inner.tell(&ctx, what, telling))).await;
            }
        }))
    }

    /// The order in which the other nodes hear of changes, where there are others.
    fn turns(&self) -> Option<&Order> {
        self.neighbours.as_ref().map(|neighbours| &neighbours.desk.order)
    }

    /// Does the rest behind the caller, who may wait for it.
    pub(crate) fn behind(&self, rest: Option<Rest>) -> Invalidation {
        Invalidation::of(rest.map(|rest| self.tasks.spawn("cache.invalidate", rest)))
    }

    /// Writes through: here and in the second tier the value is there from now on, the other nodes load it.
    pub(crate) fn set(
        self: &Arc<Self>,
        ctx: &Ctx,
        key: &K,
        value: Option<V>,
        tags: &[String],
    ) -> Invalidation {
        let floor = ctx.position();
        // Dropped on the way it becomes an invalidation there.
        let held =
            self.far.as_ref().and_then(|far| far.hold_key(key, Burial { reach: Reach::Remove, floor }));
        let stamp = self.tombstones.now();
        let generation = self.generations.raise(self.hash(key), floor);
        let export = self.put(key, value, tags, stamp, generation);
        // It follows from the commit that its writer has seen.
        let export = export.map(|export| Export { position: floor, ..export });
        let what = What::Key(shared(key), Reach::Remove);
        match held {
            None => {
                let rest = self.rest(ctx, what, floor, None);
                self.behind(rest)
            }
            Some(held) => {
                let (inner, ctx, turn) = (self.clone(), ctx.clone(), self.turns().map(Order::turn));
                self.behind(Some(Box::pin(async move {
                    let text = held.text();
                    let is_gone = match (&inner.far, export) {
                        (Some(far), Some(export)) => far.replace(held, export).await,
                        _ => held.give_up().confirm().await,
                    };
                    let telling = match is_gone {
                        true => Telling::sure(floor),
                        false => Telling::doubtful(floor, Some(text)),
                    };
                    if let Some(turn) = turn {
                        said(turn.say(move || inner.tell(&ctx, what, telling))).await;
                    }
                })))
            }
        }
    }

    /// Keeps a value that is as new as this generation; if that has passed, nothing is kept.
    pub(crate) fn put(
        &self,
        key: &K,
        value: Option<V>,
        tags: &[String],
        stamp: u64,
        generation: u64,
    ) -> Option<Export<V>> {
        let hash = self.hash(key);
        self.meters.written.increment();
        let Some(weight) = self.weigh(key, value.as_ref(), None) else {
            self.meters.discarded_oversize.increment();
            self.was_removed(self.near.remove_if(hash, key, |_| true));
            return None;
        };
        let life = self.life(self.config.ttl, Duration::ZERO, value.is_some());
        let tags: Arc<[u64]> = tags.iter().map(|tag| tags::hash(tag)).collect();
        let stored = Stored::new(value.map(Arc::new), stamp, tags, None, life);
        let export = self.export(&stored, Position::START);
        if !self.keep(hash, key, generation, stored, weight) {
            // What is there is older than what could not be kept.
            self.was_removed(self.near.remove_if(hash, key, |present| present.stamp <= stamp));
            return None;
        }
        export
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

/// Waits until a word has gone out.
async fn said(out: Out) {
    // It cannot be given up any more: it goes out when those before have.
    drop(out.await);
}
