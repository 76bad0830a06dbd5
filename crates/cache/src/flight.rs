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
use std::task::{Context, Poll};
use std::time::Duration;

use burgeon_core::{Ctx, Deadline, Error, Position};
use burgeon_runtime::Tasks;
use tokio::time::{Instant, timeout};

use crate::errand::Errand;
use crate::far::{Asked, Export};
use crate::fault::{Fault, Shared};
use crate::flights::Boarded;
use crate::inner::Inner;
use crate::load::{Before, Load, Loaded, Said};
use crate::loader::Loading;
use crate::progress::Progress;
use crate::stored::{Life, Look, Stored};
use crate::tags;
use crate::tombstones::Verdict;

/// What those aboard share.
pub(crate) struct Channel<V> {
    progress: Progress<V>,
    /// The cache's version when the load began.
    pub(crate) stamp: u64,
    errand: Errand,
}

/// A flight whose way to the second tier is its first caller's.
pub(crate) struct Carried<V> {
    channel: Arc<Channel<V>>,
    tasks: Tasks,
    /// When the second tier has answered, or is waited for no longer.
    pub(crate) answered_by: Instant,
}

/// How a flight ended.
pub(crate) enum Landed<V> {
    /// With a value, under these tags; if it is a stale one, until when it is not asked for again.
    Value { value: Option<Arc<V>>, tags: Arc<[u64]>, stale: Option<u64> },
    /// With a failure.
    Failed(Shared),
    /// Nobody waited any more, and so it was given up. Whoever came too late to prevent that begins anew.
    Abandoned,
}

impl<V> Clone for Landed<V> {
    fn clone(&self) -> Self {
        match self {
            Self::Value { value, tags, stale } => {
                Self::Value { value: value.clone(), tags: tags.clone(), stale: *stale }
            }
            Self::Failed(shared) => Self::Failed(shared.clone()),
            Self::Abandoned => Self::Abandoned,
        }
    }
}

impl<V> Landed<V> {
    fn of(stored: &Stored<V>) -> Self {
        let stale = stored.life.stale.then_some(stored.life.fresh);
        Self::Value { value: stored.value.clone(), tags: stored.tags.clone(), stale }
    }
}

/// A place aboard.
pub(crate) struct Seat<V> {
    channel: Arc<Channel<V>>,
    place: u64,
    stamp: u64,
    /// The cache's version when the place was taken.
    joined: u64,
}

/// Ends a flight in every case: dropped without having landed, it says that it is broken.
pub(crate) struct Landing<K, V> {
    inner: Arc<Inner<K, V>>,
    key: K,
    hash: u64,
    id: u64,
    generation: u64,
    channel: Arc<Channel<V>>,
    landed: bool,
}

/// A value; if it is a stale one, until when it is not asked for again.
pub(crate) type Served<V> = (Option<Arc<V>>, Option<u64>);

