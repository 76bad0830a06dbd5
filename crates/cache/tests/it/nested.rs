//! Caches made of caches: what is kept is made of nothing staler than must be, and is never taken for fresher than that.

use std::collections::HashMap;
use std::time::Duration;

use burgeon_cache::{Cache, Caches, Invalidation, Load, Loaded, News};
use burgeon_core::{Ctx, Result};
use tokio::time::{Instant, advance, timeout};

use crate::house::{House, Origin, house};
use crate::nodes::{Site, stamp};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

async fn copy(inner: Cache<u32, u64>, load: Load, key: u32) -> Result<Option<u64>> {
    load.tag("all");
    Ok(inner.get(&load, &key).await?.map(|value| *value))
}

/// What is under a key in `inner`, kept for an hour.
fn outer(caches: &Caches, inner: &Cache<u32, u64>) -> Cache<u32, u64> {
    caches.named("outer").ttl(HOUR).loader(inner.clone(), copy)
}

async fn read(cache: &Cache<u32, u64>) -> Option<u64> {
    cache.get(&Ctx::background(), &1).await.unwrap().as_deref().copied()
}

fn made_of_stale(house: &House) -> u64 {
    house.meters.counter("cache_made_of_stale_total", "", &[("cache", "outer")]).get()
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_is_not_made_of_what_is_served_while_a_new_one_is_loaded() {
    let (house, origin) = (house(), Origin::new(1));
    let inner = house.cache(&origin, |named| named.ttl(10 * SECOND).revalidate(HOUR));
    let outer = outer(&house.caches, &inner);
    read(&inner).await;
    advance(60 * SECOND).await;
    origin.set(2);
    assert_eq!(read(&outer).await, Some(2));
    assert_eq!((read(&inner).await, made_of_stale(&house)), (Some(2), 0));
    // Everybody else is served at once, as ever.
    advance(60 * SECOND).await;
    origin.set(3);
    origin.hold_next();
    assert_eq!(read(&inner).await, Some(2));
    origin.release();
}

#[tokio::test(start_paused = true)]
async fn what_is_made_after_an_expiry_of_what_cannot_be_loaded_is_asked_for_again_when_that_is() {
    for expire in [
        (|cache, ctx| cache.expire(ctx, &1)) as fn(&Cache<u32, u64>, &Ctx) -> Invalidation,
        |cache, ctx| cache.expire_tag(ctx, "all"),
        |cache, ctx| cache.expire_all(ctx),
    ] {
        let (house, origin) = (house(), Origin::new(1));
        let inner = house.cache(&origin, |named| named);
        let outer = outer(&house.caches, &inner);
        read(&outer).await;
        origin.set(2);
        origin.fail(true);
        drop((expire(&inner, &house.ctx), expire(&outer, &house.ctx)));
        assert_eq!(read(&outer).await, Some(1), "stale instead of down");
        assert_eq!(made_of_stale(&house), 1);
        // As long as the inner one is not asked for again, neither is the outer one.
        advance(29 * SECOND).await;
        assert_eq!((read(&outer).await, origin.loads(), made_of_stale(&house)), (Some(1), 2, 1));
        origin.fail(false);
        advance(2 * SECOND).await;
        assert_eq!(read(&outer).await, Some(2), "an hour of what was known to be old");
        // And what is made of what is fresh lives its whole life.
        advance(HOUR / 2).await;
        assert_eq!((read(&outer).await, origin.loads(), made_of_stale(&house)), (Some(2), 3, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_made_of_what_is_slow_to_load_is_made_again_when_that_has_landed() {
    let (house, origin) = (house(), Origin::new(1));
    let inner = house.cache(&origin, |named| named);
    let outer = outer(&house.caches, &inner);
    read(&outer).await;
    origin.set(2);
    origin.takes(3 * SECOND);
    inner.expire(&house.ctx, &1);
    outer.invalidate(&house.ctx, &1);
    let began = Instant::now();
    assert_eq!(read(&outer).await, Some(1));
    // No longer than anybody waits who has something stale at hand.
    assert!(began.elapsed() <= Duration::from_millis(505), "{:?}", began.elapsed());
    advance(4 * SECOND).await;
    house.landed().await;
    assert_eq!((read(&outer).await, origin.loads()), (Some(2), 2));
}

#[tokio::test(start_paused = true)]
async fn staleness_goes_through_every_cache_between() {
    let (house, origin) = (house(), Origin::new(1));
    let inner = house.cache(&origin, |named| named);
    let between = house.caches.named("between").ttl(HOUR).loader(inner.clone(), copy);
    let outer = outer(&house.caches, &between);
    read(&outer).await;
    origin.set(2);
    origin.fail(true);
    house.caches.distrust();
    // The one between is made first, so the outer one finds it kept, and stale.
    assert_eq!((read(&between).await, read(&outer).await), (Some(1), Some(1)));
    assert_eq!(made_of_stale(&house), 1);
    origin.fail(false);
    advance(31 * SECOND).await;
    assert_eq!(read(&outer).await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn who_joins_a_load_learns_that_it_brought_something_stale() {
    let (house, origin) = (house(), Origin::new(1));
    let inner: Cache<u32, u64> =
        house.caches.named("it").loader(origin.clone(), async |origin: Origin, load: Load, _: u32| {
            Ok(match (origin.read().await, load.before::<u64>()) {
                (Ok(Some(value)), _) => Loaded::Value(value),
                (_, Some(_)) => Loaded::Keep,
                (_, None) => Loaded::NotFound,
            })
        });
    let outer = outer(&house.caches, &inner);
    read(&inner).await;
    inner.expire(&house.ctx, &1);
    origin.set(2);
    origin.fail(true);
    origin.hold_next();
    let stranger = house.tasks.spawn("stranger", {
        let inner = inner.clone();
        async move { read(&inner).await }
    });
    origin.begun(2).await;
    let joined = house.tasks.spawn("joined", {
        let outer = outer.clone();
        async move { read(&outer).await }
    });
    while house.count("cache_joined_total", &[]) == 0 {
        tokio::task::yield_now().await;
    }
    origin.release();
    assert_eq!((stranger.await.unwrap(), joined.await.unwrap()), (Some(1), Some(1)));
    assert_eq!(made_of_stale(&house), 1);
    origin.fail(false);
    advance(31 * SECOND).await;
    assert_eq!(read(&outer).await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn many_made_of_something_stale_are_all_kept_no_longer() {
    let (house, origin) = (house(), Origin::new(1));
    let inner = house.cache(&origin, |named| named);
    let sums: Cache<u32, u64> = house.caches.named("outer").ttl(HOUR).batch_loader(
        inner.clone(),
        async |inner: Cache<u32, u64>, load: Load, keys: Vec<u32>| {
            let found = inner.get_many(&load, &keys).await?;
            Ok(keys
                .into_iter()
                .zip(found)
                .filter_map(|(key, value)| Some((key, *value?)))
                .collect::<HashMap<_, _>>())
        },
    );
    let keys: Vec<u32> = (0..5).collect();
    let read = async || -> Vec<u64> {
        sums.get_many(&house.ctx, &keys).await.unwrap().into_iter().map(|value| *value.unwrap()).collect()
    };
    assert_eq!(read().await, [1; 5]);
    origin.set(2);
    origin.fail(true);
    house.caches.distrust();
    assert_eq!(read().await, [1; 5]);
    assert_eq!(made_of_stale(&house), 5);
    origin.fail(false);
    advance(31 * SECOND).await;
    assert_eq!(read().await, [2; 5]);
}

#[tokio::test(start_paused = true)]
async fn a_fallback_is_stale_in_what_is_made_of_it() {
    let (house, origin) = (house(), Origin::new(1));
    let inner = house.cache(&origin, |named| named.fallback(7));
    let outer = outer(&house.caches, &inner);
    origin.fail(true);
    assert_eq!(read(&outer).await, Some(7));
    origin.fail(false);
    assert_eq!((read(&outer).await, made_of_stale(&house)), (Some(7), 1));
    advance(31 * SECOND).await;
    assert_eq!(read(&outer).await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn where_nothing_stale_is_ever_served_nothing_made_of_it_is_kept() {
    let (house, origin) = (house(), Origin::new(1));
    let inner = house.cache(&origin, |named| named);
    let strict = house.caches.named("outer").ttl(HOUR).with(|config| config.stale_max = Duration::ZERO);
    let outer = strict.loader(inner.clone(), copy);
    read(&outer).await;
    origin.set(2);
    origin.fail(true);
    house.caches.distrust();
    for loads in 1..=3 {
        assert_eq!((read(&outer).await, made_of_stale(&house)), (Some(1), loads));
    }
    origin.fail(false);
    advance(31 * SECOND).await;
    assert_eq!(read(&outer).await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn who_makes_something_to_be_kept_waits_for_no_company() {
    let (house, origin) = (house(), Origin::new(1));
    let named = house.caches.named("it").ttl(20 * SECOND).revalidate(HOUR).gather(2 * SECOND);
    let inner: Cache<u32, u64> =
        named.batch_loader(origin.clone(), async |origin: Origin, _: Load, keys: Vec<u32>| {
            let value = origin.read().await?.unwrap_or(0);
            Ok(keys.into_iter().map(|key| (key, value)).collect::<HashMap<u32, u64>>())
        });
    let outer = outer(&house.caches, &inner);
    read(&inner).await;
    advance(60 * SECOND).await;
    origin.set(2);
    // Its refresh waits for others, and nobody for it.
    assert_eq!(read(&inner).await, Some(1));
    let began = Instant::now();
    assert_eq!((read(&outer).await, origin.loads()), (Some(2), 2));
    assert_eq!(began.elapsed(), Duration::ZERO, "it waited for others to come");
}

#[tokio::test(start_paused = true)]
async fn what_is_made_after_a_lost_message_of_what_cannot_be_loaded_is_not_believed_for_long() {
    for count in [1, 3] {
        let site = Site::of(count).await;
        let outers: Vec<Cache<u32, u64>> =
            site.nodes.iter().map(|node| outer(&node.caches, &node.cache)).collect();
        for cache in &outers {
            assert_eq!(read(cache).await, Some(1));
        }
        let writer = Ctx::background();
        site.origin.set(2);
        site.origin.fail(true);
        if count == 1 {
            // Nothing is lost where nobody is told: somebody else has changed the data.
            site.nodes[0].caches.distrust();
        } else {
            site.hub.set_weather(|| burgeon_cluster::bus::Fate::Lose);
            site.nodes[0].cache.expire(&writer, &1);
            outers[0].expire(&writer, &1);
            tokio::time::sleep(Duration::from_millis(10)).await;
            site.hub.clear_weather();
            site.heard(&writer).await;
            for node in &site.nodes {
                let whole = node.bus.until(|_| node.caches.news() == News::Whole);
                timeout(20 * SECOND, whole).await.unwrap();
            }
        }
        for cache in &outers {
            assert_eq!(read(cache).await, Some(1), "stale instead of down");
        }
        site.origin.fail(false);
        advance(31 * SECOND).await;
        for cache in &outers {
            assert_eq!(read(cache).await, Some(2), "of {count} nodes one still believes what was in doubt");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_others_load_is_made_of_nothing_older_than_what_a_reader_has_done() {
    let site = Site::with(3, |config| config.ttl = HOUR).await;
    let [here, there, _] = &site.nodes[..] else { unreachable!() };
    let pages = outer(&there.caches, &there.cache);
    // In memory there before the change.
    for key in [1, 2] {
        there.cache.get(&Ctx::background(), &key).await.unwrap();
    }
    site.hub.set_weather(|| burgeon_cluster::bus::Fate::Delay(5 * SECOND));
    site.origin.set(2);
    let writer = Ctx::background();
    here.cache.invalidate_tag(&writer, "all");
    assert!(!there.bus.has_applied(stamp(&writer)));
    // The writer looks at one page, a stranger at another one, and then the writer at that.
    assert_eq!(pages.get(&writer, &1).await.unwrap().as_deref(), Some(&2));
    pages.get(&Ctx::background(), &2).await.unwrap();
    assert!(!there.bus.has_applied(stamp(&writer)), "it has been heard, which proves nothing");
    assert_eq!(pages.get(&writer, &2).await.unwrap().as_deref(), Some(&2), "less than he has done himself");
}

/// What one node says is lost, the others know it, and the origin is down.
pub(crate) async fn doubt(site: &Site) -> Ctx {
    let writer = lose(site).await;
    site.origin.fail(true);
    writer
}

/// What one node says of the new value is lost, and the others know that something is.
pub(crate) async fn lose(site: &Site) -> Ctx {
    site.hub.set_weather(|| burgeon_cluster::bus::Fate::Lose);
    site.origin.set(2);
    let writer = Ctx::background();
    site.nodes[0].cache.expire(&writer, &1);
    tokio::time::sleep(Duration::from_millis(10)).await;
    site.hub.clear_weather();
    site.heard(&writer).await;
    let there = &site.nodes[1];
    timeout(20 * SECOND, there.bus.until(|_| there.caches.news() == News::Whole)).await.unwrap();
    writer
}

#[tokio::test(start_paused = true)]
async fn who_has_changed_something_is_served_nothing_that_was_made_of_something_stale_for_others() {
    let site = Site::of(3).await;
    let there = &site.nodes[1];
    let pages = outer(&there.caches, &there.cache);
    read(&pages).await;
    let writer = doubt(&site).await;
    // Made after everything was doubted, of what was there before.
    assert_eq!(read(&pages).await, Some(1));
    assert!(pages.get(&writer, &1).await.is_err(), "it was served to him who knows better");
    assert_eq!(read(&pages).await, Some(1), "and to others as before");
    site.origin.fail(false);
    assert_eq!(pages.get(&writer, &1).await.unwrap().as_deref(), Some(&2));
}

#[tokio::test(start_paused = true)]
async fn nor_does_a_load_that_he_joins_bring_him_that() {
    let site = Site::of(3).await;
    let there = &site.nodes[1];
    let pages = outer(&there.caches, &there.cache);
    let many: Cache<u32, u64> = there.caches.named("many").batch_loader(
        there.cache.clone(),
        async |inner: Cache<u32, u64>, load: Load, _: Vec<u32>| {
            Ok(inner.get(&load, &1).await?.map(|value| HashMap::from([(1, *value)])).unwrap_or_default())
        },
    );
    read(&pages).await;
    read(&many).await;
    let writer = doubt(&site).await;
    for cache in [&pages, &many] {
        site.origin.hold_next();
        let ask = |ctx: &Ctx, name| {
            let (cache, ctx) = (cache.clone(), ctx.clone());
            there.tasks.spawn(name, async move {
                let found = match cache.name() {
                    "many" => cache.get_many(&ctx, &[1]).await?.remove(0),
                    _ => cache.get(&ctx, &1).await?,
                };
                Ok::<Option<u64>, burgeon_core::Error>(found.as_deref().copied())
            })
        };
        let begun = site.origin.loads();
        let stranger = ask(&Ctx::background(), "stranger");
        site.origin.begun(begun + 1).await;
        let joined = there.meters.counter("cache_joined_total", "", &[("cache", cache.name())]);
        let before = joined.get();
        let own = ask(&writer, "writer");
        while joined.get() == before {
            tokio::task::yield_now().await;
        }
        site.origin.release();
        assert_eq!(stranger.await.unwrap().unwrap(), Some(1));
        assert!(own.await.unwrap().is_err(), "{}: he knows better", cache.name());
        // What was kept alive here is not, for the next.
        there.cache.expire(&Ctx::background(), &1);
    }
}
