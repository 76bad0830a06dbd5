//! Three nodes of one application over one set of data, and the weather between them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use burgeon_cache::{Cache, Caches, Config, Far, InvalidateOnCommit, Load};
use burgeon_cluster::bus::{self, Listening};
use burgeon_cluster::{Bus, NodeId, Stamp};
use burgeon_core::{Ctx, Result};
use burgeon_db::{Db, sql};
use burgeon_meter::Meters;
use burgeon_resilience::random::{Dice, below};
use burgeon_runtime::Tasks;

use crate::memory::Memory;
use crate::naive::CacheAside;
use crate::{KEYS, NODES};

/// How a node is reached by the others.
pub use burgeon_cluster::bus::Link;

/// Which cache is under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manners {
    Ours,
    Naive,
}

/// Where the data is.
#[derive(Clone)]
pub enum Data {
    Memory(Arc<Memory>),
    Postgres(Db),
}

pub struct Node {
    pub bus: Bus,
    pub caches: Caches,
    cache: Cache<u64, u64>,
    /// The same rows, loaded many at once and refreshed together.
    rows: Cache<u64, u64>,
    naive: CacheAside,
    data: Data,
    pub meters: Meters,
    dice: Dice,
    _listening: Listening,
    // Its bus and its loads belong to it.
    _tasks: Tasks,
}

/// Long enough that much happens while a refresh waits for others.
const GATHERED: Duration = Duration::from_millis(5);

pub const HEARTBEAT: Duration = Duration::from_millis(100);

impl Node {
    /// Everything that can race does so all the time: little room, short lives, few counters, early refreshes.
    pub fn config(age_unheard: Duration) -> Config {
        Config {
            entries: KEYS * 3 / 4,
            stripes: 32,
            beta: 50.0,
            jitter: 0.5,
            age_unheard,
            // Nothing fails here, so nothing stale is ever wanted.
            soft_timeout: Duration::from_secs(10),
            ..Config::default()
        }
    }

    pub fn new(
        data: Data,
        link: Link,
        far: Option<Far>,
        config: &Config,
        meters: Meters,
        tasks: Tasks,
        seed: u64,
    ) -> Result<Node> {
        let beat = bus::Config { heartbeat: HEARTBEAT, ..bus::Config::default() };
        let bus = Bus::join(link, beat, &tasks, &meters)?;
        let caches = Caches::new(config, &tasks, &meters)?.on_bus(&bus);
        let caches = match far {
            Some(far) => caches.on_far(far),
            None => caches,
        };
        let parts = (data.clone(), Arc::new(Dice::seeded(seed ^ 1)));
        let cache = caches.named("row").far().loader(parts.clone(), load);
        let rows = caches.named("rows").far().gather(GATHERED).batch_loader(parts, load_many);
        let (naive, listening) = CacheAside::on(&bus);
        let dice = Dice::seeded(seed);
        Ok(Node { bus, caches, cache, rows, naive, data, meters, dice, _listening: listening, _tasks: tasks })
    }

    pub async fn read(&self, manners: Manners, ctx: &Ctx, key: u64) -> Result<u64> {
        match manners {
            Manners::Ours => {
                let cache = if below(self.dice.roll(), 4) == 0 { &self.rows } else { &self.cache };
                let value = match below(self.dice.roll(), 10) {
                    0 => {
                        let keys = [key, (key + 1) % KEYS, (key + 7) % KEYS];
                        cache.get_many(ctx, &keys).await?.swap_remove(0)
                    }
                    _ => cache.get(ctx, &key).await?,
                };
                Ok(value.as_deref().copied().unwrap_or(0))
            }
            Manners::Naive => {
                let load = async { query(&self.data, &Ctx::background(), key).await.unwrap_or(0) };
                Ok(self.naive.get(key, load).await)
            }
        }
    }

