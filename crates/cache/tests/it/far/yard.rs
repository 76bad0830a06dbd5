//! A store of each sort, and nodes whose caches share it.

use std::sync::Arc;
use std::time::Duration;

use burgeon_cache::{Cache, Caches, Clock, Config, Far, Named};
use burgeon_cluster::Bus;
use burgeon_cluster::bus::{self, Hub, Link};
use burgeon_core::Ctx;
use burgeon_db::{Config as Database, Db, Migrator};
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;
use burgeon_services::Postgres;
use tempfile::TempDir;
use tokio::time::timeout;

use crate::house::{House, Origin};

/// Longer than anything here takes on the busiest machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A store, and a database for transactions.
pub(crate) struct Yard {
    pub(crate) name: &'static str,
    pub(crate) db: Db,
    meters: Meters,
    tier: Tier,
    // The owner of the connection lives as long as it does.
    _tasks: Option<Tasks>,
    _directory: Option<Arc<TempDir>>,
}

enum Tier {
    Database,
    #[cfg(feature = "redis")]
    Redis {
        redis: burgeon_redis::Redis,
        application: String,
        server: Arc<burgeon_services::Redis>,
    },
}

/// A process, as far as caches see it.
pub(crate) struct Node {
    pub(crate) house: House,
    /// Where it has neighbours.
    pub(crate) bus: Option<Bus>,
}

impl Yard {
    /// One of each sort.
    pub(crate) async fn all() -> Vec<Yard> {
        vec![
            Self::sqlite().await,
            Self::postgres().await,
            #[cfg(feature = "redis")]
            Self::redis().await,
        ]
    }

    /// A Redis of its own, and SQLite for transactions.
    #[cfg(feature = "redis")]
    pub(crate) async fn redis() -> Yard {
        let server = Arc::new(burgeon_services::Redis::start().await.unwrap());
        Self::redis_at(&server.url(), server.clone()).await
    }

    /// The same over another address.
    #[cfg(feature = "redis")]
    pub(crate) async fn redis_at(url: &str, server: Arc<burgeon_services::Redis>) -> Yard {
        Self::redis_with(&burgeon_redis::Config::at(url), server).await
    }

    /// The same, and how to speak to it.
    #[cfg(feature = "redis")]
    pub(crate) async fn redis_with(
        config: &burgeon_redis::Config,
        server: Arc<burgeon_services::Redis>,
    ) -> Yard {
        let Yard { db, meters, _directory, .. } = Self::sqlite().await;
        let tasks = Tasks::new(&meters);
        let redis = burgeon_redis::Redis::connect(config, &tasks, &meters).unwrap();
        within(redis.connected()).await;
        let tier = Tier::Redis { redis, application: "it".into(), server };
        Yard { name: "redis", db, meters, tier, _tasks: Some(tasks), _directory }
    }

    #[cfg(feature = "redis")]
    fn client(&self) -> &burgeon_redis::Redis {
        match &self.tier {
            Tier::Redis { redis, .. } => redis,
            Tier::Database => panic!("it is in the database"),
        }
    }

    /// Says something to it past the cache.
    #[cfg(feature = "redis")]
    pub(crate) async fn command(&self, command: &burgeon_redis::Command) -> burgeon_redis::Value {
        self.client().call(&Ctx::background(), command).await.unwrap()
    }

    /// Resolves when the client has found out that there is another server.
    #[cfg(feature = "redis")]
    pub(crate) async fn connected_anew(&self) {
        self.client().generation_changed(1).await;
        self.client().connected().await;
    }

    #[cfg(feature = "redis")]
    pub(crate) fn server(&self) -> &burgeon_services::Redis {
        match &self.tier {
            Tier::Redis { server, .. } => server,
            Tier::Database => panic!("it is in the database"),
        }
    }

    pub(crate) async fn sqlite() -> Yard {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let url = format!("sqlite:{}", directory.path().join("cache.db").display());
        let (db, meters) = open(&url).await;
        Yard { name: "sqlite", db, meters, tier: Tier::Database, _tasks: None, _directory: Some(directory) }
    }

    pub(crate) async fn postgres() -> Yard {
        Self::postgres_at(&Postgres::shared().await.unwrap().create_database().await.unwrap()).await
    }

    /// The same over another address.
    pub(crate) async fn postgres_at(url: &str) -> Yard {
        let (db, meters) = open(url).await;
        Yard { name: "postgres", db, meters, tier: Tier::Database, _tasks: None, _directory: None }
    }

    pub(crate) fn node(&self) -> Node {
        self.node_with(|_| {})
    }

    pub(crate) fn node_with(&self, change: impl FnOnce(&mut Config)) -> Node {
        self.node_on(None, change)
    }

