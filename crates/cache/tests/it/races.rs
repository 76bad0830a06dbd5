//! An invalidation against every sort of load: whatever the order, the old value is neither kept nor seen again.

use std::time::Duration;

use burgeon_cache::{Cache, Invalidation, Load};
use burgeon_core::Ctx;

use crate::house::{House, Origin, house};

#[derive(Debug, Clone, Copy)]
enum Change {
    Invalidate,
    Expire,
    Set,
    InvalidateTag,
    ExpireTag,
    InvalidateAll,
    ExpireAll,
}

const CHANGES: [Change; 7] = [
    Change::Invalidate,
    Change::Expire,
    Change::Set,
    Change::InvalidateTag,
    Change::ExpireTag,
    Change::InvalidateAll,
    Change::ExpireAll,
];

impl Change {
    fn is_of_a_tag(self) -> bool {
        matches!(self, Change::InvalidateTag | Change::ExpireTag)
    }

    fn make(self, cache: &Cache<u32, u64>, ctx: &Ctx) -> Invalidation {
        match self {
            Change::Invalidate => cache.invalidate(ctx, &1),
            Change::Expire => cache.expire(ctx, &1),
            Change::Set => cache.set(ctx, &1, 2),
            Change::InvalidateTag => cache.invalidate_tag(ctx, "key:1"),
            Change::ExpireTag => cache.expire_tag(ctx, "key:1"),
            Change::InvalidateAll => cache.invalidate_all(ctx),
            Change::ExpireAll => cache.expire_all(ctx),
        }
    }
}

/// A load of the old value is held; the data changes, the cache is told; a reader comes; the load ends.
async fn race(house: &House, origin: &Origin, cache: &Cache<u32, u64>, change: Change, begun: u64) {
    origin.begun(begun).await;
    origin.set(2);
    change.make(cache, &house.ctx);
    let reader = house.tasks.spawn("late reader", {
        let (cache, ctx) = (cache.clone(), house.ctx.clone());
        async move { cache.get(&ctx, &1).await }
    });
    if change.is_of_a_tag() {
        // What a load's tags are is known when it ends, so the reader waits for it; then it must load again.
        while house.count("cache_joined_total", &[]) == 0 {
            tokio::task::yield_now().await;
        }
        origin.release();
    }
    let seen = reader.await.unwrap().unwrap();
    assert_eq!(seen.as_deref(), Some(&2), "{change:?}: a reader who came after it");
    origin.release();
    house.landed().await;
    assert!(cache.peek(&1).is_none_or(|value| *value == 2), "{change:?}: what was kept");
    assert_eq!(cache.get(&house.ctx, &1).await.unwrap().as_deref(), Some(&2), "{change:?}: afterwards");
}

