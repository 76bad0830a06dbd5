//! What each invalidation leaves behind.

use std::time::Duration;

use burgeon_cache::{Cache, Invalidation};
use burgeon_core::{Ctx, Position};

use crate::house::{Origin, house};

#[tokio::test(start_paused = true)]
async fn a_removed_value_is_not_served_when_loading_fails() {
    let (house, origin) = (house(), Origin::new(1));
    let cache = house.cache(&origin, |named| named);
    for invalidate in [
        (|cache, ctx| cache.invalidate(ctx, &1)) as fn(&Cache<u32, u64>, &Ctx) -> Invalidation,
        |cache, ctx| cache.invalidate_tag(ctx, "all"),
        |cache, ctx| cache.invalidate_all(ctx),
    ] {
        origin.fail(false);
        assert_eq!(cache.get(&house.ctx, &1).await.unwrap().as_deref(), Some(&1));
        origin.fail(true);
        invalidate(&cache, &house.ctx);
        assert!(cache.get(&house.ctx, &1).await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn an_expired_value_is_loaded_again_and_served_when_that_fails() {
    for expire in [
        (|cache, ctx| cache.expire(ctx, &1)) as fn(&Cache<u32, u64>, &Ctx) -> Invalidation,
        |cache, ctx| cache.expire_tag(ctx, "all"),
        |cache, ctx| cache.expire_all(ctx),
    ] {
        let (house, origin) = (house(), Origin::new(1));
        let cache = house.cache(&origin, |named| named.revalidate(Duration::from_secs(60)));
        cache.get(&house.ctx, &1).await.unwrap();
        origin.set(2);
        expire(&cache, &house.ctx);
        // Not served on the way, as something that only grew old would be.
        assert_eq!(cache.get(&house.ctx, &1).await.unwrap().as_deref(), Some(&2));
        origin.fail(true);
        expire(&cache, &house.ctx);
        assert_eq!(cache.get(&house.ctx, &1).await.unwrap().as_deref(), Some(&2));
        assert_eq!(origin.loads(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refill_reads_from_a_copy_that_has_the_write() {
    let (house, origin) = (house(), Origin::new(1));
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let cache: Cache<u32, u64> = house.caches.named("it").loader(
        (origin, seen.clone()),
        async |(origin, seen): (Origin, std::sync::Arc<std::sync::Mutex<Vec<Position>>>),
               load: burgeon_cache::Load,
               _| {
            seen.lock().unwrap().push(load.position());
            origin.read().await
        },
    );
    let writer = Ctx::background();
    writer.advance(Position { timeline: 1, lsn: 70 });
    cache.invalidate(&writer, &1);
    // Somebody else, who has seen nothing.
    cache.get(&Ctx::background(), &1).await.unwrap();
    writer.advance(Position { timeline: 1, lsn: 90 });
    cache.invalidate_tag(&writer, "anything");
    cache.invalidate(&Ctx::background(), &1);
    cache.get(&Ctx::background(), &1).await.unwrap();
    // The floor is the cache's, not the key's: another key's load may carry the tag.
    cache.get(&Ctx::background(), &2).await.unwrap();
    let lsns: Vec<u64> = seen.lock().unwrap().iter().map(|position| position.lsn).collect();
    assert_eq!(lsns, [70, 90, 90]);
}

#[tokio::test(start_paused = true)]
async fn a_load_does_not_change_what_its_caller_has_seen() {
    let (house, origin) = (house(), Origin::new(1));
    let cache = house.cache(&origin, |named| named);
    let writer = Ctx::background();
    writer.advance(Position { timeline: 1, lsn: 70 });
    cache.invalidate(&writer, &1);
    let reader = Ctx::background();
    cache.get(&reader, &1).await.unwrap();
    assert_eq!(reader.position(), Position::START);
}
