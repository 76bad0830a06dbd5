//! The caches of an application: made by name, each with its own size, lifetimes and loader.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use burgeon_cluster::Bus;
use burgeon_core::units::Size;
use burgeon_core::{Ctx, Error, Position, Result};
use burgeon_db::{Db, Tx};
use burgeon_meter::Meters;
use burgeon_resilience::random::Dice;
use burgeon_runtime::Tasks;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cache::Cache;
use crate::far::{self, Codec, Far, FarMeters, Remote, Tier};
use crate::flights::Flights;
use crate::generations::Generations;
use crate::hashes::{self, Hashes, dialect};
use crate::inner::{Inner, Measure};
use crate::load::{Load, Loaded};
use crate::loader::Loader;
use crate::meters::CacheMeters;
use crate::near::Near;
use crate::neighbours::Neighbours;
use crate::news::{About, Desk, Ears, News, keep};
use crate::sync::hold;
use crate::tombstones::{Reach, Tombstones};
use crate::tx::InvalidateOnCommit as _;
use crate::view::View;
use crate::{Clock, Config, Invalidation};

/// Makes caches. Cloning shares the list.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use std::time::Duration;
///
/// use burgeon_cache::{Cache, Caches, Config, Load};
/// use burgeon_core::{Ctx, Result};
///
/// async fn load_product(shelf: &'static [&'static str], load: Load, id: usize) -> Result<Option<String>> {
///     load.tag(format_args!("product:{id}"));
///     Ok(shelf.get(id).map(|name| name.to_string()))
/// }
///
/// let meters = burgeon_meter::Meters::new();
/// let tasks = burgeon_runtime::Tasks::new(&meters);
/// let caches = Caches::new(&Config::default(), &tasks, &meters)?;
///
/// let products: Cache<usize, String> =
///     caches.named("product").ttl(Duration::from_secs(60)).loader(&["mug", "plate"][..], load_product);
///
/// let ctx = Ctx::background();
/// assert_eq!(products.get(&ctx, &0).await?.as_deref().map(String::as_str), Some("mug"));
/// assert_eq!(products.get(&ctx, &7).await?, None);
/// products.invalidate_tag(&ctx, "product:0");
/// # Result::<()>::Ok(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Caches(Arc<Shared>);

struct Shared {
    config: Config,
    tasks: Tasks,
    meters: Meters,
    clock: Clock,
    ears: Arc<Ears>,
    desk: OnceLock<Arc<Desk>>,
    far: OnceLock<Arc<Remote>>,
    // In the order of their ranks. Not a tokio mutex: nothing awaits under it.
    made: Mutex<Vec<Made>>,
}

/// A cache, whatever its types.
struct Made {
    name: String,
    rank: Rank,
    view: Box<dyn Fn() -> View + Send + Sync>,
    purge: Arc<dyn Fn(&Purge<'_>) -> Invalidation + Send + Sync>,
}

/// What is to go from several caches goes from those first of which others are made: made anew from what is still to go, it would
/// stay. Values are made of values in caches that were made before, whose handles the loader holds. Responses are made of any,
/// because handlers come later than all caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    Values,
    #[cfg(feature = "http")]
    Responses,
}

/// Everything under a tag is wrong.
pub(crate) enum Purge<'a> {
    Now(&'a Ctx, &'a str),
    OnCommit(&'a Tx, &'a str),
}

/// A cache that is about to be made. Ends with [`loader`](Self::loader), [`batch_loader`](Self::batch_loader) or
/// [`without_loader`](Self::without_loader).
#[must_use = "a cache is made by `loader`, `batch_loader` or `without_loader`"]
pub struct Named<K, V> {
    shared: Arc<Shared>,
    name: String,
    rank: Rank,
    config: Config,
    size: u64,
    measure: Measure<K, V>,
    fallback: Option<Arc<V>>,
    codec: Option<Codec<K, V>>,
    once_per_cluster: Option<Duration>,
}

impl Caches {
    /// Caches whose loads are tasks of `tasks`, and which count in `meters`.
    ///
    /// # Errors
    /// [`Kind::Invalid`](burgeon_core::Kind::Invalid) when the configuration makes no sense.
    pub fn new(config: &Config, tasks: &Tasks, meters: &Meters) -> Result<Self> {
        Self::with_clock(config, tasks, meters, Clock::coarse())
    }

