//! The life of a read: memory, then a load shared with all who want the same, then the next best thing.

use std::borrow::Borrow;
use std::future::poll_fn;
use std::hash::Hash;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use burgeon_core::{Ctx, Result};
use tokio::time::{Instant, timeout_at};

use crate::fault::Fault;
use crate::flight::{Carried, Gate, Landed, Seat, Served};
use crate::inner::{Inner, millis};
use crate::load::{Load, Loaded};
use crate::loader::Loading;
use crate::stored::{Look, Stored};

/// A caller with a stale value at hand waits for this part of its remaining time.
const PATIENCE: u32 = 4;

impl<K, V> Inner<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// The way of nearly all reads. `None`: it takes more than memory. `least`: see [`Inner::least`]; zero for most readers.
    #[inline]
    pub(crate) fn hit<Q>(
        self: &Arc<Self>,
        ctx: &Ctx,
        hash: u64,
        key: &Q,
        least: u64,
    ) -> Option<Option<Arc<V>>>
    where
        K: Borrow<Q>,
        Q: Eq + ToOwned<Owned = K> + ?Sized,
    {
        let reader = self.reader(least);
        // What takes a closer look has a place of its own, so that a plain hit is handed on in registers and not through memory.
        let mut look = None;
        let found = self.near.read(hash, key, |stored| {
            let value = stored.at_once(reader);
            if value.is_none() {
                look = Some(stored.look(reader, &self.tombstones));
            }
            value
        });
        match found? {
            Some(value) => {
                self.meters.hit(hash);
                Some(value)
            }
            None => self.served(ctx, look?, hash, key),
        }
    }

    /// What of this is served without waiting, and what is done for the next who ask.
    fn served<Q>(self: &Arc<Self>, ctx: &Ctx, look: Look<V>, hash: u64, key: &Q) -> Option<Option<Arc<V>>>
    where
        K: Borrow<Q>,
        Q: ToOwned<Owned = K> + ?Sized,
    {
        match look {
            Look::Fresh { value, stale: None } => {
                self.meters.hit(hash);
                Some(value)
            }
            Look::Fresh { value, stale: Some(until) } => {
                self.tell_stale(ctx, until);
                self.meters.hits_stale.increment();
                self.meters.stale_failed.increment();
                Some(value)
            }
            Look::Early { value, remaining, cost } => {
                self.meters.hit(hash);
                if self.is_due(remaining, cost + millis(self.gathers()))
                    && self.refresh(hash, &key.to_owned())
                {
                    self.meters.refreshed_early.increment();
                }
                Some(value)
            }
            // Not to what is made of it and kept: that would be as old for all its time.
            Look::Revalidate(value) if self.loader.is_some() && !ctx.is_lasting() => {
                self.meters.hits_stale.increment();
                self.meters.stale_revalidating.increment();
                self.refresh(hash, &key.to_owned());
                Some(value)
            }
            Look::Revalidate(_) | Look::Stale | Look::Nothing => None,
        }
    }

    /// Begins a load that nobody waits for, unless one is under way. Answers whether it did.
    fn refresh(self: &Arc<Self>, hash: u64, key: &K) -> bool {
        let Some(loader) = self.loader.clone() else { return false };
        // Somebody else won, or it has happened already.
        let Gate::Leads(_, landing) = self.board(hash, key, true, 0) else { return false };
        match self.gathers().is_zero() {
            true => self.depart(&Ctx::background(), landing, true, move |load, key| loader.load(load, key)),
            false => self.depart_in_company(landing, loader),
        }
        true
    }

    /// The whole way with the cache's own loader. Boxed, so that a hit carries no load's future about.
    #[cold]
    pub(crate) fn fetch(self: Arc<Self>, ctx: Ctx, hash: u64, key: K) -> Loading<Option<Arc<V>>> {
        let Some(loader) = self.loader.clone() else {
            let missing = Err(self.no_loader());
            return Box::pin(async move { missing });
        };
        Box::pin(self.walk(ctx, hash, key, move |load, key| loader.load(load, key)))
    }

    /// The whole way. `begin` is called at most once: whoever leads a load takes what it brings.
    pub(crate) async fn walk<B>(
        self: Arc<Self>,
        ctx: Ctx,
        hash: u64,
        key: K,
        begin: B,
    ) -> Result<Option<Arc<V>>>
    where
        B: FnOnce(Load, K) -> Loading<Loaded<V>> + Send + 'static,
    {
        if !self.config.enabled {
            return self.unkept(begin(Load::new(ctx, None), key).await?);
        }
        let started = Instant::now();
        let until = self.until(&ctx, started);
        let least = self.least(&ctx).await;
        if least > 0
            && let Some(value) = self.hit(&ctx, hash, &key, least)
        {
            return Ok(value);
        }
        self.meters.misses.increment();
        let mut begin = Some(begin);
        // Nobody has waited yet who is bound to nothing.
        let mut now = if ctx.is_marked() { Instant::now() } else { started };
        loop {
            // Work past its deadline is not started.
            if until <= now {
                return self.settle_for_less(&ctx, hash, &key, least, || self.too_late(started.elapsed()));
            }
            let mut carried = None;
            let mut leads = false;
            let mut seat = match self.board(hash, &key, false, least) {
                Gate::There(served) => return Ok(self.serve(&ctx, served)),
                Gate::Joined(seat) => {
                    self.meters.joined.increment();
                    self.hurry();
                    seat
                }
                Gate::Leads(seat, landing) => {
                    if let Some(begin) = begin.take() {
                        carried = self.depart_with_caller(&ctx, landing, now, begin);
                    }
                    leads = true;
                    seat
                }
            };
            match self.wait_with(carried, &mut seat, hash, &key, least, (now, until)).await {
                Waited::Landed(Landed::Value { value, tags, stale }) => {
                    // Made of something stale it may be older than what this reader has done, unless it was made for him.
                    let is_old = stale.is_some() && least > 0 && !leads;
                    if !is_old && !seat.was_late(self.tombstones.latest(&tags)) {
                        return Ok(self.serve(&ctx, (value, stale)));
                    }
                }
                Waited::Landed(Landed::Failed(shared)) => {
                    return self.settle_for_less(&ctx, hash, &key, least, || shared.into_error());
                }
                Waited::Landed(Landed::Abandoned) => {}
                Waited::Stale(value) => {
                    self.tell_worst(&ctx, hash, &key);
                    return Ok(value);
                }
                Waited::TooLong => {
                    return self
                        .settle_for_less(&ctx, hash, &key, least, || self.too_late(started.elapsed()));
                }
            }
            now = Instant::now();
        }
    }

    /// Until when a caller waits.
    pub(crate) fn until(&self, ctx: &Ctx, now: Instant) -> Instant {
        let limit = now + self.config.load_timeout;
        ctx.deadline().map_or(limit, |deadline| limit.min(deadline.instant().into()))
    }

    /// Waits for the landing, and goes as far as the second tier for it, if that is this caller's errand.
    async fn wait_with(
        &self,
        carried: Option<Carried<V>>,
        seat: &mut Seat<V>,
        hash: u64,
        key: &K,
        least: u64,
        (now, until): (Instant, Instant),
    ) -> Waited<V> {
        let Some(carried) = carried else { return self.wait(seat, hash, key, least, until).await };
        let leaves = match self.at_worst(hash, key, least) {
            Some(_) => now + self.patience(now, until),
            None => until,
        };
        // The second tier answers before he would leave: a timer more would say nothing new.
        if carried.answered_by <= leaves {
            poll_fn(|cx| carried.poll(cx)).await;
            return match seat.has_landed() {
                Some(landed) => Waited::Landed(landed),
                None => self.wait(seat, hash, key, least, until).await,
            };
        }
        let mut waited = pin!(self.wait(seat, hash, key, least, until));
        poll_fn(|cx| {
            // Its end is the flight's, or begins a load: either is waited for.
            let _ = carried.poll(cx);
            waited.as_mut().poll(cx)
        })
        .await
    }

    /// How long a caller waits with a stale value at hand.
    fn patience(&self, now: Instant, until: Instant) -> Duration {
        ((until - now) / PATIENCE).min(self.config.soft_timeout)
    }

    /// Waits for the landing; with a stale value at hand, only as long as patience goes.
    pub(crate) async fn wait(
        &self,
        seat: &mut Seat<V>,
        hash: u64,
        key: &K,
        least: u64,
        until: Instant,
    ) -> Waited<V> {
        // The flight may find something to fall back on.
        if self.at_worst(hash, key, least).is_none() && timeout_at(until, seat.stirred()).await.is_err() {
            return Waited::TooLong;
        }
        if self.at_worst(hash, key, least).is_some() {
            let now = Instant::now();
            if let Ok(landed) = timeout_at(now + self.patience(now, until), seat.landed()).await {
                return Waited::Landed(landed);
            }
            // Looked up again: it may have been removed while we waited.
            if let Some(value) = self.at_worst(hash, key, least) {
                self.meters.stale_slow.increment();
                return Waited::Stale(value);
            }
        }
        match timeout_at(until, seat.landed()).await {
            Ok(landed) => Waited::Landed(landed),
            Err(_) => Waited::TooLong,
        }
    }

    /// The value, to whoever must know if it is a stale one.
    pub(crate) fn serve(&self, ctx: &Ctx, (value, stale): Served<V>) -> Option<Arc<V>> {
        if let Some(until) = stale {
            self.tell_stale(ctx, until);
        }
        value
    }

    /// Whoever makes something lasting of the next best thing learns when to ask again: when this cache does, if its load has failed,
    /// and if that is only slow, after as long as was waited for it.
    pub(crate) fn tell_worst(&self, ctx: &Ctx, hash: u64, key: &K) {
        if ctx.is_lasting() {
            let soon = self.clock.now().saturating_add(millis(self.config.soft_timeout));
            self.tell_stale(
                ctx,
                self.near.read(hash, key, Stored::until).map_or(soon, |until| until.max(soon)),
            );
        }
    }

    /// The stale value, the fallback, or the error: in this order.
    pub(crate) fn settle_for_less(
        &self,
        ctx: &Ctx,
        hash: u64,
        key: &K,
        least: u64,
        error: impl FnOnce() -> burgeon_core::Error,
    ) -> Result<Option<Arc<V>>> {
        if let Some(value) = self.at_worst(hash, key, least) {
            self.meters.stale_failed.increment();
            self.tell_worst(ctx, hash, key);
            return Ok(value);
        }
        match &self.fallback {
            Some(fallback) => {
                self.tell_stale(ctx, self.clock.now().saturating_add(millis(self.config.throttle)));
                Ok(Some(fallback.clone()))
            }
            None => Err(error()),
        }
    }

    pub(crate) fn no_loader(&self) -> burgeon_core::Error {
        Fault::NoLoader { cache: self.name.clone() }.into_error()
    }
}

/// How a wait ended.
pub(crate) enum Waited<V> {
    Landed(Landed<V>),
    Stale(Option<Arc<V>>),
    TooLong,
}