    /// Commits the next version and invalidates. Answers the version, and the message that tells of it.
    pub async fn write(&self, manners: Manners, ctx: &Ctx, key: u64) -> Result<(u64, Option<Stamp>)> {
        let version = match &self.data {
            Data::Memory(memory) => {
                let version = memory.write(ctx, key).await;
                if manners == Manners::Ours {
                    self.invalidate(ctx, key).await;
                }
                version
            }
            Data::Postgres(db) => {
                let how = below(self.dice.roll(), 8);
                let version: i64 = db
                    .tx(ctx, async |tx| {
                        let version: i64 = sql!(
                            "write_row",
                            "update row set version = version + 1 where id = $1 returning version",
                            key as i64
                        )
                        .one(tx)
                        .await?;
                        if manners == Manners::Ours {
                            tx.invalidate(&self.rows, key);
                        }
                        match how {
                            _ if manners == Manners::Naive => {}
                            0 => tx.invalidate_tag(&self.cache, key % 3),
                            1 => tx.set_tagged(&self.cache, key, version.unsigned_abs(), [key % 3]),
                            2 => tx.expire(&self.cache, key),
                            _ => tx.invalidate(&self.cache, key),
                        }
                        Ok(version)
                    })
                    .await?;
                version.unsigned_abs()
            }
        };
        if manners == Manners::Naive {
            return Ok((version, self.naive.remove(&self.bus, key)));
        }
        let own = ctx.marks().iter().find(|mark| mark.node == self.bus.node().bits());
        Ok((version, own.map(|mark| Stamp { node: NodeId::from_bits(mark.node), sequence: mark.sequence })))
    }

    async fn invalidate(&self, ctx: &Ctx, key: u64) {
        let told = match below(self.dice.roll(), 100) {
            0 => self.cache.invalidate_all(ctx),
            1 => self.cache.expire_all(ctx),
            2..10 => self.cache.invalidate_tag(ctx, key % 3),
            10..20 => self.cache.expire_tag(ctx, key % 3),
            20..35 => self.cache.expire(ctx, &key),
            _ => self.cache.invalidate(ctx, &key),
        };
        let rows = match below(self.dice.roll(), 100) {
            0 => self.rows.invalidate_all(ctx),
            1..20 => self.rows.expire(ctx, &key),
            _ => self.rows.invalidate(ctx, &key),
        };
        // Whoever did it asks elsewhere next.
        told.await;
        rows.await;
    }

    pub fn count(&self, name: &'static str, labels: &[(&'static str, &str)]) -> u64 {
        self.meters.counter(name, "", labels).get()
    }

    /// Loads that this node's caches have made.
    pub fn loads(&self) -> u64 {
        let of = |cache| self.count("cache_loads_total", &[("cache", cache), ("outcome", "value")]);
        of("row") + of("rows")
    }
}

async fn load((data, dice): (Data, Arc<Dice>), load: Load, key: u64) -> Result<u64> {
    load.tag(key % 3);
    if matches!(data, Data::Memory(_)) {
        load.ttl(Duration::from_millis(1 + below(dice.roll(), 60)));
    }
    query(&data, &load, key).await
}

async fn load_many((data, dice): (Data, Arc<Dice>), load: Load, keys: Vec<u64>) -> Result<HashMap<u64, u64>> {
    if matches!(data, Data::Memory(_)) {
        load.ttl(Duration::from_millis(1 + below(dice.roll(), 60)));
    }
    let mut found = HashMap::new();
    for key in keys {
        found.insert(key, query(&data, &load, key).await?);
    }
    Ok(found)
}

async fn query(data: &Data, ctx: &Ctx, key: u64) -> Result<u64> {
    match data {
        Data::Memory(memory) => Ok(memory.read(ctx, key).await),
        Data::Postgres(db) => {
            let version: i64 = sql!("read_row", "select version from row where id = $1", key as i64)
                .one(&db.read(ctx))
                .await?;
            Ok(version.unsigned_abs())
        }
    }
}

/// Waits until all hear each other.
pub async fn whole(nodes: &[Node]) {
    for node in nodes {
        node.bus.whole().await;
        node.bus.until(|bus| bus.heard().len() >= NODES - 1).await;
    }
}
