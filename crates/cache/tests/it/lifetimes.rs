//! How long what is kept, in paused time.

use std::time::Duration;

use burgeon_cache::{Cache, Load, Loaded};
use burgeon_core::Result;
use tokio::time::advance;

use crate::house::{Origin, house, house_with};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_value_is_fresh_for_its_ttl() {
    let (house, origin) = (house(), Origin::new(1));
    let cache = house.cache(&origin, |named| named.ttl(10 * SECOND).with(|config| config.eager = 1.0));
    cache.get(&house.ctx, &1).await.unwrap();
    origin.set(2);
    advance(9 * SECOND).await;
    assert_eq!(cache.get(&house.ctx, &1).await.unwrap().as_deref(), Some(&1));
    advance(2 * SECOND).await;
    assert_eq!(cache.get(&house.ctx, &1).await.unwrap().as_deref(), Some(&2));
    assert_eq!(origin.loads(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_stored_together_does_not_expire_together() {
    let mut peaks = Vec::new();
    for jitter in [0.0, 0.05] {
        let house = house_with(|config| (config.jitter, config.entries) = (jitter, 50_000));
        let origin = Origin::new(1);
        let cache = house.cache(&origin, |named| named.ttl(60 * SECOND).with(|config| config.eager = 1.0));
        const KEYS: u32 = 10_000;
        for key in 0..KEYS {
            cache.set(&house.ctx, &key, 1);
        }
        advance(55 * SECOND).await;
        let mut fresh = KEYS as usize;
        let mut peak = 0;
        for _ in 0..10 {
            advance(SECOND).await;
            let left = (0..KEYS).filter(|key| cache.peek(key).is_some()).count();
            peak = peak.max(fresh - left);
            fresh = left;
        }
        assert_eq!(fresh, 0);
        peaks.push(peak);
    }
    assert!(peaks[1] * 4 <= peaks[0], "peaks of expiry in a second: {peaks:?}");
}

#[tokio::test(start_paused = true)]
async fn not_found_is_believed_briefly_and_an_insert_ends_it() {
    let (house, origin) = (house(), Origin::new(1));
    let cache = house
        .cache(&origin, |named| named.ttl(3600 * SECOND).with(|config| config.negative_ttl = 10 * SECOND));
    origin.has_none(true);
    for _ in 0..5 {
        assert_eq!(cache.get(&house.ctx, &1).await.unwrap(), None);
    }
    assert_eq!(origin.loads(), 1);
    origin.has_none(false);
    cache.invalidate(&house.ctx, &1);
    assert_eq!(cache.get(&house.ctx, &1).await.unwrap().as_deref(), Some(&1));

    origin.has_none(true);
    cache.invalidate(&house.ctx, &1);
    assert_eq!(cache.get(&house.ctx, &1).await.unwrap(), None);
    origin.has_none(false);
    advance(11 * SECOND).await;
    assert_eq!(cache.get(&house.ctx, &1).await.unwrap().as_deref(), Some(&1));
}

#[tokio::test(start_paused = true)]
async fn early_refreshes_leave_hardly_anyone_waiting_and_cost_little() {
    let (house, origin) = (house(), Origin::new(1));
    origin.takes(Duration::from_millis(100));
    let cache = house.cache(&origin, |named| named.ttl(10 * SECOND));
    cache.get(&house.ctx, &1).await.unwrap();
    const SECONDS: u64 = 1_000;
    for _ in 0..SECONDS * 20 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        cache.get(&house.ctx, &1).await.unwrap();
    }
    // The first read of all began a load itself; after it, only refreshes did.
    let waited = house.count("cache_misses_total", &[]) - 1;
    assert_eq!(house.count("cache_joined_total", &[]), waited);
    assert!(waited <= SECONDS * 20 / 1_000, "{waited} of {} waited", SECONDS * 20);
    let loads = origin.loads();
    assert!(
        (SECONDS / 10..=SECONDS / 10 * 11 / 10).contains(&loads),
        "{loads} loads in {SECONDS} s of 10 s lives"
    );
}

#[tokio::test(start_paused = true)]
async fn a_loader_may_say_how_long_and_whether_at_all() {
    let (house, origin) = (house(), Origin::new(1));
    let cache: Cache<u32, u64> = house.caches.named("it").with(|config| config.eager = 1.0).loader(
        origin.clone(),
        async |origin: Origin, load: Load, key: u32| {
            match key {
                1 => load.ttl(2 * SECOND),
                2 => load.do_not_keep(),
                _ => load.ttl(Duration::ZERO),
            }
            origin.read().await
        },
    );
    cache.get(&house.ctx, &1).await.unwrap();
    advance(SECOND).await;
    cache.get(&house.ctx, &1).await.unwrap();
    assert_eq!(origin.loads(), 1);
    advance(2 * SECOND).await;
    cache.get(&house.ctx, &1).await.unwrap();
    assert_eq!(origin.loads(), 2);
    for key in [2, 2, 3, 3] {
        assert!(cache.get(&house.ctx, &key).await.unwrap().is_some());
    }
    assert_eq!(origin.loads(), 6);
}

async fn conditional(origin: Origin, load: Load, _: u32) -> Result<Loaded<u64>> {
    let now = origin.read().await?.unwrap();
    if load.etag_before() == Some(&now.to_string()) {
        return Ok(Loaded::NotModified);
    }
    if now == 99 {
        return Ok(Loaded::Keep);
    }
    load.etag(now.to_string());
    Ok(Loaded::Value(now))
}

#[tokio::test(start_paused = true)]
async fn not_modified_gives_the_old_value_a_new_life() {
    let (house, origin) = (house(), Origin::new(1));
    let cache: Cache<u32, u64> = house
        .caches
        .named("it")
        .ttl(10 * SECOND)
        .with(|config| config.eager = 1.0)
        .loader(origin.clone(), conditional);
    let first = cache.get(&house.ctx, &1).await.unwrap().unwrap();
    advance(11 * SECOND).await;
    let same = cache.get(&house.ctx, &1).await.unwrap().unwrap();
    assert!(std::sync::Arc::ptr_eq(&first, &same));
    advance(9 * SECOND).await;
    cache.get(&house.ctx, &1).await.unwrap();
    assert_eq!(origin.loads(), 2);
    // Kept as it is: stale, but not asked for again at once.
    origin.set(99);
    advance(2 * SECOND).await;
    assert_eq!(cache.get(&house.ctx, &1).await.unwrap().as_deref(), Some(&1));
    assert_eq!(cache.get(&house.ctx, &1).await.unwrap().as_deref(), Some(&1));
    assert_eq!(origin.loads(), 3);
    origin.set(5);
    advance(31 * SECOND).await;
    assert_eq!(cache.get(&house.ctx, &1).await.unwrap().as_deref(), Some(&5));
}

#[tokio::test(start_paused = true)]
async fn keeping_what_was_not_there_is_an_error() {
    let (house, origin) = (house(), Origin::new(99));
    let cache: Cache<u32, u64> = house.caches.named("it").loader(origin, conditional);
    let error = cache.get(&house.ctx, &1).await.unwrap_err();
    assert!(error.detail().contains("kept a value where there was none"), "{}", error.detail());
}

#[tokio::test(start_paused = true)]
async fn bytes_are_bounded_and_what_is_too_large_is_served_and_not_kept() {
    let house = house();
    let cache: Cache<u32, Vec<u8>> = house
        .caches
        .named("it")
        .bytes(burgeon_core::units::Size::kib(256), |_, value: &Vec<u8>| value.len() as u64)
        .with(|config| config.payload_limit = burgeon_core::units::Size::bytes(10_000))
        .loader((), async |(), _: Load, key: u32| Ok(vec![0u8; key as usize]));
    for key in 0..10_000u32 {
        let value = cache.get(&house.ctx, &(key % 3_000)).await.unwrap().unwrap();
        assert_eq!(value.len(), key as usize % 3_000);
    }
    let view = cache.view();
    assert!(view.weight <= 256 << 10 && view.weight > 200 << 10, "{view:?}");
    assert_eq!(house.meters.gauge("cache_weight", "", &[("cache", "it")]).get() as u64, view.weight);
    assert_eq!(house.meters.gauge("cache_entries", "", &[("cache", "it")]).get() as u64, view.entries);
    assert_eq!(cache.get(&house.ctx, &50_000).await.unwrap().unwrap().len(), 50_000);
    assert_eq!(cache.peek(&50_000), None);
    assert_eq!(house.count("cache_discarded_total", &[("why", "oversize")]), 1);
}
