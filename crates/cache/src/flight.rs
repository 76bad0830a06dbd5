//! One load, from its departure to its landing. It belongs to the cache and runs in a task of its own: no caller who leaves
//! takes it along.
//!
//! ```text
//!   depart ── loader ──┬─ value ─────── kept, unless an invalidation overtook it ─┐
//!                      ├─ not modified ─ the old value in a new life              ├─ off the list ── those aboard are told
//!                      └─ error, too late, panic ── the old value for a while ────┘
//! ```

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use burgeon_core::{Ctx, Deadline, Error};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::fault::{Fault, Shared};
use crate::flights::Boarded;
use crate::hashes::shared;
use crate::inner::Inner;
use crate::load::{Before, Load, Loaded, Said};
use crate::loader::Loading;
use crate::stored::{Look, Stored};
use crate::tombstones::Verdict;

/// What those aboard share.
pub(crate) struct Channel<V> {
    landed: watch::Sender<Option<Landed<V>>>,
    /// The cache's version when the load began.
    pub(crate) stamp: u64,
}

/// How a flight ended.
pub(crate) enum Landed<V> {
    /// With a value, under these tags.
    Value { value: Option<Arc<V>>, tags: Arc<[u64]> },
    /// With a failure.
    Failed(Shared),
    /// Nobody waited any more, and so it was given up. Whoever came too late to prevent that begins anew.
    Abandoned,
}

impl<V> Clone for Landed<V> {
    fn clone(&self) -> Self {
        match self {
            Self::Value { value, tags } => Self::Value { value: value.clone(), tags: tags.clone() },
            Self::Failed(shared) => Self::Failed(shared.clone()),
            Self::Abandoned => Self::Abandoned,
        }
    }
}

/// A place aboard.
pub(crate) struct Seat<V> {
    landed: watch::Receiver<Option<Landed<V>>>,
    stamp: u64,
    /// The cache's version when the place was taken.
    joined: u64,
}

/// Ends a flight in every case: dropped without having landed, it says that it is broken.
pub(crate) struct Landing<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    inner: Arc<Inner<K, V>>,
    key: K,
    hash: u64,
    id: u64,
    generation: u64,
    channel: Arc<Channel<V>>,
    landed: bool,
}

/// What somebody who must load finds.
pub(crate) enum Gate<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    There(Option<Arc<V>>),
    Joined(Seat<V>),
    Leads(Seat<V>, Landing<K, V>),
}

impl<K, V> Inner<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// A place on the flight for the key; in charge of it, if there was none. `early`: though a fresh value is there.
    /// `least`: neither a value nor a flight from before this version will do.
    pub(crate) fn board(self: &Arc<Self>, hash: u64, key: &K, early: bool, least: u64) -> Gate<K, V> {
        self.board_unless(hash, key, least, || match self.look(hash, key, least) {
            Look::Fresh { value, .. } => Some(value),
            Look::Early { value, .. } if !early => Some(value),
            Look::Early { .. } | Look::Revalidate(_) | Look::Stale | Look::Nothing => None,
        })
    }

    /// The same, unless what is wanted is `there`: asked under the lock that flights begin under.
    pub(crate) fn board_unless(
        self: &Arc<Self>,
        hash: u64,
        key: &K,
        least: u64,
        there: impl FnOnce() -> Option<Option<Arc<V>>>,
    ) -> Gate<K, V> {
        let joined = self.tombstones.now();
        let boarded = self.flights.board(
            hash,
            key,
            &self.generations,
            // After a clear nobody joins what began before it.
            |channel| channel.stamp >= least && self.tombstones.verdict(channel.stamp, &[]) == Verdict::Alive,
            there,
            || Arc::new(Channel { landed: watch::Sender::new(None), stamp: self.tombstones.now() }),
        );
        match boarded {
            Boarded::There(value) => Gate::There(value),
            Boarded::Joined(channel) => Gate::Joined(channel.seat(joined)),
            Boarded::Leads { id, generation, cargo } => {
                let seat = cargo.seat(cargo.stamp);
                let (inner, key) = (self.clone(), key.clone());
                let landing = Landing { inner, key, hash, id, generation, channel: cargo, landed: false };
                Gate::Leads(seat, landing)
            }
        }
    }

    /// Sends a load on its way. `to_the_end`: even if nobody waits for it.
    pub(crate) fn depart<B>(self: &Arc<Self>, ctx: &Ctx, landing: Landing<K, V>, to_the_end: bool, begin: B)
    where
        B: FnOnce(Load, K) -> Loading<Loaded<V>> + Send + 'static,
    {
        let before = self.near.read(landing.hash, &landing.key, |stored| Before {
            value: stored.value.clone().map(|value| value as _),
            validators: stored.validators.clone(),
        });
        let load = Load::new(self.ctx_of_load(ctx, landing.hash), before);
        let limit = self.config.load_timeout;
        let flight = async move {
            let _loading = landing.inner.meters.loading.enter();
            let started = Instant::now();
            // Called in here, so that its panic is this task's.
            let loading = timeout(limit, async { begin(load.clone(), landing.key.clone()).await });
            let channel = landing.channel.clone();
            let loaded = tokio::select! {
                loaded = loading => loaded,
                () = channel.landed.closed(), if !to_the_end => return landing.abandon(),
            };
            let outcome = loaded.unwrap_or_else(|_| Err(landing.inner.too_late(limit)));
            landing.land(outcome, &load.said(), started.elapsed());
        };
        drop(self.tasks.spawn("cache.load", flight));
    }

    /// The context of a load: until its own limit, and with a position that no invalidated data lies behind.
    pub(crate) fn ctx_of_load(&self, ctx: &Ctx, hash: u64) -> Ctx {
        let deadline = Deadline::after(Instant::now().into_std(), self.config.load_timeout);
        let ctx = ctx.detached().with_deadline(deadline);
        ctx.advance(self.generations.floor(hash).join(self.tombstones.floor()));
        ctx
    }

    pub(crate) fn too_late(&self, after: Duration) -> Error {
        Fault::Timeout { cache: self.name.clone(), after }.into_error()
    }
}