#[tokio::test(start_paused = true)]
async fn against_a_load_that_a_caller_waits_for() {
    for change in CHANGES {
        let (house, origin) = (house(), Origin::new(1));
        let cache = house.cache(&origin, |named| named);
        origin.hold_next();
        let waiting = house.tasks.spawn("reader", {
            let (cache, ctx) = (cache.clone(), house.ctx.clone());
            async move { cache.get(&ctx, &1).await }
        });
        race(&house, &origin, &cache, change, 1).await;
        // It asked before the change, so either value is right.
        let value = waiting.await.unwrap().unwrap();
        assert!(matches!(value.as_deref(), Some(1 | 2)), "{change:?}: {value:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn against_an_early_refresh() {
    for change in CHANGES {
        let (house, origin) = (house(), Origin::new(1));
        // So hasty that the first read in the window refreshes.
        let cache = house.cache(&origin, |named| named.with(|config| config.beta = 1e12));
        cache.get(&house.ctx, &1).await.unwrap();
        tokio::time::advance(Duration::from_secs(25)).await;
        origin.hold_next();
        assert_eq!(cache.get(&house.ctx, &1).await.unwrap().as_deref(), Some(&1));
        race(&house, &origin, &cache, change, 2).await;
    }
}

#[tokio::test(start_paused = true)]
async fn against_a_load_behind_a_stale_value() {
    for change in CHANGES {
        let (house, origin) = (house(), Origin::new(1));
        let cache = house.cache(&origin, |named| named.revalidate(Duration::from_secs(60)));
        cache.get(&house.ctx, &1).await.unwrap();
        tokio::time::advance(Duration::from_secs(40)).await;
        origin.hold_next();
        assert_eq!(cache.get(&house.ctx, &1).await.unwrap().as_deref(), Some(&1));
        race(&house, &origin, &cache, change, 2).await;
    }
}

#[tokio::test(start_paused = true)]
async fn against_a_load_that_goes_on_after_the_soft_timeout() {
    for change in CHANGES {
        let (house, origin) = (house(), Origin::new(1));
        let cache = house.cache(&origin, |named| named);
        cache.get(&house.ctx, &1).await.unwrap();
        tokio::time::advance(Duration::from_secs(40)).await;
        origin.hold_next();
        assert_eq!(cache.get(&house.ctx, &1).await.unwrap().as_deref(), Some(&1));
        race(&house, &origin, &cache, change, 2).await;
    }
}

#[tokio::test(start_paused = true)]
async fn against_a_batch() {
    for change in CHANGES {
        let (house, origin) = (house(), Origin::new(1));
        let cache: Cache<u32, u64> = house.caches.named("it").batch_loader(
            origin.clone(),
            async |origin: Origin, load: Load, keys: Vec<u32>| {
                load.tag("key:1");
                let value = origin.read().await?;
                Ok(keys.into_iter().filter_map(|key| Some((key, value?))).collect())
            },
        );
        origin.hold_next();
        let waiting = house.tasks.spawn("reader", {
            let (cache, ctx) = (cache.clone(), house.ctx.clone());
            async move { cache.get_many(&ctx, &[1, 2, 3]).await }
        });
        race(&house, &origin, &cache, change, 1).await;
        waiting.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_absent_has_a_generation_too() {
    let (house, origin) = (house(), Origin::new(1));
    let cache = house.cache(&origin, |named| named);
    origin.hold_next();
    let waiting = house.tasks.spawn("reader", {
        let (cache, ctx) = (cache.clone(), house.ctx.clone());
        async move { cache.get(&ctx, &1).await }
    });
    origin.begun(1).await;
    cache.invalidate(&house.ctx, &1);
    origin.release();
    waiting.await.unwrap().unwrap();
    assert_eq!(cache.peek(&1), None);
    assert_eq!(house.count("cache_discarded_total", &[("why", "invalidated")]), 1);
}

#[tokio::test(start_paused = true)]
async fn who_joined_after_a_tags_invalidation_loads_again() {
    let (house, origin) = (house(), Origin::new(1));
    let cache = house.cache(&origin, |named| named);
    origin.hold_next();
    let reader = || {
        let (cache, ctx) = (cache.clone(), house.ctx.clone());
        house
            .tasks
            .spawn("reader", async move { cache.get(&ctx, &1).await.map(|value| value.map(|value| *value)) })
    };
    let early = reader();
    origin.begun(1).await;
    origin.set(2);
    // The load's tags are not known yet, so nobody can be kept from joining it.
    cache.invalidate_tag(&house.ctx, "all");
    let late = reader();
    while house.count("cache_joined_total", &[]) == 0 {
        tokio::task::yield_now().await;
    }
    origin.release();
    assert_eq!(early.await.unwrap().unwrap(), Some(1));
    assert_eq!(late.await.unwrap().unwrap(), Some(2));
    assert_eq!(cache.peek(&1).as_deref(), Some(&2));
}

#[tokio::test(start_paused = true)]
async fn a_write_through_that_an_invalidation_overtook_is_not_kept() {
    // The writer read 1, the other one changed it and invalidated: `set` came first, so it is removed like anything else.
    let (house, origin) = (house(), Origin::new(2));
    let cache = house.cache(&origin, |named| named);
    cache.set(&house.ctx, &1, 1);
    cache.invalidate(&house.ctx, &1);
    assert_eq!(cache.get(&house.ctx, &1).await.unwrap().as_deref(), Some(&2));
}
