//! Many keys at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use burgeon_cache::{Cache, Load};
use tokio::time::{Instant, advance};

use crate::house::{House, Origin, house};

type Seen = Arc<Mutex<Vec<Vec<u32>>>>;

fn squares(house: &House, origin: &Origin, seen: &Seen) -> Cache<u32, u64> {
    house.caches.named("it").batch_loader(
        (origin.clone(), seen.clone()),
        async |(origin, seen): (Origin, Seen), _: Load, keys: Vec<u32>| {
            seen.lock().unwrap().push(keys.clone());
            origin.read().await?;
            // Only even keys exist.
            let found: HashMap<u32, u64> =
                keys.into_iter().filter(|key| key % 2 == 0).map(|key| (key, u64::from(key) * 10)).collect();
            Ok(found)
        },
    )
}

#[tokio::test(start_paused = true)]
async fn the_loader_sees_only_what_is_missing_and_not_under_way() {
    let (house, origin, seen) = (house(), Origin::new(1), Seen::default());
    let cache = squares(&house, &origin, &seen);
    cache.get_many(&house.ctx, &(0..70).collect::<Vec<_>>()).await.unwrap();
    origin.hold_next();
    let other = house.tasks.spawn("other", {
        let (cache, ctx) = (cache.clone(), house.ctx.clone());
        async move { cache.get_many(&ctx, &(70..80).collect::<Vec<_>>()).await }
    });
    origin.begun(2).await;
    let all = house.tasks.spawn("all", {
        let (cache, ctx) = (cache.clone(), house.ctx.clone());
        async move { cache.get_many(&ctx, &(0..100).collect::<Vec<_>>()).await }
    });
    origin.begun(3).await;
    origin.release();
    let values = all.await.unwrap().unwrap();
    other.await.unwrap().unwrap();
    for (key, value) in values.iter().enumerate() {
        assert_eq!(value.as_deref().copied(), (key % 2 == 0).then_some(key as u64 * 10));
    }
    let sizes: Vec<usize> = seen.lock().unwrap().iter().map(Vec::len).collect();
    assert_eq!(sizes, [70, 10, 20]);
    // What is not there is known, too.
    cache.get_many(&house.ctx, &(0..100).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(seen.lock().unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_key_asked_for_twice_is_loaded_once() {
    let (house, origin, seen) = (house(), Origin::new(1), Seen::default());
    let cache = squares(&house, &origin, &seen);
    let values = cache.get_many(&house.ctx, &[4, 5, 4]).await.unwrap();
    assert_eq!(
        values.iter().map(|value| value.as_deref().copied()).collect::<Vec<_>>(),
        [Some(40), None, Some(40)]
    );
    assert_eq!(*seen.lock().unwrap(), [vec![4, 5]]);
    assert_eq!(cache.get(&house.ctx, &6).await.unwrap().as_deref(), Some(&60));
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_fails_is_an_error_unless_old_values_are_there() {
    let (house, origin, seen) = (house(), Origin::new(1), Seen::default());
    let cache = squares(&house, &origin, &seen);
    cache.get_many(&house.ctx, &[2, 4]).await.unwrap();
    cache.expire_all(&house.ctx);
    origin.fail(true);
    let values = cache.get_many(&house.ctx, &[2, 4]).await.unwrap();
    assert_eq!(
        values.iter().map(|value| value.as_deref().copied()).collect::<Vec<_>>(),
        [Some(20), Some(40)]
    );
    assert!(cache.get_many(&house.ctx, &[2, 6]).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn what_is_warmed_is_loaded_a_hundred_at_a_time_and_once() {
    let (house, origin, seen) = (house(), Origin::new(1), Seen::default());
    let cache = squares(&house, &origin, &seen);
    assert_eq!(cache.warm(&house.ctx, 0..250).await.unwrap(), 125);
    let sizes: Vec<usize> = seen.lock().unwrap().iter().map(Vec::len).collect();
    assert_eq!(sizes, [100, 100, 50]);
    assert_eq!(cache.get(&house.ctx, &248).await.unwrap().as_deref(), Some(&2_480));
    assert_eq!(cache.warm(&house.ctx, 0..250).await.unwrap(), 125);
    assert_eq!(seen.lock().unwrap().len(), 3);
}

/// Values as the origin has them, ten seconds old at most before they are renewed behind the reader, a tenth of a second later.
fn renewed(house: &House, origin: &Origin, seen: &Seen) -> Cache<u32, u64> {
    let named = house.caches.named("it").ttl(Duration::from_secs(10)).revalidate(Duration::from_secs(60));
    named.gather(Duration::from_millis(100)).batch_loader(
        (origin.clone(), seen.clone()),
        async |(origin, seen): (Origin, Seen), _: Load, keys: Vec<u32>| {
            seen.lock().unwrap().push(keys.clone());
            let value = origin.read().await?.unwrap_or(0);
            Ok(keys.into_iter().map(|key| (key, value)).collect::<HashMap<u32, u64>>())
        },
    )
}

fn sizes(seen: &Seen) -> Vec<usize> {
    seen.lock().unwrap().iter().map(Vec::len).collect()
}

#[tokio::test(start_paused = true)]
async fn refreshes_that_nobody_waits_for_are_one_load() {
    let (house, origin, seen) = (house(), Origin::new(1), Seen::default());
    let cache = renewed(&house, &origin, &seen);
    cache.warm(&house.ctx, 0..20).await.unwrap();
    origin.set(2);
    advance(Duration::from_secs(11)).await;
    for key in 0..20 {
        let began = Instant::now();
        assert_eq!(cache.get(&house.ctx, &key).await.unwrap().as_deref(), Some(&1));
        assert_eq!(began.elapsed(), Duration::ZERO, "a reader waited");
        advance(Duration::from_millis(4)).await;
    }
    assert_eq!(sizes(&seen), [20]);
    origin.begun(2).await;
    house.landed().await;
    assert_eq!(sizes(&seen), [20, 20]);
    assert_eq!(cache.get(&house.ctx, &19).await.unwrap().as_deref(), Some(&2));
}

#[tokio::test(start_paused = true)]
async fn a_hundred_refreshes_wait_for_no_more() {
    let (house, origin, seen) = (house(), Origin::new(1), Seen::default());
    let cache = renewed(&house, &origin, &seen);
    cache.warm(&house.ctx, 0..150).await.unwrap();
    advance(Duration::from_secs(11)).await;
    let began = Instant::now();
    for key in 0..150 {
        cache.get(&house.ctx, &key).await.unwrap();
    }
    origin.begun(3).await;
    assert_eq!((sizes(&seen), began.elapsed()), (vec![100, 50, 100], Duration::ZERO));
    origin.begun(4).await;
    assert_eq!(sizes(&seen), [100, 50, 100, 50]);
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_overtakes_a_refresh_that_waits_for_others() {
    let (house, origin, seen) = (house(), Origin::new(1), Seen::default());
    let cache = renewed(&house, &origin, &seen);
    cache.warm(&house.ctx, [7]).await.unwrap();
    advance(Duration::from_secs(11)).await;
    cache.get(&house.ctx, &7).await.unwrap();
    origin.set(2);
    cache.invalidate(&house.ctx, &7).await;
    let began = Instant::now();
    assert_eq!(cache.get(&house.ctx, &7).await.unwrap().as_deref(), Some(&2));
    assert_eq!(began.elapsed(), Duration::ZERO, "it waited for the refresh");
    origin.set(3);
    origin.begun(3).await;
    house.landed().await;
    assert_eq!(cache.get(&house.ctx, &7).await.unwrap().as_deref(), Some(&2), "what was overtaken was kept");
    assert_eq!(house.count("cache_discarded_total", &[("why", "invalidated")]), 1);
}
