//! An invalidation wins in the store, too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use burgeon_cache::{Cache, Load};
use burgeon_core::Result;
use burgeon_runtime::Tasks;

use super::yard::{Node, Yard, fresh, within};
use crate::house::Origin;

#[tokio::test]
async fn a_load_that_an_invalidation_overtook_is_not_written() {
    for yard in Yard::all().await {
        for how in ["key", "tag", "all"] {
            let origin = Origin::new(1);
            let (slow, other) = (yard.node(), yard.node());
            let (at_slow, at_other) = (slow.cache(&origin), other.cache(&origin));
            origin.hold_next();
            let (value, ()) = tokio::join!(slow.get(&at_slow, 1), async {
                origin.begun(1).await;
                origin.set(2);
                match how {
                    "key" => yard.invalidate(&at_other, 1).await,
                    "tag" => yard.invalidate_tag(&at_other, "key:1").await,
                    _ => yard.invalidate_all(&at_other).await,
                }
                origin.release();
            });
            // It was under way before, so it may have the old value; nobody else may.
            assert_eq!(value, Some(1));
            slow.offered().await;
            assert_eq!(
                slow.count("cache_far_writes_total", &[("outcome", "fenced")]),
                1,
                "{} {how}",
                yard.name
            );
            assert_eq!(fresh(&yard, &origin, 1).await, Some(2), "{} {how}", yard.name);
            // What was loaded after it is written, and found.
            assert_eq!(fresh(&yard, &origin, 1).await, Some(2));
            assert_eq!(origin.loads(), 2);
            yard.invalidate_all(&at_other).await;
        }
    }
}

#[tokio::test]
async fn what_is_invalidated_is_gone_for_all_who_come_after() {
    for yard in Yard::all().await {
        let origin = Origin::new(1);
        let node = yard.node();
        let cache = node.cache(&origin);
        for (round, how) in ["key", "tag", "all"].into_iter().enumerate() {
            let value = round as u64 + 1;
            origin.set(value);
            assert_eq!(fresh(&yard, &origin, 1).await, Some(value));
            assert_eq!(fresh(&yard, &origin, 2).await, Some(value));
            origin.set(value + 1);
            match how {
                "key" => yard.invalidate(&cache, 1).await,
                "tag" => yard.invalidate_tag(&cache, "key:1").await,
                _ => yard.invalidate_all(&cache).await,
            }
            assert_eq!(fresh(&yard, &origin, 1).await, Some(value + 1), "{} {how}", yard.name);
            let neighbour = if how == "all" { value + 1 } else { value };
            assert_eq!(fresh(&yard, &origin, 2).await, Some(neighbour), "{} {how}", yard.name);
            yard.invalidate_all(&cache).await;
        }
    }
}

#[tokio::test]
async fn a_node_that_has_invalidated_reads_nothing_old_before_the_store_knows() {
    for yard in Yard::all().await {
        let origin = Origin::new(1);
        let node = yard.node();
        let cache = node.cache(&origin);
        for round in 1..20 {
            assert_eq!(node.get(&cache, 1).await, Some(round));
            node.offered().await;
            origin.set(round + 1);
            // Returns before the store has been told.
            cache.invalidate(&node.house.ctx, &1);
            assert_eq!(node.get(&cache, 1).await, Some(round + 1), "{}", yard.name);
            cache.invalidate(&node.house.ctx, &1);
            node.offered().await;
        }
    }
}

/// Nodes come and go and load what they need, each at its own pace, while one changes the data and invalidates it. Whoever
/// starts after an invalidation returned sees at least what it told of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reader_sees_what_is_older_than_an_invalidation_before_it() {
    for yard in Yard::all().await {
        race(Arc::new(yard), 60).await;
    }
}

async fn race(yard: Arc<Yard>, rounds: u64) {
    let data = Arc::new(AtomicU64::new(0));
    let tasks = Tasks::new(&burgeon_meter::Meters::new());
    let stopping = Arc::new(AtomicU64::new(0));
    let readers: Vec<_> = (0..3u64)
        .map(|seed| {
            let (yard, data, stopping) = (yard.clone(), data.clone(), stopping.clone());
            tasks.spawn("reader", async move {
                let mut read = 0;
                while stopping.load(Ordering::SeqCst) == 0 {
                    let before = data.load(Ordering::SeqCst);
                    let node = yard.node();
                    let cache = racing(&node, &data, seed + 1);
                    let value = cache.get(&node.house.ctx, &1).await.unwrap();
                    // Invalidations trail the data, so this much may be missing and no more is known here.
                    assert!(value.as_deref().is_some_and(|value| *value + 1 >= before));
                    node.offered().await;
                    read += 1;
                }
                read
            })
        })
        .collect();
    let writer = yard.node();
    let cache = racing(&writer, &data, 0);
    for round in 1..=rounds {
        data.store(round, Ordering::SeqCst);
        match round % 3 {
            0 => yard.invalidate_tag(&cache, "one").await,
            _ => yard.invalidate(&cache, 1).await,
        }
        let node = yard.node();
        let late = racing(&node, &data, 0);
        let value = late.get(&node.house.ctx, &1).await.unwrap().as_deref().copied();
        assert_eq!(value, Some(round), "{}: a value older than the invalidation came back", yard.name);
        node.offered().await;
    }
    stopping.store(1, Ordering::SeqCst);
    let mut read = 0;
    for reader in readers {
        read += within(reader).await.unwrap();
    }
    assert!(read > rounds / 10, "only {read} reads raced {rounds} invalidations");
}

fn racing(node: &Node, data: &Arc<AtomicU64>, pause: u64) -> Cache<u32, u64> {
    node.house.caches.named("race").far().loader((data.clone(), pause), slowly)
}

/// Reads, and takes its time after: as a slow query does.
async fn slowly((data, pause): (Arc<AtomicU64>, u64), load: Load, _: u32) -> Result<u64> {
    load.tag("one");
    let value = data.load(Ordering::SeqCst);
    if pause > 0 {
        tokio::time::sleep(Duration::from_millis(pause * 2)).await;
    }
    Ok(value)
}