/// What somebody who must load finds.
pub(crate) enum Gate<K, V> {
    There(Served<V>),
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
            Look::Fresh { value, stale } => Some((value, stale)),
            Look::Early { value, .. } if !early => Some((value, None)),
            Look::Early { .. } | Look::Revalidate(_) | Look::Stale | Look::Nothing => None,
        })
    }

    /// The same, unless what is wanted is `there`: asked under the lock that flights begin under.
    pub(crate) fn board_unless(
        self: &Arc<Self>,
        hash: u64,
        key: &K,
        least: u64,
        there: impl FnOnce() -> Option<Served<V>>,
    ) -> Gate<K, V> {
        let joined = self.tombstones.now();
        let boarded = self.flights.board(
            hash,
            key,
            &self.generations,
            // After a clear nobody joins what began before it.
            |channel| channel.stamp >= least && self.tombstones.verdict(channel.stamp, &[]) == Verdict::Alive,
            there,
            || {
                Arc::new(Channel {
                    progress: Progress::new(),
                    stamp: self.tombstones.now(),
                    errand: Errand::default(),
                })
            },
        );
        match boarded {
            Boarded::There(served) => Gate::There(served),
            Boarded::Joined(channel) => {
                channel.errand.share(&self.tasks);
                Gate::Joined(channel.seat(joined))
            }
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
        let (inner, ctx) = (self.clone(), ctx.clone());
        let flight = async move {
            let _loading = inner.meters.loading.enter();
            let limit = inner.far_limit(&landing);
            if let Some((landing, asked)) = inner.inquire(&ctx, landing, limit, to_the_end).await {
                inner.go_on(ctx, landing, asked, to_the_end, begin).await;
            }
        };
        drop(self.tasks.spawn("cache.load", flight));
    }

    /// The same with a caller who waits for it. As far as the second tier he goes himself, if there is one.
    pub(crate) fn depart_with_caller<B>(
        self: &Arc<Self>,
        ctx: &Ctx,
        landing: Landing<K, V>,
        now: Instant,
        begin: B,
    ) -> Option<Carried<V>>
    where
        B: FnOnce(Load, K) -> Loading<Loaded<V>> + Send + 'static,
    {
        let to_the_end = self.config.background_completion;
        if self.far.is_none() {
            self.depart(ctx, landing, to_the_end, begin);
            return None;
        }
        let limit = self.far_limit(&landing);
        let channel = landing.channel.clone();
        let (inner, ctx) = (self.clone(), ctx.clone());
        channel.errand.begin(Box::pin(async move {
            let loading = inner.meters.loading.enter();
            if let Some((landing, asked)) = inner.inquire(&ctx, landing, limit, to_the_end).await {
                let tasks = inner.tasks.clone();
                let rest = async move {
                    inner.go_on(ctx, landing, asked, to_the_end, begin).await;
                    drop(loading);
                };
                drop(tasks.spawn("cache.load", rest));
            }
        }));
        Some(Carried { channel, tasks: self.tasks.clone(), answered_by: now + limit })
    }

    /// Asks the second tier. `None`: it has landed, or nobody waited for it any more.
    async fn inquire(
        &self,
        ctx: &Ctx,
        landing: Landing<K, V>,
        limit: Duration,
        to_the_end: bool,
    ) -> Option<(Landing<K, V>, Asked<V>)> {
        let asked = tokio::select! {
            biased;
            asked = self.ask_far_within(ctx, &landing, limit) => asked,
            () = landing.is_alone(), if !to_the_end => {
                landing.abandon();
                return None;
            }
        };
        match asked {
            Asked::Land(stored) => {
                landing.adopt(stored);
                None
            }
            asked => Some((landing, asked)),
        }
    }

    /// Loads, when it is its turn.
    async fn go_on<B>(
        self: Arc<Self>,
        ctx: Ctx,
        landing: Landing<K, V>,
        asked: Asked<V>,
        to_the_end: bool,
        begin: B,
    ) where
        B: FnOnce(Load, K) -> Loading<Loaded<V>> + Send + 'static,
    {
        let ctx = self.ctx_of_load(&ctx, landing.hash);
        let (asked, turn) = tokio::select! {
            asked = self.take_turns(&ctx, &landing, asked) => asked,
            () = landing.is_alone(), if !to_the_end => return landing.abandon(),
        };
        let key = turn.is_some().then(|| landing.key.clone());
        self.clone().fly(ctx, landing, asked, to_the_end, begin).await;
        if let (Some(key), Some(turn)) = (key, turn) {
            self.give_turn_back(&key, turn).await;
        }
    }

    /// The rest of a flight, once the second tier has been asked.
    pub(crate) async fn fly<B>(
        self: Arc<Self>,
        ctx: Ctx,
        landing: Landing<K, V>,
        asked: Asked<V>,
        to_the_end: bool,
        begin: B,
    ) where
        B: FnOnce(Load, K) -> Loading<Loaded<V>> + Send + 'static,
    {
        let (ticket, place) = match asked {
            Asked::Land(stored) => return landing.adopt(stored),
            Asked::Load(ticket) => (ticket, None),
            Asked::LoadInPlace => match self.place_to_load(&landing).await {
                Ok(place) => (None, place),
                Err(error) => return landing.refuse(error),
            },
        };
        let before = self.near.read(landing.hash, &landing.key, |stored| Before {
            value: stored.value.clone().map(|value| value as _),
            validators: stored.validators.clone(),
        });
        let load = Load::new(ctx, before);
        let limit = self.config.load_timeout;
        let started = Instant::now();
        // Called in here, so that its panic is this task's.
        let loading = timeout(limit, async { begin(load.clone(), landing.key.clone()).await });
        let loaded = tokio::select! {
            loaded = loading => loaded,
            () = landing.is_alone(), if !to_the_end => return landing.abandon(),
        };
        drop(place);
        let outcome = loaded.unwrap_or_else(|_| Err(self.too_late(limit)));
        let export = landing.land(outcome, &load.said(), load.ctx().position(), started.elapsed());
        if let (Some(far), Some(ticket), Some(export)) = (&self.far, ticket, export) {
            // Those aboard have their value; this is for the other nodes.
            far.offer(ticket, export).await;
        }
    }

    /// The context of a load, whose value is kept: until its own limit, with a position that no invalidated data lies behind, and
    /// with the marks that readers have shown here. They may be served what it brings, so it must find no less in other caches than
    /// they would.
    pub(crate) fn ctx_of_load(&self, ctx: &Ctx, hash: u64) -> Ctx {
        let deadline = Deadline::after(Instant::now().into_std(), self.config.load_timeout);
        let ctx = ctx.detached().with_deadline(deadline).lasting();
        self.unheard().into_iter().for_each(|mark| ctx.mark(mark));
        ctx.advance(self.generations.floor(hash).join(self.tombstones.floor()));
        ctx
    }

    pub(crate) fn too_late(&self, after: Duration) -> Error {
        Fault::Timeout { cache: self.name.clone(), after }.into_error()
    }
}