    /// As [`new`](Self::new), with lifetimes by another clock: [`Clock::exact`] where a test pauses the time.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_clock(config: &Config, tasks: &Tasks, meters: &Meters, clock: Clock) -> Result<Self> {
        config.validate().map_err(Error::invalid)?;
        let (config, tasks, meters) = (config.clone(), tasks.clone(), meters.clone());
        Ok(Self(Arc::new(Shared {
            config,
            tasks,
            meters,
            clock,
            ears: Arc::default(),
            desk: OnceLock::new(),
            far: OnceLock::new(),
            made: Mutex::default(),
        })))
    }

    /// These caches on several nodes: what is invalidated on one is invalidated on all that are on the same bus. A cache is
    /// the same one by its name.
    ///
    /// While not every node is heard, values are served for [`Config::age_unheard`] only; see [`news`](Self::news).
    ///
    /// # Panics
    /// When there is a cache already, or a bus: defects, found at start.
    #[track_caller]
    #[must_use]
    pub fn on_bus(self, bus: &Bus) -> Self {
        assert!(hold(&self.0.made).is_empty(), "caches go on the bus before the first is made");
        let desk = Desk::open(bus, &self.0.ears, &self.0.tasks, &self.0.meters);
        assert!(self.0.desk.set(desk).is_ok(), "caches are on one bus");
        self
    }

    /// Gives the caches a second tier. Those take part in it that say [`Named::far`].
    ///
    /// # Panics
    /// When there is a cache already, or a second tier: defects, found at start.
    #[track_caller]
    #[must_use]
    pub fn on_far(self, far: Far) -> Self {
        let Shared { config, tasks, far: place, made, .. } = &*self.0;
        assert!(hold(made).is_empty(), "caches get a second tier before the first is made");
        if let Some(db) = far.store.database() {
            far::sweep(db, &config.far, tasks);
        }
        let remote = Arc::new(Remote::new(far.store, far.application, &config.far));
        assert!(place.set(remote).is_ok(), "caches have one second tier");
        self
    }

    /// Says, again and again, what a node that died has committed, written down ([`Config::durable`]) and not said. One of
    /// these per node, once the [migrations](crate::migrations) have run; without `durable`, or without a bus, it does nothing.
    pub fn mend(&self, db: &Db) {
        if let Some(desk) = self.0.desk.get().filter(|_| self.0.config.durable) {
            keep(desk, db, &self.0.tasks);
        }
    }

    /// One turn of [`mend`](Self::mend); answers how many invalidations it said.
    ///
    /// # Errors
    /// Whatever befell the database.
    pub async fn mend_once(&self, db: &Db) -> Result<usize> {
        match self.0.desk.get() {
            Some(desk) => desk.outbox.turn(desk, db).await,
            None => Ok(0),
        }
    }

    /// What these caches know of what happens on other nodes.
    pub fn news(&self) -> News {
        match self.0.desk.get() {
            None => News::Alone,
            Some(desk) if desk.is_whole() => News::Whole,
            Some(_) => News::Aging,
        }
    }

    /// Everything may be out of date, in every cache of this process: somebody has changed the data who could not say what. As
    /// [`Cache::expire_all`] of each, here alone.
    pub fn distrust(&self) {
        self.0.ears.doubt(Position::START, false);
    }

    /// A cache of this name. The name labels its meters.
    pub fn named<K, V>(&self, name: impl Into<String>) -> Named<K, V> {
        Named {
            shared: self.0.clone(),
            name: name.into(),
            rank: Rank::Values,
            config: self.0.config.clone(),
            size: self.0.config.entries,
            measure: Measure::Entries,
            fallback: None,
            codec: None,
            once_per_cluster: None,
        }
    }

    #[cfg(feature = "http")]
    pub(crate) fn meters(&self) -> &Meters {
        &self.0.meters
    }

    /// What a person wants to know of each, by name.
    pub fn view(&self) -> Vec<View> {
        let mut all: Vec<View> = hold(&self.0.made).iter().map(|made| (made.view)()).collect();
        all.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        all
    }

    /// Everything under the tag is wrong, in every cache: [`Cache::invalidate_tag`] of each. So whoever changes something need
    /// not know who has made what of it. In a transaction use
    /// [`InvalidateOnCommit::purge`](crate::InvalidateOnCommit::purge) instead.
    pub fn purge(&self, ctx: &Ctx, tag: impl fmt::Display) -> Invalidation {
        self.each(&Purge::Now(ctx, &tag.to_string()))
    }

    pub(crate) fn each(&self, purge: &Purge<'_>) -> Invalidation {
        let mut all = Invalidation::of(None);
        // Cloned, because a purge must not hold the list.
        let of_each: Vec<_> = hold(&self.0.made).iter().map(|made| made.purge.clone()).collect();
        of_each.iter().for_each(|of_one| all.and(of_one(purge)));
        all
    }
}

