//! Many callers, leavers, and loaders that break.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use burgeon_cache::{Cache, Fault, Load};
use burgeon_core::{Kind, Result};

use crate::house::{Origin, house};

#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_callers_of_one_expired_key_load_once() {
    let (house, origin) = (house(), Origin::new(1));
    let cache = house.cache(&origin, |named| named.with(|config| config.stale_max = Duration::ZERO));
    cache.get(&house.ctx, &1).await.unwrap();
    tokio::time::advance(Duration::from_secs(31)).await;
    origin.set(2);
    origin.hold_all();
    let mut callers: Vec<_> = (0..100_000).map(|_| Box::pin(cache.get(&house.ctx, &1))).collect();
    let mut context = Context::from_waker(Waker::noop());
    for caller in &mut callers {
        assert!(caller.as_mut().poll(&mut context).is_pending());
    }
    origin.begun(2).await;
    origin.release();
    house.landed().await;
    for caller in callers {
        assert_eq!(caller.await.unwrap().as_deref(), Some(&2));
    }
    assert_eq!(origin.loads(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_leader_who_leaves_takes_nothing_along() {
    // It leaves after its first poll, its second, ..
    for polls in 1..4 {
        let (house, origin) = (house(), Origin::new(1));
        let cache = house.cache(&origin, |named| named);
        origin.takes(Duration::from_millis(100));
        {
            let mut leader = pin!(cache.get(&house.ctx, &1));
            for _ in 0..polls {
                let mut context = Context::from_waker(Waker::noop());
                assert!(matches!(leader.as_mut().poll(&mut context), Poll::Pending));
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(cache.get(&house.ctx, &1).await.unwrap().as_deref(), Some(&1));
        assert_eq!(origin.loads(), 1, "after {polls} polls");
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_that_nobody_waits_for_is_given_up_where_that_is_asked_for() {
    let (house, origin) = (house(), Origin::new(1));
    let cache = house.cache(&origin, |named| named.with(|config| config.background_completion = false));
    origin.hold_next();
    let waiting = house.tasks.spawn("reader", {
        let (cache, ctx) = (cache.clone(), house.ctx.clone());
        async move { cache.get(&ctx, &1).await }
    });
    origin.begun(1).await;
    waiting.abort();
    assert!(waiting.await.is_err());
    house.landed().await;
    assert_eq!(cache.get(&house.ctx, &1).await.unwrap().as_deref(), Some(&1));
    assert_eq!(origin.loads(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_loader_that_panics_is_an_error_to_all_who_wait_and_to_nobody_else() {
    let house = house();
    let origin = Origin::new(1);
    let cache: Cache<u32, u64> = house.caches.named("it").loader(
        origin.clone(),
        async |origin: Origin, _: Load, _: u32| -> Result<Option<u64>> {
            let value = origin.read().await?;
            assert_ne!(value, Some(1), "the loader breaks");
            Ok(value)
        },
    );
    origin.hold_next();
    let readers: Vec<_> = (0..10)
        .map(|_| {
            let (cache, ctx) = (cache.clone(), house.ctx.clone());
            house.tasks.spawn("reader", async move { cache.get(&ctx, &1).await })
        })
        .collect();
    origin.begun(1).await;
    origin.release();
    for reader in readers {
        let error = reader.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), Kind::Internal);
        assert!(matches!(error.find::<Fault>(), Some(Fault::Broken { .. })), "{error:?}");
    }
    assert_eq!(origin.loads(), 1);
    origin.set(2);
    assert_eq!(cache.get(&house.ctx, &1).await.unwrap().as_deref(), Some(&2));
}

#[tokio::test(start_paused = true)]
async fn an_application_that_stops_leaves_nobody_waiting() {
    let (house, origin) = (house(), Origin::new(1));
    let cache = house.cache(&origin, |named| named);
    origin.hold_all();
    let mut caller = Box::pin(cache.get(&house.ctx, &1));
    assert!(caller.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    origin.begun(1).await;
    assert!(house.tasks.stop(Duration::from_millis(10)).await.is_err());
    assert_eq!(caller.await.unwrap_err().kind(), Kind::Internal);
    // And later ones are told at once.
    assert_eq!(cache.get(&house.ctx, &2).await.unwrap_err().kind(), Kind::Internal);
}
