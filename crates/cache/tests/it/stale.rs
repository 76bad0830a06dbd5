//! Stale instead of down: what callers get while the origin fails or dawdles.

use std::time::Duration;

use burgeon_cache::{Cache, Fault, Invalidation};
use burgeon_core::Kind;
use tokio::time::{Instant, advance};

use crate::house::{Origin, house, within};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn with_the_origin_down_for_ten_minutes_nobody_with_an_old_value_sees_an_error() {
    let (house, origin) = (house(), Origin::new(1));
    let cache = house.cache(&origin, |named| named);
    cache.get(&house.ctx, &1).await.unwrap();
    origin.fail(true);
    for _ in 0..1_200 {
        advance(SECOND / 2).await;
        assert_eq!(cache.get(&house.ctx, &1).await.unwrap().as_deref(), Some(&1));
    }
    // Once per throttle of 30 s.
    assert!(origin.loads() <= 1 + 600 / 30, "{} loads", origin.loads());
    assert!(house.count("cache_stale_served_total", &[("why", "load_failed")]) > 1_000);
    origin.fail(false);
    origin.set(2);
    advance(31 * SECOND).await;
    assert_eq!(cache.get(&house.ctx, &1).await.unwrap().as_deref(), Some(&2));
}

#[tokio::test(start_paused = true)]
async fn without_an_old_value_the_error_is_the_loaders_and_is_not_kept() {
    let (house, origin) = (house(), Origin::new(1));
    let cache = house.cache(&origin, |named| named);
    origin.fail(true);
    let error = cache.get(&house.ctx, &1).await.unwrap_err();
    assert_eq!((error.kind(), error.public()), (Kind::Unavailable, "The origin is down."));
    origin.fail(false);
    assert_eq!(cache.get(&house.ctx, &1).await.unwrap().as_deref(), Some(&1));
}

#[tokio::test(start_paused = true)]
async fn a_fallback_is_served_where_there_is_no_old_value() {
    let (house, origin) = (house(), Origin::new(1));
    let cache = house.cache(&origin, |named| named.fallback(7));
    origin.fail(true);
    assert_eq!(cache.get(&house.ctx, &1).await.unwrap().as_deref(), Some(&7));
    origin.fail(false);
    assert_eq!(cache.get(&house.ctx, &1).await.unwrap().as_deref(), Some(&1));
}

#[tokio::test(start_paused = true)]
async fn stale_values_are_not_kept_where_that_is_switched_off() {
    let (house, origin) = (house(), Origin::new(1));
    let cache = house.cache(&origin, |named| named.with(|config| config.stale_max = Duration::ZERO));
    cache.get(&house.ctx, &1).await.unwrap();
    advance(31 * SECOND).await;
    origin.fail(true);
    assert!(cache.get(&house.ctx, &1).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_caller_with_a_stale_value_at_hand_waits_only_softly() {
    let (house, origin) = (house(), Origin::new(1));
    let cache = house.cache(&origin, |named| named);
    cache.get(&house.ctx, &1).await.unwrap();
    advance(31 * SECOND).await;
    origin.set(2);
    origin.takes(5 * SECOND);
    let started = Instant::now();
    assert_eq!(cache.get(&house.ctx, &1).await.unwrap().as_deref(), Some(&1));
    assert!(started.elapsed() <= Duration::from_millis(505), "{:?}", started.elapsed());
    // A quarter of what the caller has left, if that is less.
    let started = Instant::now();
    assert_eq!(cache.get(&within(Duration::from_millis(400)), &1).await.unwrap().as_deref(), Some(&1));
    assert!(started.elapsed() <= Duration::from_millis(105), "{:?}", started.elapsed());
    // The load went on behind them, and is one.
    advance(6 * SECOND).await;
    house.landed().await;
    assert_eq!(cache.get(&house.ctx, &1).await.unwrap().as_deref(), Some(&2));
    assert_eq!(origin.loads(), 2);
}

#[tokio::test(start_paused = true)]
async fn without_a_stale_value_a_caller_waits_until_its_deadline_and_the_load_until_its_limit() {
    let (house, origin) = (house(), Origin::new(1));
    let cache = house.cache(&origin, |named| named);
    origin.takes(60 * SECOND);
    let started = Instant::now();
    let error = cache.get(&within(SECOND), &1).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Deadline);
    assert!(matches!(error.find::<Fault>(), Some(Fault::Timeout { .. })), "{error:?}");
    assert_eq!(started.elapsed(), SECOND);
    let error = cache.get(&house.ctx, &1).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Deadline);
    assert!(started.elapsed() <= 11 * SECOND, "{:?}", started.elapsed());
    house.landed().await;
    assert_eq!(house.count("cache_loads_total", &[("outcome", "timed_out")]), 1);
    // A caller whose time is up already starts nothing.
    let loads = origin.loads();
    assert!(cache.get(&within(Duration::ZERO), &1).await.is_err());
    assert_eq!(origin.loads(), loads);
}

#[tokio::test(start_paused = true)]
async fn while_it_revalidates_everybody_gets_the_stale_value_at_once_and_one_load_goes_on() {
    let (house, origin) = (house(), Origin::new(1));
    let cache = house.cache(&origin, |named| named.revalidate(60 * SECOND));
    cache.get(&house.ctx, &1).await.unwrap();
    advance(40 * SECOND).await;
    origin.set(2);
    origin.hold_next();
    for _ in 0..100 {
        let started = Instant::now();
        assert_eq!(cache.get(&house.ctx, &1).await.unwrap().as_deref(), Some(&1));
        assert_eq!(started.elapsed(), Duration::ZERO);
    }
    origin.begun(2).await;
    origin.release();
    house.landed().await;
    assert_eq!(cache.get(&house.ctx, &1).await.unwrap().as_deref(), Some(&2));
    assert_eq!(origin.loads(), 2);
    // Beyond that time callers wait for the new one.
    advance(100 * SECOND).await;
    origin.set(3);
    assert_eq!(cache.get(&house.ctx, &1).await.unwrap().as_deref(), Some(&3));
}

#[tokio::test(start_paused = true)]
async fn where_nothing_stale_is_served_neither_is_what_was_expired_by_hand() {
    let (house, origin) = (house(), Origin::new(1));
    let cache = house.cache(&origin, |named| named.with(|config| config.stale_max = Duration::ZERO));
    for expire in [
        (|cache, ctx| cache.expire(ctx, &1)) as fn(&Cache<u32, u64>, &burgeon_core::Ctx) -> Invalidation,
        |cache, ctx| cache.expire_tag(ctx, "all"),
        |cache, ctx| cache.expire_all(ctx),
    ] {
        origin.fail(false);
        cache.get(&house.ctx, &1).await.unwrap();
        origin.fail(true);
        expire(&cache, &house.ctx);
        assert!(cache.get(&house.ctx, &1).await.is_err());
    }
}
