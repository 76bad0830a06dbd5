//! What nodes share.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use burgeon_cache::{Cache, InvalidateOnCommit as _, Load};
use burgeon_core::Result;

use super::yard::{Yard, fresh, within};
use crate::house::Origin;

#[tokio::test]
async fn what_one_node_has_loaded_the_others_find_and_so_does_it_after_a_restart() {
    for yard in Yard::all().await {
        let origin = Origin::new(7);
        let (one, other) = (yard.node(), yard.node());
        let (at_one, at_other) = (one.cache(&origin), other.cache(&origin));
        assert_eq!(one.get(&at_one, 1).await, Some(7));
        one.offered().await;
        origin.set(8);
        assert_eq!(other.get(&at_other, 1).await, Some(7), "{}", yard.name);
        assert_eq!(other.count("cache_far_reads_total", &[("outcome", "hit")]), 1);
        assert_eq!(fresh(&yard, &origin, 1).await, Some(7));
        assert_eq!(origin.loads(), 1, "{}", yard.name);
        // From memory now.
        assert_eq!(other.get(&at_other, 1).await, Some(7));
        assert_eq!(other.count("cache_far_reads_total", &[("outcome", "hit")]), 1);
        let far = at_other.view().far.unwrap();
        assert_eq!((far.hits, far.misses, far.in_doubt), (1, 0, 0));
    }
}

#[tokio::test]
async fn whoever_awaits_his_invalidation_finds_nothing_old_on_a_node_that_nobody_told() {
    for yard in Yard::all().await {
        let origin = Origin::new(0);
        let one = yard.node();
        let cache = one.cache(&origin);
        for round in 0..10 {
            origin.set(round);
            within(cache.invalidate(&one.house.ctx, &1).into_future()).await;
            assert_eq!(fresh(&yard, &origin, 1).await, Some(round), "{}", yard.name);
        }
    }
}

#[tokio::test]
async fn that_there_is_none_is_shared_too() {
    for yard in Yard::all().await {
        let origin = Origin::new(7);
        origin.has_none(true);
        assert_eq!(fresh(&yard, &origin, 1).await, None);
        assert_eq!(fresh(&yard, &origin, 1).await, None);
        assert_eq!(origin.loads(), 1, "{}", yard.name);
    }
}

#[tokio::test]
async fn a_cache_that_did_not_ask_for_it_stays_in_its_process() {
    for yard in Yard::all().await {
        let origin = Origin::new(7);
        for _ in 0..2 {
            let node = yard.node();
            let cache = node.house.cache(&origin, |named| named);
            assert_eq!(node.get(&cache, 1).await, Some(7));
            assert_eq!(cache.view().far, None);
        }
        assert_eq!(origin.loads(), 2);
    }
}

#[tokio::test]
async fn a_value_grows_old_in_the_store_as_it_does_in_memory() {
    for yard in Yard::all().await {
        let origin = Origin::new(1);
        let short = |named: burgeon_cache::Named<u32, u64>| named.far().ttl(Duration::from_millis(400));
        let one = yard.node();
        let cache = one.house.cache(&origin, short);
        assert_eq!(one.get(&cache, 1).await, Some(1));
        one.offered().await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        origin.set(2);
        let other = yard.node();
        let cache = other.house.cache(&origin, short);
        assert_eq!(other.get(&cache, 1).await, Some(2), "{}", yard.name);
        other.offered().await;
        // The old value was good enough to fall back on.
        origin.fail(true);
        tokio::time::sleep(Duration::from_millis(500)).await;
        let third = yard.node();
        let cache = third.house.cache(&origin, short);
        assert_eq!(third.get(&cache, 1).await, Some(2), "{}", yard.name);
        assert_eq!(third.count("cache_stale_served_total", &[("why", "load_failed")]), 1);
    }
}

#[tokio::test]
async fn what_a_caller_falls_back_on_while_the_loader_is_slow_may_come_from_the_store() {
    for yard in Yard::all().await {
        let origin = Origin::new(1);
        fresh(&yard, &origin, 1).await;
        let node = yard.node_with(|config| config.soft_timeout = Duration::from_millis(50));
        let cache = node.cache(&origin);
        // Expired there, so that it is stale for whoever starts now.
        let expired = yard.node();
        let at_expired = expired.cache(&origin);
        at_expired.expire(&expired.house.ctx, &1);
        expired.offered().await;
        origin.set(2);
        origin.hold_all();
        assert_eq!(within(node.get(&cache, 1)).await, Some(1), "{}", yard.name);
        assert_eq!(node.count("cache_stale_served_total", &[("why", "load_slow")]), 1);
        origin.release();
        node.offered().await;
        assert_eq!(node.get(&cache, 1).await, Some(2));
    }
}

