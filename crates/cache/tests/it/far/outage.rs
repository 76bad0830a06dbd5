//! A Redis that dies, freezes, falls silent, forgets, or comes back as another one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use burgeon_cache::{Cache, InvalidateOnCommit as _, Load, Named};
use burgeon_core::{Ctx, Result};
use burgeon_redis::Command;
use burgeon_resilience::breaker::State;
use burgeon_runtime::Tasks;
use burgeon_services::{Proxy, Redis};
use tokio::time::{Instant, sleep};

use super::yard::{Node, Yard, fresh, within};
use crate::house::Origin;

/// A database that says how much was asked of it at once.
#[derive(Default)]
struct Busy {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Busy {
    async fn query(&self) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        sleep(Duration::from_millis(10)).await;
        self.now.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn load(busy: Arc<Busy>, _: Load, key: u32) -> Result<u64> {
    busy.query().await;
    Ok(key.into())
}

const CAP: usize = 8;

fn node(yard: &Yard) -> Node {
    yard.node_with(|config| {
        config.far.soft_timeout = Duration::from_millis(50);
        config.far.hard_timeout = Duration::from_millis(250);
        config.far.loads_when_down = CAP;
        // The machine that tests run on may be slow; what is tested is that it is bounded.
        config.far.wait_when_down = Duration::from_secs(10);
    })
}

/// Readers that ask for ever new keys, as fast as they get answers.
async fn under_load(
    how: &str,
    outage: impl AsyncFnOnce(&Yard, &Proxy),
    back: impl AsyncFnOnce(&Yard, &Proxy),
) {
    let server = Arc::new(Redis::start().await.unwrap());
    let proxy = Proxy::start(("127.0.0.1", server.port())).await.unwrap();
    let yard = Yard::redis_at(&proxy.url_for(&server.url()), server).await;
    let node = node(&yard);
    let busy = Arc::new(Busy::default());
    let cache: Cache<u32, u64> = node.house.caches.named("it").far().loader(busy.clone(), load);
    let tasks = Tasks::new(&burgeon_meter::Meters::new());
    let (next, longest, stop) =
        (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let readers: Vec<_> = (0..64)
        .map(|_| {
            let (cache, next, longest, stop) = (cache.clone(), next.clone(), longest.clone(), stop.clone());
            tasks.spawn("reader", async move {
                while stop.load(Ordering::SeqCst) == 0 {
                    let key = next.fetch_add(1, Ordering::SeqCst) as u32;
                    let asked = Instant::now();
                    let value = cache.get(&Ctx::background(), &key).await.unwrap();
                    assert_eq!(value.as_deref(), Some(&u64::from(key)));
                    longest.fetch_max(asked.elapsed().as_millis() as u64, Ordering::SeqCst);
                }
            })
        })
        .collect();
    within(async {
        while next.load(Ordering::SeqCst) < 500 {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    assert!(busy.most.load(Ordering::SeqCst) > CAP, "{how}: without an outage nothing is capped");
    outage(&yard, &proxy).await;
    // What was under way is over, and what comes now has not waited for the store in vain yet, or is capped.
    sleep(Duration::from_millis(150)).await;
    busy.most.store(0, Ordering::SeqCst);
    longest.store(0, Ordering::SeqCst);
    sleep(Duration::from_secs(3)).await;
    let most = busy.most.load(Ordering::SeqCst);
    assert!((1..=CAP).contains(&most), "{how}: {most} at once");
    assert_ne!(cache.view().far.unwrap().breaker, State::Closed, "{how}");
    // Its own turn in the line and the store's limit, and some for the machine.
    let longest = longest.load(Ordering::SeqCst);
    assert!(longest < 2_000, "{how}: somebody waited for {longest} ms");
    back(&yard, &proxy).await;
    let returned = Instant::now();
    let written = node.count("cache_far_writes_total", &[("outcome", "written")]);
    within(async {
        while node.count("cache_far_writes_total", &[("outcome", "written")]) < written + 100
            || cache.view().far.unwrap().breaker != State::Closed
        {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let healed = returned.elapsed();
    assert!(healed < Duration::from_secs(10), "{how}: {healed:?}");
    stop.store(1, Ordering::SeqCst);
    for reader in readers {
        within(reader).await.unwrap();
    }
    assert_eq!(node.count("cache_far_capped_loads_total", &[("outcome", "refused")]), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_redis_killed_loads_are_capped_and_nobody_fails() {
    let kill = async |yard: &Yard, _: &Proxy| yard.server().kill().await.unwrap();
    under_load("killed", kill, async |yard, _| yard.server().restart().await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_redis_frozen_loads_are_capped_and_nobody_fails() {
    let pause = async |yard: &Yard, _: &Proxy| yard.server().pause().await.unwrap();
    under_load("frozen", pause, async |yard, _| yard.server().resume().await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_redis_in_a_black_hole_loads_are_capped_and_nobody_fails() {
    let swallow = async |_: &Yard, proxy: &Proxy| proxy.black_hole();
    under_load("black hole", swallow, async |_, proxy| proxy.heal()).await;
}

#[tokio::test]
async fn who_finds_no_place_gets_an_error_that_says_so_or_what_is_stale() {
    let yard = Yard::redis().await;
    let node = yard.node_with(|config| {
        config.far.loads_when_down = 1;
        config.far.wait_when_down = Duration::from_millis(20);
        config.stale_max = Duration::from_secs(60);
    });
    let origin = Origin::new(1);
    let cache = node.cache(&origin);
    assert_eq!(node.get(&cache, 1).await, Some(1));
    node.offered().await;
    yard.server().kill().await.unwrap();
    cache.expire(&node.house.ctx, &1);
    origin.hold_next();
    let loads = origin.loads();
    let (held, ()) = tokio::join!(node.get(&cache, 2), async {
        origin.begun(loads + 1).await;
        let refused = cache.get(&node.house.ctx, &3).await.unwrap_err();
        assert_eq!(refused.kind(), burgeon_core::Kind::Overloaded);
        assert!(matches!(refused.find(), Some(burgeon_cache::Fault::Crowded { .. })), "{}", refused.detail());
        assert_eq!(node.get(&cache, 1).await, Some(1));
        origin.release();
    });
    assert_eq!(held, Some(1));
    assert_eq!(node.count("cache_far_capped_loads_total", &[("outcome", "refused")]), 2);
}

#[tokio::test]
async fn an_invalidation_that_the_store_did_not_get_is_not_undone_by_it() {
    let server = Arc::new(Redis::start().await.unwrap());
    let proxy = Proxy::start(("127.0.0.1", server.port())).await.unwrap();
    let direct = Yard::redis_at(&server.url(), server.clone()).await;
    let yard = Yard::redis_at(&proxy.url_for(&server.url()), server).await;
    let origin = Origin::new(1);
    assert_eq!(fresh(&direct, &origin, 1).await, Some(1));
    let node = yard.node_with(|config| {
        config.far.hard_timeout = Duration::from_millis(250);
        config.far.soft_timeout = Duration::from_millis(50);
        // Longer than what follows takes.
        config.far.retry = Duration::from_secs(3);
    });
    // Memory for one, so that the store is asked each time.
    let cache = node.house.cache(&origin, |named: Named<u32, u64>| named.far().entries(1));
    proxy.black_hole();
    origin.set(2);
    yard.invalidate(&cache, 1).await;
    assert_eq!(cache.view().far.unwrap().in_doubt, 1);
    // This node knows better, whether it reaches the store or not.
    assert_eq!(within(node.get(&cache, 1)).await, Some(2));
    proxy.heal();
    for _ in 0..20 {
        within(node.get(&cache, 2)).await;
        assert_eq!(within(node.get(&cache, 1)).await, Some(2));
    }
    settled(&cache).await;
    assert_eq!(fresh(&direct, &origin, 1).await, Some(2));
}

#[tokio::test]
async fn a_large_transaction_waits_for_a_silent_store_once() {
    let server = Arc::new(Redis::start().await.unwrap());
    let proxy = Proxy::start(("127.0.0.1", server.port())).await.unwrap();
    let yard = Yard::redis_at(&proxy.url_for(&server.url()), server).await;
    let node = yard.node_with(|config| {
        config.far.hard_timeout = Duration::from_millis(250);
        config.far.soft_timeout = Duration::from_millis(50);
    });
    let cache = node.cache(&Origin::new(1));
    proxy.black_hole();
    let began = Instant::now();
    let invalidate = yard.db.tx(&node.house.ctx, async |tx| {
        for key in 0..100 {
            tx.invalidate(&cache, key);
        }
        Ok(())
    });
    within(invalidate).await.unwrap();
    let took = began.elapsed();
    assert!(took < Duration::from_millis(2_500), "one after the other it is 25 s, and it was {took:?}");
    assert_eq!(cache.view().far.unwrap().in_doubt, 100);
    proxy.heal();
    settled(&cache).await;
}

#[tokio::test]
async fn more_invalidations_than_are_remembered_become_one_of_everything() {
    let yard = Yard::redis().await;
    let origin = Origin::new(1);
    for key in [1, 2, 9_999] {
        assert_eq!(fresh(&yard, &origin, key).await, Some(1));
    }
    let durable = yard.server();
    let node = node(&yard);
    let cache = node.house.cache(&origin, |named: Named<u32, u64>| named.far().entries(20_000));
    // Frozen, so that it still knows all it knew.
    durable.pause().await.unwrap();
    origin.set(2);
    for key in 0..10_000 {
        cache.invalidate(&node.house.ctx, &key);
    }
    assert!(node.count("cache_far_doubts_overflowed_total", &[]) > 0);
    assert_eq!(cache.view().far.unwrap().in_doubt, 1);
    durable.resume().await.unwrap();
    let returned = Instant::now();
    settled(&cache).await;
    assert!(returned.elapsed() < Duration::from_secs(5), "{:?}", returned.elapsed());
    for key in [1, 2, 9_999] {
        assert_eq!(fresh(&yard, &origin, key).await, Some(2));
    }
}

#[tokio::test]
async fn a_redis_that_has_forgotten_everything_takes_nothing_that_was_under_way() {
    for restart in [false, true] {
        let yard = Yard::redis().await;
        let origin = Origin::new(1);
        let node = yard.node();
        let cache = node.cache(&origin);
        // It has a version, and this load has read it.
        origin.hold_next();
        let (value, ()) = tokio::join!(node.get(&cache, 1), async {
            origin.begun(1).await;
            origin.set(2);
            if restart {
                yard.server().kill().await.unwrap();
                yard.server().restart().await.unwrap();
                within(yard.connected_anew()).await;
            } else {
                yard.command(&Command::write("FLUSHALL")).await;
            }
            // Forgotten like all the rest, so nothing but the version can tell.
            yard.invalidate(&yard.node().cache(&origin), 1).await;
            yard.command(&Command::write("FLUSHALL")).await;
            origin.release();
        });
        assert_eq!(value, Some(1));
        node.offered().await;
        assert_eq!(fresh(&yard, &origin, 1).await, Some(2), "restart: {restart}");
    }
}

#[tokio::test]
async fn what_another_primary_remembers_is_not_believed() {
    let yard = Yard::redis().await;
    let origin = Origin::new(1);
    assert_eq!(fresh(&yard, &origin, 1).await, Some(1));
    // What a replica has that lags.
    let mut remembered = Vec::new();
    for key in yard.command(&Command::read("KEYS").arg("b2:it:it*")).await.array().unwrap() {
        let key = key.bytes().unwrap().unwrap();
        let dump = yard.command(&Command::read("DUMP").arg(&key)).await.bytes().unwrap().unwrap();
        remembered.push((key, dump));
    }
    assert_eq!(remembered.len(), 3, "what the cache knows, what it shows, and an entry");
    origin.set(2);
    let node = yard.node();
    yard.invalidate(&node.cache(&origin), 1).await;
    yard.server().kill().await.unwrap();
    yard.server().restart().await.unwrap();
    within(yard.connected_anew()).await;
    for (key, dump) in remembered {
        let restore = Command::write("RESTORE").arg(key).number(0).arg(&dump).arg("REPLACE");
        yard.command(&restore).await;
    }
    assert_eq!(fresh(&yard, &origin, 1).await, Some(2));
    // It is believed again from here on.
    let loads = origin.loads();
    assert_eq!(fresh(&yard, &origin, 1).await, Some(2));
    assert_eq!(origin.loads(), loads);
}

#[tokio::test]
async fn a_hit_is_one_round_trip_however_many_tags_there_are() {
    let yard = Yard::redis().await;
    let tagged = |node: &Node| -> Cache<u32, u64> {
        node.house.caches.named("it").far().loader((), async |(), load: Load, key: u32| {
            (0..5).for_each(|tag| load.tag(format_args!("tag:{tag}")));
            Ok(u64::from(key))
        })
    };
    let one = yard.node();
    let cache = tagged(&one);
    for key in [1, 2] {
        cache.get(&one.house.ctx, &key).await.unwrap();
    }
    one.offered().await;
    let other = yard.node();
    let cache = tagged(&other);
    // The first entry with tags that a process sees costs it a second question, once.
    cache.get(&other.house.ctx, &2).await.unwrap();
    let before = yard.reads().await;
    cache.get(&other.house.ctx, &1).await.unwrap();
    assert_eq!(yard.reads().await - before, 1);
    assert_eq!(other.count("cache_far_reads_total", &[("outcome", "hit")]), 2);
}

async fn settled(cache: &Cache<u32, u64>) {
    within(async {
        while cache.view().far.unwrap().in_doubt > 0 {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
