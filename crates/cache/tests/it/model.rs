//! Everything at once, against an oracle: no reader ever sees a value older than an invalidation that returned before it
//! asked. The same harness is pointed at a plain cache-aside, where it must find that very thing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use burgeon_cache::{Cache, Caches, Config, Invalidation, Load};
use burgeon_core::{Ctx, Result};
use burgeon_meter::Meters;
use burgeon_resilience::random::{Dice, below};
use burgeon_runtime::Tasks;

/// The data behind the cache, and what readers may not go below.
struct World {
    // Each is a row with its lock.
    truth: Vec<Mutex<u64>>,
    floor: Vec<AtomicU64>,
    dice: Dice,
}

const KEYS: u64 = 16;

impl World {
    fn new(seed: u64) -> Arc<Self> {
        let truth = (0..KEYS).map(|_| Mutex::new(0)).collect();
        let floor = (0..KEYS).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self { truth, floor, dice: Dice::seeded(seed) })
    }

    fn roll(&self, bound: u64) -> u64 {
        below(self.dice.roll(), bound)
    }

    fn row(&self, key: u64) -> MutexGuard<'_, u64> {
        self.truth[key as usize].lock().unwrap()
    }

    /// One more.
    fn write(&self, key: u64) -> u64 {
        let mut row = self.row(key);
        *row += 1;
        *row
    }

    /// Others get their turn here, or not.
    async fn dawdle(&self) {
        for _ in 0..self.roll(4) {
            tokio::task::yield_now().await;
        }
        if self.roll(200) == 0 {
            tokio::time::sleep(Duration::from_micros(50)).await;
        }
    }

    /// What a query does: read, and take its time to answer.
    async fn query(&self, key: u64) -> Option<u64> {
        self.dawdle().await;
        let value = *self.row(key);
        self.dawdle().await;
        // Zero: no such row yet.
        (value > 0).then_some(value)
    }
}

/// A cache under test.
trait Subject: Send + Sync + 'static {
    fn get(&self, key: u64) -> impl Future<Output = Option<u64>> + Send;
    fn invalidate(&self, world: &World, key: u64, value: u64);
}

/// Counts readers who were told something older than they knew.
async fn fuzz<S: Subject>(subject: Arc<S>, world: Arc<World>, tasks: &Tasks, operations: u64) -> u64 {
    let stale = Arc::new(AtomicU64::new(0));
    let workers: Vec<_> = (0..8)
        .map(|_| {
            let (subject, world, stale) = (subject.clone(), world.clone(), stale.clone());
            tasks.spawn("worker", async move {
                for _ in 0..operations / 8 {
                    let key = world.roll(KEYS);
                    if world.roll(10) < 3 {
                        let value = world.write(key);
                        world.dawdle().await;
                        subject.invalidate(&world, key, value);
                        world.floor[key as usize].fetch_max(value, Ordering::SeqCst);
                    } else {
                        let floor = world.floor[key as usize].load(Ordering::SeqCst);
                        let seen = subject.get(key).await.unwrap_or(0);
                        if seen < floor {
                            stale.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    stale.load(Ordering::SeqCst)
}

/// Look, load, put: as everybody writes it once.
struct CacheAside {
    map: Mutex<HashMap<u64, u64>>,
    world: Arc<World>,
}

impl Subject for CacheAside {
    async fn get(&self, key: u64) -> Option<u64> {
        let known = self.map.lock().unwrap().get(&key).copied();
        if known.is_some() {
            return known;
        }
        let value = self.world.query(key).await?;
        self.map.lock().unwrap().insert(key, value);
        Some(value)
    }

    fn invalidate(&self, _: &World, key: u64, _: u64) {
        self.map.lock().unwrap().remove(&key);
    }
}

struct Ours {
    cache: Cache<u64, u64>,
    ctx: Ctx,
}

impl Subject for Ours {
    async fn get(&self, key: u64) -> Option<u64> {
        // Batches as well, now and then.
        if key.is_multiple_of(5) {
            let values = self.cache.get_many(&self.ctx, &[key, (key + 1) % KEYS]).await.unwrap();
            return values[0].as_deref().copied();
        }
        self.cache.get(&self.ctx, &key).await.unwrap().as_deref().copied()
    }

    fn invalidate(&self, world: &World, key: u64, value: u64) {
        let told: Invalidation = match world.roll(40) {
            0 => self.cache.invalidate_all(&self.ctx),
            1 => self.cache.expire_all(&self.ctx),
            2..8 => self.cache.invalidate_tag(&self.ctx, key % 3),
            8..12 => self.cache.expire_tag(&self.ctx, key % 3),
            12..18 => self.cache.expire(&self.ctx, &key),
            18..24 => {
                // Held, so that nobody writes another value and invalidates this one before it is there.
                let row = world.row(key);
                match *row == value {
                    true => self.cache.set_tagged(&self.ctx, &key, value, [key % 3]),
                    false => self.cache.invalidate(&self.ctx, &key),
                }
            }
            _ => self.cache.invalidate(&self.ctx, &key),
        };
        // Nothing is under way: there is no second tier.
        drop(told);
    }
}

async fn load(world: Arc<World>, load: Load, key: u64) -> Result<Option<u64>> {
    load.tag(key % 3);
    // Lives so short that early refreshes, stale values and their loads behind happen all the time.
    load.ttl(Duration::from_millis(1 + world.roll(20)));
    Ok(world.query(key).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_reader_sees_what_was_invalidated_before_it_asked() {
    for seed in [1, 2] {
        let world = World::new(seed);
        let meters = Meters::new();
        let tasks = Tasks::new(&meters);
        // So few stripes that keys collide, so little room that they push each other out.
        let config = Config { stripes: 4, entries: 12, beta: 50.0, jitter: 0.5, ..Config::default() };
        // On a machine that stands still for half a second, what was expired would be served instead, as it should be.
        let config = Config { soft_timeout: config.load_timeout, ..config };
        let caches = Caches::new(&config, &tasks, &meters).unwrap();
        let cache = caches.named("it").loader(world.clone(), load);
        let ours = Arc::new(Ours { cache, ctx: Ctx::background() });
        let stale = fuzz(ours.clone(), world, &tasks, 60_000).await;
        let slow =
            meters.counter("cache_stale_served_total", "", &[("cache", "it"), ("why", "load_slow")]).get();
        assert_eq!((stale, slow), (0, 0), "seed {seed}");
        let discarded =
            meters.counter("cache_discarded_total", "", &[("cache", "it"), ("why", "invalidated")]).get();
        assert!(discarded > 100, "only {discarded} loads were overtaken: this proved little");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_harness_finds_the_bug_of_a_plain_cache_aside() {
    let world = World::new(1);
    let tasks = Tasks::new(&Meters::new());
    let naive = Arc::new(CacheAside { map: Mutex::default(), world: world.clone() });
    let stale = fuzz(naive, world, &tasks, 20_000).await;
    assert!(stale > 0);
}
