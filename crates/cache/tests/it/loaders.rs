//! The ways a cache gets its values, and what is refused at start.

use burgeon_cache::{Cache, Config, Fault, Load, Loaded};
use burgeon_core::Result;

use crate::house::{Origin, house, house_with};

#[tokio::test(start_paused = true)]
async fn a_loader_of_the_callers_own_is_shared_like_any_other() {
    let (house, origin) = (house(), Origin::new(1));
    let cache: Cache<String, u64> = house.caches.named("it").without_loader();
    origin.hold_next();
    let readers: Vec<_> = (0..5)
        .map(|_| {
            let (cache, ctx, origin) = (cache.clone(), house.ctx.clone(), origin.clone());
            house.tasks.spawn("reader", async move {
                cache.get_or_load(&ctx, "key", move |_: Load| async move { origin.read().await }).await
            })
        })
        .collect();
    origin.begun(1).await;
    origin.release();
    for reader in readers {
        assert_eq!(reader.await.unwrap().unwrap().as_deref(), Some(&1));
    }
    assert_eq!(origin.loads(), 1);
    assert_eq!(cache.get(&house.ctx, "key").await.unwrap().as_deref(), Some(&1));
    let error = cache.get(&house.ctx, "other").await.unwrap_err();
    assert!(matches!(error.find::<Fault>(), Some(Fault::NoLoader { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_loader_that_always_brings_a_value_just_returns_it() {
    let house = house();
    let cache: Cache<u32, String> = house
        .caches
        .named("it")
        .loader("item", async |what: &str, _: Load, key: u32| Ok(format!("{what} {key}")));
    assert_eq!(cache.get(&house.ctx, &7).await.unwrap().as_deref().map(String::as_str), Some("item 7"));
}

#[tokio::test(start_paused = true)]
async fn a_loader_sees_what_was_there_before() {
    let house = house();
    let cache: Cache<u32, u64> = house.caches.named("it").loader((), async |(), load: Load, _: u32| {
        Result::Ok(Loaded::Value(load.before::<u64>().map_or(1, |before| *before + 1)))
    });
    for expected in 1..4 {
        assert_eq!(cache.get(&house.ctx, &1).await.unwrap().as_deref(), Some(&expected));
        cache.expire(&house.ctx, &1);
    }
}

#[tokio::test]
#[should_panic(expected = "two caches called `product`")]
async fn a_name_is_one_cache() {
    let house = house();
    let _first: Cache<u32, u32> = house.caches.named("product").without_loader();
    let _second: Cache<u32, u32> = house.caches.named("product").without_loader();
}

#[tokio::test]
#[should_panic(expected = "the cache `product`: cache.jitter")]
async fn settings_that_make_no_sense_are_refused_at_start() {
    let _cache: Cache<u32, u32> =
        house().caches.named("product").with(|config: &mut Config| config.jitter = 3.0).without_loader();
}

#[tokio::test(start_paused = true)]
async fn a_view_says_what_is_there() {
    let (house, origin) = (house(), Origin::new(1));
    let cache = house.cache(&origin, |named| named.entries(500));
    cache.get_many(&house.ctx, &[1, 2, 3]).await.unwrap();
    cache.get(&house.ctx, &1).await.unwrap();
    let view = cache.view();
    assert_eq!((view.name.as_str(), view.entries, view.capacity, view.unit), ("it", 3, 500, "entries"));
    assert_eq!((view.hits, view.misses, view.loading), (1, 3, 0));
    assert_eq!(view.rules, ["queues"]);
    assert_eq!(house.caches.view(), [view]);
}

#[tokio::test(start_paused = true)]
async fn switched_off_every_read_loads_and_nothing_is_kept_or_shared() {
    let house = house_with(|config| config.enabled = false);
    let origin = Origin::new(1);
    let cache = house.cache(&origin, |named| named);
    for _ in 0..2 {
        assert_eq!(cache.get(&house.ctx, &1).await.unwrap().as_deref(), Some(&1));
    }
    cache.set(&house.ctx, &1, 9);
    origin.set(2);
    assert_eq!(cache.get(&house.ctx, &1).await.unwrap().as_deref(), Some(&2));
    let both = cache.get_many(&house.ctx, &[1, 2]).await.unwrap();
    assert_eq!(both.iter().map(|value| value.as_deref().copied()).collect::<Vec<_>>(), [Some(2), Some(2)]);
    assert_eq!((origin.loads(), cache.peek(&1)), (5, None));
    // Two at once are two loads: nobody waits for another's.
    origin.hold_all();
    let (one, other) = (cache.get(&house.ctx, &1), cache.get(&house.ctx, &1));
    let held = async {
        origin.begun(7).await;
        origin.release();
    };
    let (one, other, ()) = tokio::join!(one, other, held);
    assert!(one.is_ok() && other.is_ok());
}
