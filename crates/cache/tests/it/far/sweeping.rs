//! The tables stay small.

use std::time::Duration;

use burgeon_cache::far::{Config, sweep_once};
use burgeon_cache::{Cache, Load};
use burgeon_core::Ctx;
use burgeon_core::units::Size;
use burgeon_db::sql;

use super::yard::{Node, Yard};

fn pages(node: &Node, ttl: Duration) -> Cache<u32, Vec<u8>> {
    let named = node.house.caches.named("page").ttl(ttl).with(|config| config.stale_max = Duration::ZERO);
    // Nothing that could be compressed.
    named.far().loader((), async |(), _: Load, key: u32| {
        let mut state = u64::from(key) + 1;
        let mut byte = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        };
        Ok((0..4_096).map(|_| byte()).collect::<Vec<u8>>())
    })
}

async fn rows(yard: &Yard) -> i64 {
    sql!("rows", "select count(*) from burgeon_cache_entry")
        .one(&yard.db.read(&Ctx::background()))
        .await
        .unwrap()
}

#[tokio::test]
async fn what_has_expired_leaves_and_of_the_rest_what_was_stored_first() {
    for yard in [Yard::sqlite().await, Yard::postgres().await] {
        let node = yard.node();
        let (brief, ctx) = (pages(&node, Duration::from_millis(1)), Ctx::background());
        for key in 0..10 {
            brief.get(&ctx, &key).await.unwrap();
        }
        node.offered().await;
        let other = yard.node();
        let long = pages(&other, Duration::from_secs(600));
        for key in 100..400 {
            long.get(&ctx, &key).await.unwrap();
        }
        other.offered().await;
        assert_eq!(rows(&yard).await, 310, "{}", yard.name);
        let config = Config { size: Size::kib(600), ..Config::default() };
        assert_eq!(sweep_once(&yard.db, &Config::default()).await.unwrap(), 10);
        // 300 of 4 KiB; in steps of a hundred.
        assert_eq!(sweep_once(&yard.db, &config).await.unwrap(), 200, "{}", yard.name);
        let oldest: String = sql!("oldest", "select min(key) from burgeon_cache_entry")
            .one(&yard.db.read(&ctx))
            .await
            .unwrap();
        assert_eq!(oldest, "300");
    }
}