impl<V> Channel<V> {
    fn seat(self: &Arc<Self>, joined: u64) -> Seat<V> {
        Seat { channel: self.clone(), place: self.progress.enter(), stamp: self.stamp, joined }
    }
}

impl<V> Drop for Seat<V> {
    fn drop(&mut self) {
        self.channel.progress.leave(self.place);
    }
}

impl<V> Carried<V> {
    /// Goes on as far as it goes now. Ready: it has come back from the second tier, or somebody else goes on with it.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.channel.errand.poll(&self.tasks, cx)
    }
}

impl<V> Drop for Carried<V> {
    fn drop(&mut self) {
        self.channel.errand.leave(&self.tasks);
    }
}

impl<V> Seat<V> {
    /// How the flight has landed, if it has.
    pub(crate) fn has_landed(&self) -> Option<Landed<V>> {
        self.channel.progress.has_landed()
    }

    /// Resolves when the flight has landed. Cancel-safe.
    pub(crate) async fn landed(&mut self) -> Landed<V> {
        self.channel.progress.landed(self.place).await
    }

    /// Resolves when the flight has landed, or has found something stale on the way. Cancel-safe.
    pub(crate) async fn stirred(&mut self) {
        self.channel.progress.stirred(self.place).await;
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

    /// Resolves when nobody waits for it any more.
    async fn is_alone(&self) {
        self.channel.progress.is_alone().await;
    }

    /// Keeps what was loaded, and tells those aboard.
    pub(crate) fn land(
        mut self,
        outcome: Result<Loaded<V>, Error>,
        said: &Said,
        position: Position,
        cost: Duration,
    ) -> Option<Export<V>> {
        let inner = self.inner.clone();
        inner.meters.load_time.record(cost);
        let (landed, export) = match outcome {
            Ok(Loaded::Value(value)) => {
                inner.meters.loads.value.increment();
                self.value(Some(Arc::new(value)), said, position, cost)
            }
            Ok(Loaded::NotFound) => {
                inner.meters.loads.not_found.increment();
                self.value(None, said, position, cost)
            }
            Ok(Loaded::NotModified) => {
                inner.meters.loads.not_modified.increment();
                self.same(Some((said.ttl.unwrap_or(inner.config.ttl), said.stale_until)), position, cost)
            }
            Ok(Loaded::Keep) => {
                inner.meters.loads.not_modified.increment();
                (self.same(None, position, cost).0, None)
            }
            Err(error) => {
                match error.find::<Fault>() {
                    Some(Fault::Timeout { .. }) => inner.meters.loads.timed_out.increment(),
                    _ => inner.meters.loads.failed.increment(),
                }
                // The old value lives on for a while, so that the next caller does not try at once.
                let _ = self.same(None, position, cost);
                (Landed::Failed(Shared::new(error)), None)
            }
        };
        self.tell(landed);
        export
    }

    /// Lands with what another node has loaded.
    pub(crate) fn adopt(mut self, stored: Stored<V>) {
        let landed = Landed::of(&stored);
        self.keep(stored);
        self.tell(landed);
    }

    /// Keeps what another node has loaded.
    fn keep(&self, stored: Stored<V>) {
        if let Some(weight) = self.inner.weigh(&self.key, stored.value.as_deref(), None) {
            self.inner.keep(self.hash, &self.key, self.generation, stored, weight);
        }
    }

    /// Keeps what is stale, and tells those aboard that there is something to fall back on.
    pub(crate) fn found_stale(&self, stored: Stored<V>) {
        self.keep(stored);
        self.channel.progress.found_stale();
    }

    /// Lands without having loaded.
    pub(crate) fn refuse(mut self, error: Error) {
        // The old value lives on for a while, so that the next caller does not try at once.
        let _ = self.same(None, Position::START, Duration::ZERO);
        self.tell(Landed::Failed(Shared::new(error)));
    }

    /// The cache's version when it departed.
    pub(crate) fn stamp(&self) -> u64 {
        self.channel.stamp
    }

    fn value(
        &self,
        value: Option<Arc<V>>,
        said: &Said,
        position: Position,
        cost: Duration,
    ) -> (Landed<V>, Option<Export<V>>) {
        let inner = &self.inner;
        let tags: Arc<[u64]> = said.tags.iter().map(|tag| tags::hash(tag)).collect();
        let ttl = said.ttl.unwrap_or(inner.config.ttl);
        let life = self.bounded(inner.life(ttl, cost, value.is_some()), said.stale_until);
        let stale = life.stale.then_some(life.fresh);
        let landed = Landed::Value { value: value.clone(), tags: tags.clone(), stale };
        // Where nothing stale is ever served, those who wait get what was made of it, and nobody else.
        let is_unfit = life.stale && inner.config.stale_max.is_zero();
        if said.unkept || ttl.is_zero() || is_unfit {
            return (landed, None);
        }
        let Some(weight) = inner.weigh(&self.key, value.as_deref(), said.weight) else {
            inner.meters.discarded_oversize.increment();
            tracing::debug!(cache = %inner.name, "a value above the payload limit was served and not kept");
            // What was there is older than this.
            self.forget();
            return (landed, None);
        };
        let validators = said.validators.clone().map(Arc::new);
        let stored = Stored::new(value, self.channel.stamp, tags, validators, life);
        let stored = if life.stale { stored.unproved() } else { stored };
        let export = inner.export(&stored, position);
        let is_kept = inner.keep(self.hash, &self.key, self.generation, stored, weight);
        (landed, export.filter(|_| is_kept))
    }

    /// Bounded by when what it was made of is to be asked for again, if some of that was stale.
    fn bounded(&self, life: Life, stale_until: Option<Deadline>) -> Life {
        let Some(until) = stale_until else { return life };
        self.inner.meters.made_of_stale.increment();
        self.inner.of_stale(life, until)
    }

    /// What was there before: in a new life, with its time and when the evidence for it is to be asked for again if that was stale, or
    /// else kept alive as a stale value.
    fn same(
        &self,
        ttl: Option<(Duration, Option<Deadline>)>,
        position: Position,
        cost: Duration,
    ) -> (Landed<V>, Option<Export<V>>) {
        let inner = &self.inner;
        let now = inner.clock.now();
        let renewed = inner.near.read(self.hash, &self.key, |stored| {
            stored.at_worst(now, &inner.tombstones)?;
            let life = match ttl {
                Some((ttl, stale_until)) => {
                    self.bounded(inner.life(ttl, cost, stored.value.is_some()), stale_until)
                }
                None => inner.prolonged(stored.life),
            };
            // Its tags may have been expired meanwhile; this load began after that, or it is refused.
            Some(stored.renewed(life, self.channel.stamp, !life.stale))
        });
        let Some(renewed) = renewed.flatten() else {
            let nothing = Fault::NothingToKeep { cache: inner.name.clone() }.into_error();
            return (Landed::Failed(Shared::new(nothing)), None);
        };
        let landed = Landed::of(&renewed);
        let mut export = inner.export(&renewed, position);
        if let Some(weight) = inner.weigh(&self.key, renewed.value.as_deref(), None) {
            let is_kept = inner.keep(self.hash, &self.key, self.generation, renewed, weight);
            export = export.filter(|_| is_kept);
        }
        (landed, export)
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
}

impl<K, V> Landing<K, V> {
    fn tell(&mut self, landed: Landed<V>) {
        self.landed = true;
        // Off the list first: who finds no flight looks at the store, where the value is already.
        self.inner.flights.land(self.hash, self.id);
        self.channel.progress.land(landed);
    }
}

impl<K, V> Drop for Landing<K, V> {
    fn drop(&mut self) {
        if !self.landed {
            self.inner.meters.loads.broken.increment();
            let broken = Fault::Broken { cache: self.inner.name.clone() }.into_error();
            self.tell(Landed::Failed(Shared::new(broken)));
        }
    }
}
