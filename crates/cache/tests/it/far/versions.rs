//! Programs of two versions over one store.

use burgeon_cache::far::Format;
use burgeon_cache::{Cache, Load};
use burgeon_core::{Ctx, Result};
use burgeon_db::sql;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::yard::{Node, Yard, fresh};
use crate::house::Origin;

mod old {
    #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
    pub(crate) struct Product {
        pub(crate) id: u32,
        pub(crate) stock: u32,
        pub(crate) price: u32,
    }
}

mod new {
    /// The same bytes with another meaning: what a format without names cannot tell.
    #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
    pub(crate) struct Product {
        pub(crate) id: u32,
        pub(crate) price: u32,
        pub(crate) stock: u32,
    }
}

/// Types that look alike from outside, and differ inside.
mod deep {
    #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
    pub(crate) struct Of<T> {
        pub(crate) inside: T,
    }
}

fn named<V>(node: &Node, value: V) -> Cache<u32, V>
where
    V: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
{
    node.house.caches.named("product").far().loader(value, async |value: V, load: Load, id: u32| {
        load.tag(format_args!("product:{id}"));
        Ok(value)
    })
}

#[tokio::test]
async fn programs_with_another_struct_see_each_others_invalidations_and_never_each_others_values() {
    for yard in Yard::all().await {
        let before = old::Product { id: 1, stock: 2, price: 300 };
        let after = new::Product { id: 1, price: 300, stock: 2 };
        let (one, other) = (yard.node(), yard.node());
        let (at_one, at_other) = (named(&one, before.clone()), named(&other, after.clone()));
        let ctx = Ctx::background();
        for _ in 0..2 {
            assert_eq!(at_one.get(&ctx, &1).await.unwrap().as_deref(), Some(&before));
            one.offered().await;
            assert_eq!(at_other.get(&ctx, &1).await.unwrap().as_deref(), Some(&after));
            other.offered().await;
        }
        // Side by side: neither displaced the other's.
        let third = yard.node();
        let cache = named(&third, old::Product { stock: 9, ..before.clone() });
        assert_eq!(cache.get(&ctx, &1).await.unwrap().as_deref(), Some(&before), "{}", yard.name);
        // The new program invalidates what the old one wrote.
        yard.invalidate(&at_other, 1).await;
        let fourth = yard.node();
        let cache = named(&fourth, old::Product { stock: 9, ..before.clone() });
        assert_eq!(cache.get(&ctx, &1).await.unwrap().as_deref().map(|value| value.stock), Some(9));
    }
}

#[tokio::test]
async fn bytes_that_decode_into_another_type_are_a_miss() {
    for yard in Yard::all().await {
        // One name outside, another inside; of types that a probe from outside cannot tell apart.
        let (one, other) = (yard.node(), yard.node());
        let ctx = Ctx::background();
        let as_signed: Cache<u32, Vec<Option<i64>>> = named(&one, vec![Some(-1_i64)]);
        as_signed.get(&ctx, &1).await.unwrap();
        one.offered().await;
        let as_tuple: Cache<u32, deep::Of<u8>> = named(&other, deep::Of { inside: 7 });
        assert_eq!(as_tuple.get(&ctx, &1).await.unwrap().as_deref(), Some(&deep::Of { inside: 7 }));
        other.offered().await;
    }
}

#[tokio::test]
async fn bytes_of_nobodys_are_a_miss_that_is_counted_and_written_over() {
    for yard in [Yard::sqlite().await, Yard::postgres().await] {
        let origin = Origin::new(1);
        assert_eq!(fresh(&yard, &origin, 1).await, Some(1));
        for (bytes, why) in [(&b"\x01\x00nonsense"[..], "damaged"), (b"\x09 a later format", "version")] {
            sql!("spoil", "update burgeon_cache_entry set value = $1", bytes)
                .execute(&yard.db.write(&Ctx::background()))
                .await
                .unwrap();
            let node = yard.node();
            let cache = node.cache(&origin);
            assert_eq!(node.get(&cache, 1).await, Some(1));
            node.offered().await;
            assert_eq!(node.count("cache_far_unreadable_total", &[("why", why)]), 1, "{}", yard.name);
        }
        let loads = origin.loads();
        assert_eq!(fresh(&yard, &origin, 1).await, Some(1));
        assert_eq!(origin.loads(), loads);
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Flat {
    id: u32,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Rest {
    name: String,
}

#[tokio::test]
async fn a_type_that_the_format_cannot_take_is_served_and_not_stored_and_json_takes_it() {
    for yard in Yard::all().await {
        let value = Flat { id: 1, rest: Rest { name: "mug".into() } };
        let ctx = Ctx::background();
        let node = yard.node();
        let cache = named(&node, value.clone());
        assert_eq!(cache.get(&ctx, &1).await.unwrap().as_deref(), Some(&value));
        node.offered().await;
        let unfit = |node: &Node| {
            let labels = [("cache", "product"), ("outcome", "unfit")];
            node.house.meters.counter("cache_far_writes_total", "", &labels).get()
        };
        assert_eq!(unfit(&node), 1, "{}", yard.name);
        let node = yard.node_with(|config| config.far.format = Format::Json);
        let cache = named(&node, value.clone());
        cache.get(&ctx, &1).await.unwrap();
        node.offered().await;
        assert_eq!(unfit(&node), 0, "{}", yard.name);
        let node = yard.node();
        let cache = named(&node, Flat { id: 2, ..value.clone() });
        assert_eq!(cache.get(&ctx, &1).await.unwrap().as_deref(), Some(&value), "{}", yard.name);
    }
}

#[tokio::test]
async fn a_key_that_is_too_long_lives_in_memory_alone() -> Result<()> {
    for yard in Yard::all().await {
        let key = "k".repeat(2_000);
        for _ in 0..2 {
            let node = yard.node();
            let cache: Cache<String, u32> =
                node.house.caches.named("it").far().loader((), async |(), _: Load, _: String| Ok(1));
            assert_eq!(cache.get(&Ctx::background(), key.as_str()).await?.as_deref(), Some(&1));
            cache.invalidate(&Ctx::background(), key.as_str());
            node.offered().await;
            assert_eq!(node.count("cache_far_writes_total", &[("outcome", "unfit")]), 1);
        }
    }
    Ok(())
}