impl<V> Channel<V> {
    fn seat(&self, joined: u64) -> Seat<V> {
        Seat { landed: self.landed.subscribe(), stamp: self.stamp, joined }
    }
}

impl<V> Seat<V> {
    /// Resolves when the flight has landed. Cancel-safe.
    pub(crate) async fn landed(&mut self) -> Landed<V> {
        match self.landed.wait_for(Option::is_some).await {
            Ok(landed) => landed.clone().unwrap_or(Landed::Abandoned),
            // The channel's last owner says how it ended before it goes.
            Err(_) => Landed::Abandoned,
        }
    }

    /// Whether a value under these tags was invalidated between its load's departure and the taking of this place. Which of
    /// several invalidations it was is not kept, so one load too many is made rather than one too few.
    pub(crate) fn was_late(&self, latest: u64) -> bool {
        self.joined > self.stamp && latest > self.stamp
    }
}

impl<K, V> Landing<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    pub(crate) fn key(&self) -> &K {
        &self.key
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// Keeps what was loaded, and tells those aboard.
    pub(crate) fn land(mut self, outcome: Result<Loaded<V>, Error>, said: &Said, cost: Duration) {
        let inner = self.inner.clone();
        inner.meters.load_time.record(cost);
        let landed = match outcome {
            Ok(Loaded::Value(value)) => {
                inner.meters.loads.value.increment();
                self.value(Some(Arc::new(value)), said, cost)
            }
            Ok(Loaded::NotFound) => {
                inner.meters.loads.not_found.increment();
                self.value(None, said, cost)
            }
            Ok(Loaded::NotModified) => {
                inner.meters.loads.not_modified.increment();
                self.same(Some(said.ttl.unwrap_or(inner.config.ttl)), cost)
            }
            Ok(Loaded::Keep) => {
                inner.meters.loads.not_modified.increment();
                self.same(None, cost)
            }
            Err(error) => {
                match error.find::<Fault>() {
                    Some(Fault::Timeout { .. }) => inner.meters.loads.timed_out.increment(),
                    _ => inner.meters.loads.failed.increment(),
                }
                // The old value lives on for a while, so that the next caller does not try at once.
                let _ = self.same(None, cost);
                Landed::Failed(Shared::new(error))
            }
        };
        self.tell(landed);
    }

    fn value(&self, value: Option<Arc<V>>, said: &Said, cost: Duration) -> Landed<V> {
        let inner = &self.inner;
        let tags: Arc<[u64]> = said.tags.iter().map(|tag| shared(tag.as_str())).collect();
        let landed = Landed::Value { value: value.clone(), tags: tags.clone() };
        let ttl = said.ttl.unwrap_or(inner.config.ttl);
        if said.unkept || ttl.is_zero() {
            return landed;
        }
        let Some(weight) = inner.weigh(&self.key, value.as_deref(), said.weight) else {
            inner.meters.discarded_oversize.increment();
            tracing::debug!(cache = %inner.name, "a value above the payload limit was served and not kept");
            // What was there is older than this.
            self.forget();
            return landed;
        };
        let life = inner.life(ttl, cost, value.is_some());
        let validators = said.validators.clone().map(Arc::new);
        let stored = Stored::new(value, self.channel.stamp, tags, validators, life);
        inner.keep(self.hash, &self.key, self.generation, stored, weight);
        landed
    }

    /// What was there before: in a new life, or without a `ttl` kept alive as a stale value.
    fn same(&self, ttl: Option<Duration>, cost: Duration) -> Landed<V> {
        let inner = &self.inner;
        let now = inner.clock.now();
        let renewed = inner.near.read(self.hash, &self.key, |stored| {
            stored.at_worst(now, &inner.tombstones)?;
            let life = match ttl {
                Some(ttl) => inner.life(ttl, cost, stored.value.is_some()),
                None => inner.prolonged(stored.life),
            };
            // Its tags may have been expired meanwhile; this load began after that, or it is refused.
            Some(stored.renewed(life, self.channel.stamp, ttl.is_some()))
        });
        let Some(renewed) = renewed.flatten() else {
            return Landed::Failed(Shared::new(
                Fault::NothingToKeep { cache: inner.name.clone() }.into_error(),
            ));
        };
        let landed = Landed::Value { value: renewed.value.clone(), tags: renewed.tags.clone() };
        if let Some(weight) = inner.weigh(&self.key, renewed.value.as_deref(), None) {
            inner.keep(self.hash, &self.key, self.generation, renewed, weight);
        }
        landed
    }

    fn forget(&self) {
        let inner = &self.inner;
        let removed = inner
            .near
            .remove_if(self.hash, &self.key, |_| inner.generations.now(self.hash) == self.generation);
        inner.was_removed(removed);
    }

    fn abandon(mut self) {
        self.tell(Landed::Abandoned);
    }

    fn tell(&mut self, landed: Landed<V>) {
        self.landed = true;
        // Off the list first: who finds no flight looks at the store, where the value is already.
        self.inner.flights.land(self.hash, self.id);
        self.channel.landed.send_replace(Some(landed));
    }
}

impl<K, V> Drop for Landing<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    fn drop(&mut self) {
        if !self.landed {
            self.inner.meters.loads.broken.increment();
            let broken = Fault::Broken { cache: self.inner.name.clone() }.into_error();
            self.tell(Landed::Failed(Shared::new(broken)));
        }
    }
}
