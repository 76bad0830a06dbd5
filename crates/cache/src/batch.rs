//! Many keys at once: one look at memory each, and one load for all that is missing.

use std::hash::Hash;
use std::sync::Arc;

use burgeon_core::{Ctx, Result};
use tokio::time::{Instant, timeout};

use crate::far::Asked;
use crate::fault::Shared;
use crate::flight::{Gate, Landed, Landing, Seat};
use crate::inner::Inner;
use crate::load::Load;
use crate::loader::{Loader, Many};
use crate::walk::Waited;

/// What one key of a batch comes to.
enum Place<V> {
    There(Option<Arc<V>>),
    Aboard(u64, Seat<V>),
}

impl<K, V> Inner<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// A value, or none, for each key, in the keys' order.
    pub(crate) async fn many(self: Arc<Self>, ctx: Ctx, keys: Vec<K>) -> Result<Vec<Option<Arc<V>>>> {
        let loader = self.loader.clone().ok_or_else(|| self.no_loader())?;
        if !self.config.enabled {
            return self.many_unkept(&ctx, keys, &loader).await;
        }
        let until = self.until(&ctx, Instant::now());
        let least = self.least(&ctx).await;
        let mut missing = Vec::new();
        let mut places = Vec::with_capacity(keys.len());
        for key in &keys {
            let hash = self.hash(key);
            places.push(match self.hit(&ctx, hash, key, least) {
                Some(value) => Place::There(value),
                None => {
                    self.meters.misses.increment();
                    match self.board(hash, key, false, least) {
                        Gate::There(served) => Place::There(self.serve(&ctx, served)),
                        Gate::Joined(seat) => {
                            self.meters.joined.increment();
                            self.hurry();
                            Place::Aboard(hash, seat)
                        }
                        Gate::Leads(seat, landing) => {
                            missing.push(landing);
                            Place::Aboard(hash, seat)
                        }
                    }
                }
            });
        }
        if !missing.is_empty() {
            let (inner, ctx, loader) = (self.clone(), ctx.clone(), loader.clone());
            let flight = async move { inner.load_together(&ctx, missing, loader).await };
            drop(self.tasks.spawn("cache.load", flight));
        }
        let mut values = Vec::with_capacity(keys.len());
        for (key, place) in keys.iter().zip(places) {
            values.push(match place {
                Place::There(value) => value,
                Place::Aboard(hash, seat) => {
                    self.arrive(&ctx, &loader, hash, key, seat, least, until).await?
                }
            });
        }
        Ok(values)
    }

    #[expect(clippy::too_many_arguments, reason = "what one key of a batch is about, used once")]
    async fn arrive(
        self: &Arc<Self>,
        ctx: &Ctx,
        loader: &Loader<K, V>,
        hash: u64,
        key: &K,
        mut seat: Seat<V>,
        least: u64,
        until: Instant,
    ) -> Result<Option<Arc<V>>> {
        match self.wait(&mut seat, hash, key, least, until).await {
            Waited::Landed(Landed::Value { value, tags, stale })
                if (stale.is_none() || least == 0) && !seat.was_late(self.tombstones.latest(&tags)) =>
            {
                Ok(self.serve(ctx, (value, stale)))
            }
            // Overtaken, given up, or perhaps older than what this reader has done: this key alone goes the whole way.
            Waited::Landed(Landed::Value { .. } | Landed::Abandoned) => {
                let loader = loader.clone();
                let begin = move |load, key| loader.load(load, key);
                Box::pin(self.clone().walk(ctx.clone(), hash, key.clone(), begin)).await
            }
            Waited::Landed(Landed::Failed(shared)) => {
                self.settle_for_less(ctx, hash, key, least, || shared.into_error())
            }
            Waited::Stale(value) => {
                self.tell_worst(ctx, hash, key);
                Ok(value)
            }
            Waited::TooLong => {
                self.settle_for_less(ctx, hash, key, least, || self.too_late(self.config.load_timeout))
            }
        }
    }

    /// One question to the second tier for all these keys, and one load for what it does not have, if the loader takes many.
    pub(crate) async fn load_together(
        self: &Arc<Self>,
        ctx: &Ctx,
        landings: Vec<Landing<K, V>>,
        loader: Loader<K, V>,
    ) {
        let ctx = landings.iter().fold(self.ctx_of_load(ctx, 0), |ctx, landing| {
            ctx.advance(self.generations.floor(landing.hash()));
            ctx
        });
        let asked = self.ask_far(&ctx, &landings.iter().collect::<Vec<_>>()).await;
        let mut left = Vec::new();
        for (landing, asked) in landings.into_iter().zip(asked) {
            match asked {
                Asked::Land(stored) => landing.adopt(stored),
                asked => left.push((landing, asked)),
            }
        }
        match loader {
            _ if left.is_empty() => {}
            Loader::Many(many) => self.fly_together(ctx, left, many).await,
            Loader::One(_) => {
                for (landing, asked) in left {
                    let loader = loader.clone();
                    let begin = move |load, key| loader.load(load, key);
                    let to_the_end = self.config.background_completion;
                    let alone = self.clone().fly(ctx.clone(), landing, asked, to_the_end, begin);
                    drop(self.tasks.spawn("cache.load", alone));
                }
            }
        }
    }

    /// One load for all these keys. What the loader says of lifetime and tags holds for all of them.
    async fn fly_together(
        self: &Arc<Self>,
        ctx: Ctx,
        landings: Vec<(Landing<K, V>, Asked<V>)>,
        many: Many<K, V>,
    ) {
        let _loading = self.meters.loading.enter();
        // One load takes one place, for however many keys.
        let silent = landings.iter().find(|(_, asked)| matches!(asked, Asked::LoadInPlace));
        let place = match silent {
            Some((landing, _)) => self.place_to_load(landing).await,
            None => Ok(None),
        };
        let place = match place {
            Ok(place) => place,
            Err(error) => {
                let shared = Shared::new(error);
                landings.into_iter().for_each(|(landing, _)| landing.refuse(shared.clone().into_error()));
                return;
            }
        };
        let load = Load::new(ctx, None);
        let limit = self.config.load_timeout;
        let started = Instant::now();
        let keys = landings.iter().map(|(landing, _)| landing.key().clone()).collect();
        let loading = timeout(limit, async { many(load.clone(), keys).await });
        let outcome = loading.await.unwrap_or_else(|_| Err(self.too_late(limit)));
        drop(place);
        let (said, position, cost) = (load.said(), load.ctx().position(), started.elapsed());
        let mut exports = Vec::new();
        match outcome {
            Ok(mut found) => {
                for (landing, asked) in landings {
                    let loaded = found.remove(landing.key()).into();
                    let export = landing.land(Ok(loaded), &said, position, cost);
                    if let (Asked::Load(Some(ticket)), Some(export)) = (asked, export) {
                        exports.push((ticket, export));
                    }
                }
            }
            Err(error) => {
                let shared = Shared::new(error);
                for (landing, _) in landings {
                    landing.land(Err(shared.clone().into_error()), &said, position, cost);
                }
            }
        }
        if let Some(far) = &self.far {
            for (ticket, export) in exports {
                far.offer(ticket, export).await;
            }
        }
    }
}
