//! Many keys at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use burgeon_cache::{Cache, Load};

use crate::house::{Origin, house};

type Seen = Arc<Mutex<Vec<Vec<u32>>>>;

fn squares(house: &crate::house::House, origin: &Origin, seen: &Seen) -> Cache<u32, u64> {
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