    /// One with neighbours, who hear of each other.
    pub(crate) fn node_on(&self, hub: Option<&Hub>, change: impl FnOnce(&mut Config)) -> Node {
        let mut config = Config { jitter: 0.0, ..Config::default() };
        // The machine that tests run on may be slower than any network.
        config.far.soft_timeout = Duration::from_secs(5);
        config.far.hard_timeout = Duration::from_secs(5);
        config.far.retry = Duration::from_millis(50);
        change(&mut config);
        let meters = Meters::new();
        let tasks = Tasks::new(&meters);
        let far = match &self.tier {
            Tier::Database => Far::database(&self.db, "it"),
            #[cfg(feature = "redis")]
            Tier::Redis { redis, application, .. } => Far::redis(redis, application.clone()),
        };
        let caches = Caches::with_clock(&config, &tasks, &meters, Clock::exact()).unwrap();
        let beat = bus::Config { heartbeat: Duration::from_millis(100), ..bus::Config::default() };
        let bus = hub.map(|hub| Bus::join(Link::InProcess(hub.clone()), beat, &tasks, &meters).unwrap());
        let caches = match &bus {
            Some(bus) => caches.on_bus(bus),
            None => caches,
        };
        Node { house: House { caches: caches.on_far(far), tasks, meters, ctx: Ctx::background() }, bus }
    }

    /// How many questions the store was asked.
    pub(crate) async fn reads(&self) -> u64 {
        self.asked(&["cache_far_read"]).await
    }

    /// How often it was told of invalidations.
    pub(crate) async fn burials(&self) -> u64 {
        self.asked(&["cache_far_fence", "cache_far_tag", "cache_far_everything"]).await
    }

    /// How many of these statements there were; in Redis how many scripts, of whatever sort.
    async fn asked(&self, statements: &[&str]) -> u64 {
        match &self.tier {
            Tier::Database => {
                let of = |statement: &&str| {
                    self.meters.counter("db_statements_total", "", &[("statement", *statement)]).get()
                };
                statements.iter().map(of).sum()
            }
            #[cfg(feature = "redis")]
            // Commands inside of scripts are counted, too, and not of interest.
            Tier::Redis { .. } => self.commands(&["evalsha", "eval"]).await,
        }
    }

    /// How many of these commands Redis has been given.
    #[cfg(feature = "redis")]
    pub(crate) async fn commands(&self, names: &[&str]) -> u64 {
        let text = match self.command(&burgeon_redis::Command::read("INFO").arg("commandstats")).await {
            burgeon_redis::Value::Text(text) => text,
            stats => String::from_utf8(stats.bytes().unwrap().unwrap().to_vec()).unwrap(),
        };
        let of = |name: &&str| {
            let line = text.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{name}:calls=")));
            line.and_then(|line| line.split(',').next()?.parse::<u64>().ok()).unwrap_or(0)
        };
        names.iter().map(of).sum()
    }

    /// Invalidates in a transaction that does nothing else: when this returns, the store has been told.
    pub(crate) async fn invalidate<V: Send + Sync + 'static>(&self, cache: &Cache<u32, V>, key: u32) {
        use burgeon_cache::InvalidateOnCommit;
        self.db
            .tx(&Ctx::background(), async |tx| {
                tx.invalidate(cache, key);
                Ok(())
            })
            .await
            .unwrap();
    }

    pub(crate) async fn invalidate_tag<V: Send + Sync + 'static>(&self, cache: &Cache<u32, V>, tag: &str) {
        use burgeon_cache::InvalidateOnCommit;
        self.db
            .tx(&Ctx::background(), async |tx| {
                tx.invalidate_tag(cache, tag);
                Ok(())
            })
            .await
            .unwrap();
    }

    pub(crate) async fn invalidate_all<V: Send + Sync + 'static>(&self, cache: &Cache<u32, V>) {
        use burgeon_cache::InvalidateOnCommit;
        self.db
            .tx(&Ctx::background(), async |tx| {
                tx.invalidate_all(cache);
                Ok(())
            })
            .await
            .unwrap();
    }
}

impl Node {
    /// The cache `it` over the origin.
    pub(crate) fn cache(&self, origin: &Origin) -> Cache<u32, u64> {
        self.house.cache(origin, Named::far)
    }

    /// What the cache has, or loads.
    pub(crate) async fn get(&self, cache: &Cache<u32, u64>, key: u32) -> Option<u64> {
        cache.get(&self.house.ctx, &key).await.unwrap().as_deref().copied()
    }

    pub(crate) fn count(&self, name: &'static str, labels: &[(&'static str, &str)]) -> u64 {
        self.house.count(name, labels)
    }

    /// Resolves when the second tier has taken what was offered to it: every flight is over.
    pub(crate) async fn offered(&self) {
        within(async {
            while self
                .house
                .tasks
                .running()
                .iter()
                .any(|(name, _)| name.starts_with("cache.") && name != "cache.far.sweep")
            {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }
}

/// What a process that has just started has.
pub(crate) async fn fresh(yard: &Yard, origin: &Origin, key: u32) -> Option<u64> {
    let node = yard.node();
    let cache = node.cache(origin);
    let value = node.get(&cache, key).await;
    node.offered().await;
    value
}

pub(crate) async fn open(url: &str) -> (Db, Meters) {
    let meters = Meters::new();
    let db = Db::open(&Database::at(url.to_owned()), &Tasks::new(&meters), &meters).await.unwrap();
    let migrator = Migrator::new().module("cache", burgeon_cache::migrations());
    migrator.run(&db, &Ctx::background()).await.unwrap();
    (db, meters)
}

pub(crate) async fn within<T>(work: impl Future<Output = T>) -> T {
    timeout(SOON, work).await.expect("it took too long")
}