#[tokio::test]
async fn a_value_that_was_set_is_what_the_others_find() {
    for yard in Yard::all().await {
        let origin = Origin::new(1);
        assert_eq!(fresh(&yard, &origin, 1).await, Some(1));
        let node = yard.node();
        let cache = node.cache(&origin);
        cache.set_tagged(&node.house.ctx, &1, 5, ["all"]);
        node.offered().await;
        assert_eq!(fresh(&yard, &origin, 1).await, Some(5), "{}", yard.name);
        assert_eq!(origin.loads(), 1);
        yard.invalidate_tag(&cache, "all").await;
        assert_eq!(fresh(&yard, &origin, 1).await, Some(1), "{}", yard.name);
    }
}

#[tokio::test]
async fn many_keys_are_one_question_and_one_load_of_what_nobody_has() {
    for yard in Yard::all().await {
        let asked = Arc::new(AtomicU64::new(0));
        let named = |node: &super::yard::Node| -> Cache<u32, u64> {
            let asked = asked.clone();
            node.house.caches.named("it").far().batch_loader(asked, load_many)
        };
        let one = yard.node();
        let cache = named(&one);
        let some: Vec<u32> = (0..60).collect();
        cache.get_many(&one.house.ctx, &some).await.unwrap();
        one.offered().await;
        let other = yard.node();
        let cache = named(&other);
        // Hits only: what is loaded is written, which Redis counts in the same way.
        let before = yard.reads().await;
        cache.get_many(&other.house.ctx, &some).await.unwrap();
        assert_eq!(yard.reads().await - before, 1, "{}", yard.name);
        let other = yard.node();
        let cache = named(&other);
        let all: Vec<u32> = (0..100).collect();
        let values = cache.get_many(&other.house.ctx, &all).await.unwrap();
        assert!(values.iter().zip(&all).all(|(value, key)| value.as_deref() == Some(&u64::from(*key))));
        other.offered().await;
        assert_eq!(asked.load(Ordering::SeqCst), 60 + 40);
        assert_eq!(other.count("cache_far_reads_total", &[("outcome", "hit")]), 60);
        assert_eq!(other.count("cache_far_writes_total", &[("outcome", "written")]), 40);
    }
}

#[tokio::test]
async fn a_large_transaction_tells_the_store_in_a_few_words() {
    for yard in Yard::all().await {
        let origin = Origin::new(1);
        for key in [1, 699, 700, 999, 1_000] {
            assert_eq!(fresh(&yard, &origin, key).await, Some(1));
        }
        origin.set(2);
        let node = yard.node();
        let cache = node.cache(&origin);
        let before = yard.burials().await;
        let invalidate = yard.db.tx(&node.house.ctx, async |tx| {
            for key in 0..700 {
                tx.invalidate(&cache, key);
            }
            for key in 700..1_000 {
                tx.invalidate_tag(&cache, format_args!("key:{key}"));
            }
            Ok(())
        });
        within(invalidate).await.unwrap();
        // Batches of 256, each of keys and of tags; and the first may have left before it was full.
        let told = yard.burials().await - before;
        assert!((2..=10).contains(&told), "{}: {told} words for a thousand invalidations", yard.name);
        for key in [1, 699, 700, 999] {
            assert_eq!(fresh(&yard, &origin, key).await, Some(2), "{}: {key}", yard.name);
        }
        assert_eq!(fresh(&yard, &origin, 1_000).await, Some(1), "{}", yard.name);
    }
}

async fn load_many(asked: Arc<AtomicU64>, load: Load, keys: Vec<u32>) -> Result<HashMap<u32, u64>> {
    load.tag("all");
    asked.fetch_add(keys.len() as u64, Ordering::SeqCst);
    Ok(keys.into_iter().map(|key| (key, u64::from(key))).collect())
}

#[tokio::test]
async fn what_was_made_of_something_stale_is_not_offered_to_the_others() {
    for yard in Yard::all().await {
        let origin = Origin::new(1);
        let outer_of = |node: &super::yard::Node, inner: &Cache<u32, u64>| -> Cache<u32, u64> {
            node.house.caches.named("outer").far().ttl(Duration::from_secs(3_600)).loader(
                inner.clone(),
                async |inner: Cache<u32, u64>, load: Load, key: u32| {
                    Ok(inner.get(&load, &key).await?.map(|value| *value))
                },
            )
        };
        let one = yard.node();
        let inner = one.house.cache(&origin, |named| named);
        let outer = outer_of(&one, &inner);
        assert_eq!(one.get(&outer, 1).await, Some(1));
        one.offered().await;
        origin.set(2);
        origin.fail(true);
        inner.expire(&one.house.ctx, &1);
        within(outer.expire(&one.house.ctx, &1).into_future()).await;
        assert_eq!(one.get(&outer, 1).await, Some(1), "{}", yard.name);
        one.offered().await;
        origin.fail(false);
        let other = yard.node();
        let at_other = outer_of(&other, &other.house.cache(&origin, |named| named));
        assert_eq!(
            other.get(&at_other, 1).await,
            Some(2),
            "{}: it found what is stale, and fresh",
            yard.name
        );
    }
}
