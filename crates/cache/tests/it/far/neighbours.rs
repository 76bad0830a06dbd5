//! Three nodes with one store, of which one does not reach it: what it could not tell the store the others do, and no more than that.

use std::sync::Arc;
use std::time::Duration;

use burgeon_cache::Cache;
use burgeon_cluster::bus::Hub;
use burgeon_cluster::{NodeId, Stamp};
use burgeon_core::Ctx;
use burgeon_services::{Postgres, Proxy};
use tokio::time::sleep;

use super::yard::{Node, Yard, fresh, within};
use crate::house::Origin;

/// A node with a way of its own to the store, which can be cut.
struct Neighbour {
    node: Node,
    cache: Cache<u32, u64>,
    proxy: Proxy,
    _yard: Yard,
}

struct Site {
    name: &'static str,
    /// Past all proxies.
    direct: Yard,
    hub: Hub,
    origin: Origin,
    nodes: Vec<Neighbour>,
}

impl Site {
    async fn all() -> Vec<Site> {
        vec![
            Self::postgres().await,
            #[cfg(feature = "redis")]
            Self::redis().await,
        ]
    }

    async fn postgres() -> Site {
        let server = Postgres::shared().await.unwrap();
        let url = server.create_database().await.unwrap();
        let mut site = Self::around(Yard::postgres_at(&url).await);
        for _ in 0..3 {
            let proxy = Proxy::start(("127.0.0.1", server.port())).await.unwrap();
            let yard = Yard::postgres_at(&proxy.url_for(&url)).await;
            site.add(yard, proxy);
        }
        site.gathered().await
    }

    #[cfg(feature = "redis")]
    async fn redis() -> Site {
        let server = Arc::new(burgeon_services::Redis::start().await.unwrap());
        let mut site = Self::around(Yard::redis_at(&server.url(), server.clone()).await);
        for _ in 0..3 {
            let proxy = Proxy::start(("127.0.0.1", server.port())).await.unwrap();
            let yard = Yard::redis_at(&proxy.url_for(&server.url()), server.clone()).await;
            site.add(yard, proxy);
        }
        site.gathered().await
    }

    fn around(direct: Yard) -> Site {
        Site { name: direct.name, direct, hub: Hub::new(), origin: Origin::new(1), nodes: Vec::new() }
    }

    fn add(&mut self, yard: Yard, proxy: Proxy) {
        let is_first = self.nodes.is_empty();
        let node = yard.node_on(Some(&self.hub), |config| {
            // So long that only news can be the reason why a value goes.
            config.age_unheard = Duration::from_secs(3_600);
            config.eager = 1.0;
            if is_first {
                config.far.soft_timeout = Duration::from_millis(50);
                config.far.hard_timeout = Duration::from_millis(250);
            }
        });
        let cache = node.cache(&self.origin);
        self.nodes.push(Neighbour { node, cache, proxy, _yard: yard });
    }

    async fn gathered(self) -> Site {
        for Neighbour { node, .. } in &self.nodes {
            let bus = node.bus.as_ref().unwrap();
            within(bus.whole()).await;
            within(bus.until(|bus| bus.heard().len() == self.nodes.len() - 1)).await;
        }
        self
    }

    /// Waits until every node has heard what this context has done.
    async fn heard(&self, ctx: &Ctx) {
        for mark in ctx.marks().iter() {
            let stamp = Stamp { node: NodeId::from_bits(mark.node), sequence: mark.sequence };
            for Neighbour { node, .. } in &self.nodes {
                within(node.bus.as_ref().unwrap().until(|bus| bus.has_applied(stamp))).await;
            }
        }
    }
}

impl Neighbour {
    async fn get(&self, key: u32) -> Option<u64> {
        within(self.node.get(&self.cache, key)).await
    }

    fn hits(&self) -> u64 {
        self.node.count("cache_far_reads_total", &[("outcome", "hit")])
    }

    fn in_doubt(&self) -> u64 {
        self.cache.view().far.unwrap().in_doubt
    }

    /// Waits until the store has confirmed all that this node has to tell it.
    async fn settled(&self) {
        within(async {
            while self.in_doubt() > 0 {
                sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn what_one_node_could_not_tell_the_store_the_others_tell_it_and_no_more() {
    for how in ["key", "tag", "set"] {
        for site in Site::all().await {
            let what = format!("{} {how}", site.name);
            let [cut, filler, reader] = &site.nodes[..] else { unreachable!() };
            // One that nobody tells anything, and that has read the old value long before the others hear of the new one.
            let slow = site.direct.node();
            let at_slow = slow.cache(&site.origin);
            site.origin.hold_next();
            let (late, ()) = tokio::join!(slow.get(&at_slow, 8), async {
                site.origin.begun(1).await;
                for key in 0..20 {
                    assert_eq!(filler.get(key).await, Some(1));
                }
                filler.node.offered().await;
                site.origin.set(2);
                cut.proxy.cut();
                let writer = Ctx::background();
                for key in [7, 8] {
                    match how {
                        "key" => cut.cache.invalidate(&writer, &key).await,
                        "tag" => cut.cache.invalidate_tag(&writer, format_args!("key:{key}")).await,
                        _ => cut.cache.set(&writer, &key, 2).await,
                    }
                }
                site.heard(&writer).await;
                assert_eq!(cut.in_doubt(), 2, "{what}");
                // Whether the store has heard of it by now or not.
                assert_eq!(reader.get(7).await, Some(2), "{what}");
                for node in [filler, reader] {
                    node.settled().await;
                }
                site.origin.release();
            });
            assert_eq!(late, Some(1));
            slow.offered().await;
            let fenced = slow.count("cache_far_writes_total", &[("outcome", "fenced")]);
            assert_eq!(fenced, 1, "{what}: the late one was not held back");

            // What was not in doubt is where it was.
            let loads = site.origin.loads();
            for key in (0..20).filter(|key| ![7, 8].contains(key)) {
                assert_eq!(reader.get(key).await, Some(1), "{what}: {key} is a hit in the store");
            }
            assert_eq!((reader.hits(), site.origin.loads()), (18, loads), "{what}");
            // What was is what it is.
            for key in [7, 8] {
                for node in [reader, filler, cut] {
                    assert_eq!(node.get(key).await, Some(2), "{what}");
                }
                assert_eq!(fresh(&site.direct, &site.origin, key).await, Some(2), "{what}");
            }

            cut.proxy.heal();
            cut.settled().await;
            for key in 0..20 {
                let expected = if [7, 8].contains(&key) { 2 } else { 1 };
                assert_eq!(fresh(&site.direct, &site.origin, key).await, Some(expected), "{what}");
            }
        }
    }
}