impl fmt::Debug for Caches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let made = hold(&self.0.made);
        let names: Vec<&str> = made.iter().map(|made| made.name.as_str()).collect();
        f.debug_struct("Caches").field("made", &names).finish_non_exhaustive()
    }
}

impl<K, V> Named<K, V>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// Holds at most so many entries. By default as many as [`Config::entries`].
    pub fn entries(mut self, entries: u64) -> Self {
        (self.size, self.measure) = (entries, Measure::Entries);
        self
    }

    /// Takes at most so many bytes. `measure` says how many a key and a value take, without the 256 that the cache adds for
    /// itself.
    pub fn bytes(mut self, size: Size, measure: impl Fn(&K, &V) -> u64 + Send + Sync + 'static) -> Self {
        (self.size, self.measure) = (size.as_bytes(), Measure::Bytes(Arc::new(measure)));
        self
    }

    /// How long values are fresh.
    pub fn ttl(self, ttl: Duration) -> Self {
        self.with(|config| config.ttl = ttl)
    }

    /// How long after that a value is served at once while a load goes on behind it.
    pub fn revalidate(self, revalidate: Duration) -> Self {
        self.with(|config| config.revalidate = revalidate)
    }

    /// How long a refresh waits for others, to be one load with them; see [`Config::gather`]. Worth more than the default
    /// where values are [revalidated](Self::revalidate), so that nobody waits for it.
    pub fn gather(self, gather: Duration) -> Self {
        self.with(|config| config.gather = gather)
    }

    /// Serves this when a load fails and there is no older value.
    pub fn fallback(mut self, value: V) -> Self {
        self.fallback = Some(Arc::new(value));
        self
    }

    /// Lets the cache take part in the second tier, if the application has one ([`Caches::on_far`]): what one node has loaded
    /// the others find there, and so does this one after a restart.
    ///
    /// Keys and values must be such that they can be written and read again. Two programs whose types differ do not see each
    /// other's values; an invalidation by either kills those of both. If the type of the *keys* changes, change the name, too.
    pub fn far(mut self) -> Self
    where
        K: Serialize,
        V: Serialize + DeserializeOwned,
    {
        self.codec = Some(Codec::new());
        self
    }

    /// One load per key in the whole cluster: a node that needs a key which another one is loading waits for it and takes it from the
    /// second tier, so the cache takes part in that ([`far`](Self::far)). Without a second tier each node loads for itself.
    ///
    /// `within`: if a node has not finished its load by then, or died over it, another one begins. A little more than
    /// the slowest load that is usual; two loads at once do no harm.
    pub fn once_per_cluster(self, within: Duration) -> Self
    where
        K: Serialize,
        V: Serialize + DeserializeOwned,
    {
        let mut named = self.far();
        named.once_per_cluster = Some(within);
        named
    }

    /// What it holds are responses.
    #[cfg(feature = "http")]
    pub(crate) fn of_responses(mut self) -> Self {
        self.rank = Rank::Responses;
        self
    }

    /// Changes any setting for this cache alone.
    pub fn with(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// The cache, whose values come from `load`. `parts` is what it needs: a database, a client, a tuple of several.
    ///
    /// The loader belongs to the cache, because it outlives its first caller, and refreshes have no caller at all. It returns
    /// a value, an `Option` where there may be none, or [`Loaded`] when it has more to say.
    ///
    /// # Panics
    /// When there is a cache of this name already, or its settings make no sense: defects, found at start.
    #[track_caller]
    pub fn loader<P, F, Fut, R>(self, parts: P, load: F) -> Cache<K, V>
    where
        P: Clone + Send + Sync + 'static,
        F: Fn(P, Load, K) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R>> + Send + 'static,
        R: Into<Loaded<V>>,
    {
        self.make(Some(Loader::one(parts, load)))
    }

    /// The cache, whose values come from `load`, which is asked for many keys at once where that is possible and for one
    /// otherwise. What it does not answer, there is not.
    ///
    /// # Panics
    /// As [`loader`](Self::loader).
    #[track_caller]
    pub fn batch_loader<P, F, Fut>(self, parts: P, load: F) -> Cache<K, V>
    where
        P: Clone + Send + Sync + 'static,
        F: Fn(P, Load, Vec<K>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<HashMap<K, V>>> + Send + 'static,
    {
        self.make(Some(Loader::many(parts, load)))
    }

    /// The cache, whose values come from [`get_or_load`](Cache::get_or_load) and [`set`](Cache::set). Nothing refreshes
    /// itself in it.
    ///
    /// # Panics
    /// As [`loader`](Self::loader).
    #[track_caller]
    pub fn without_loader(self) -> Cache<K, V> {
        self.make(None)
    }

    #[track_caller]
    #[expect(
        clippy::panic,
        reason = "two caches of one name, or unsafe settings, are defects found at start"
    )]
    fn make(self, loader: Option<Loader<K, V>>) -> Cache<K, V> {
        let Named { shared, name, rank, config, size, measure, fallback, codec, once_per_cluster } = self;
        if let Err(why) = config.validate() {
            panic!("the cache `{name}`: {why}");
        }
        // A guess; it only sizes what grows or adapts.
        let residents = match measure {
            Measure::Entries => size,
            Measure::Bytes(_) => size / 1_024,
        };
        let cache_name: Arc<str> = name.as_str().into();
        let far = codec.zip(shared.far.get()).map(|(codec, remote)| {
            let meters = FarMeters::new(&shared.meters, &name);
            let own = (&shared.tasks, shared.ears.unsettled());
            Tier::new(codec, &cache_name, &config.far, remote, meters, own)
        });
        let hashes = Hashes::new(shared.desk.get().is_some());
        let about = About { cache: hashes::shared(name.as_str()), dialect: dialect::<K>() };
        let inner = Arc::new(Inner {
            near: Near::new(size, residents.max(1)),
            far,
            flights: Flights::new(),
            gathering: Mutex::new(None),
            generations: Generations::new(config.stripes),
            tombstones: Tombstones::new(),
            meters: CacheMeters::new(&shared.meters, &name),
            tasks: shared.tasks.clone(),
            clock: shared.clock,
            dice: Dice::seeded(hashes.of_shared(about.cache)),
            neighbours: shared.desk.get().map(|desk| Neighbours::new(desk.clone(), about)),
            name: cache_name,
            config,
            measure,
            loader,
            fallback,
            hashes,
            once_per_cluster,
        });
        let cache = Cache::new(inner);
        // Weak, so that the list keeps no cache alive.
        let heard = Arc::downgrade(cache.inner());
        shared.ears.add(rank, about.cache, move |news| {
            if let Some(inner) = heard.upgrade() {
                inner.hear(news);
            }
        });
        let seen = Arc::downgrade(cache.inner());
        let last = cache.view();
        let view = move || seen.upgrade().map_or_else(|| last.clone(), |inner| View::of(&inner));
        let purged = Arc::downgrade(cache.inner());
        let purge = move |purge: &Purge<'_>| match (purged.upgrade(), purge) {
            (Some(inner), Purge::Now(ctx, tag)) => {
                inner.behind(inner.invalidate_tag(ctx, tag, Reach::Remove))
            }
            (Some(inner), Purge::OnCommit(tx, tag)) => {
                tx.invalidate_tag(&Cache::new(inner), tag);
                Invalidation::of(None)
            }
            (None, _) => Invalidation::of(None),
        };
        let mut all = hold(&shared.made);
        if all.iter().any(|made| made.name == name) {
            panic!("there are two caches called `{name}`; a name is one cache, to be cloned");
        }
        let place = all.partition_point(|made| made.rank <= rank);
        all.insert(place, Made { name, rank, view: Box::new(view), purge: Arc::new(purge) });
        drop(all);
        cache
    }
}

impl<K, V> fmt::Debug for Named<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Named")
            .field("name", &self.name)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
