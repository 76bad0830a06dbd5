//! Three nodes with one store, of which one does not reach it: what it could not tell the store the others do, and no more than that.

use std::sync::Arc;
use std::time::Duration;

use burgeon_cache::{Cache, InvalidateOnCommit, Load, News};
use burgeon_cluster::bus::{Fate, Hub};
use burgeon_cluster::{Bus, NodeId, Stamp};
use burgeon_core::{Ctx, Deadline, Result};
use burgeon_services::{Postgres, Proxy};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use super::yard::{Node, SOON, Yard, fresh, within};
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
        for node in &self.nodes {
            within(node.bus().whole()).await;
            within(node.bus().until(|bus| bus.heard().len() == self.nodes.len() - 1)).await;
        }
        self
    }

    /// Waits until every node has heard what this context has done.
    async fn heard(&self, ctx: &Ctx) {
        for mark in ctx.marks().iter() {
            let stamp = Stamp { node: NodeId::from_bits(mark.node), sequence: mark.sequence };
            for node in &self.nodes {
                within(node.bus().until(|bus| bus.has_applied(stamp))).await;
            }
        }
    }

    /// The second node loads twenty keys, and the store has them.
    async fn filled(&self) {
        for key in 0..20 {
            assert_eq!(self.nodes[1].get(key).await, Some(1));
        }
        self.nodes[1].node.offered().await;
    }

    /// This node invalidates these keys, and nobody hears of it.
    async fn unheard(&self, node: usize, keys: &[u32]) -> Ctx {
        let (ctx, node) = (Ctx::background(), &self.nodes[node]);
        self.hub.set_weather(|| Fate::Lose);
        for key in keys {
            node.cache.invalidate(&ctx, key).await;
        }
        assert!(node.bus().flushed(Deadline::after(Instant::now().into_std(), SOON)).await);
        self.hub.clear_weather();
        ctx
    }
}

impl Neighbour {
    async fn get(&self, key: u32) -> Option<u64> {
        within(self.node.get(&self.cache, key)).await
    }

    fn bus(&self) -> &Bus {
        self.node.bus.as_ref().unwrap()
    }

    /// Waits until it knows of everything that it missed.
    async fn whole(&self) {
        within(async {
            while self.node.house.caches.news() != News::Whole {
                sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
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
                site.filled().await;
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

#[tokio::test]
async fn whoever_missed_what_the_store_has_not_heard_either_reads_nothing_old_there() {
    for site in Site::all().await {
        let [cut, _, reader] = &site.nodes[..] else { unreachable!() };
        site.filled().await;
        site.origin.set(2);
        cut.proxy.cut();
        let writer = site.unheard(0, &[7, 8]).await;
        assert_eq!(cut.in_doubt(), 2);
        // From now on they know that they have missed something.
        site.heard(&writer).await;
        assert_eq!(reader.get(7).await, Some(2), "{}", site.name);
        reader.whole().await;
        assert_eq!(reader.get(8).await, Some(2), "{}", site.name);
        reader.settled().await;
        for key in [7, 8] {
            assert_eq!(fresh(&site.direct, &site.origin, key).await, Some(2), "{}", site.name);
        }
    }
}

#[tokio::test]
async fn a_lost_word_costs_the_store_nothing_that_was_told_itself() {
    for site in Site::all().await {
        let reader = &site.nodes[2];
        site.filled().await;
        site.origin.set(2);
        let writer = site.unheard(1, &[7]).await;
        site.heard(&writer).await;
        reader.whole().await;
        for key in 0..20 {
            let expected = if key == 7 { 2 } else { 1 };
            assert_eq!(reader.get(key).await, Some(expected), "{}: {key}", site.name);
        }
        assert_eq!((reader.hits(), reader.in_doubt()), (19, 0), "{}", site.name);
    }
}

#[tokio::test]
async fn what_a_node_did_not_come_to_tell_anybody_is_believed_no_longer_than_it_lives() {
    for mut site in Site::all().await {
        site.filled().await;
        site.origin.set(2);
        site.nodes[0].proxy.cut();
        site.unheard(0, &[7]).await;
        let dying = site.nodes.remove(0);
        // Nobody hears its good-bye.
        site.hub.set_weather(|| Fate::Lose);
        dying.node.house.tasks.stop(SOON).await.unwrap();
        site.hub.clear_weather();
        let living: Vec<NodeId> = site.nodes.iter().map(|node| node.bus().node()).collect();
        let reader = &site.nodes[1];
        within(async {
            while fresh(&site.direct, &site.origin, 7).await != Some(2) {
                // As the list of members says, at each of its turns.
                reader.bus().forget_gone(&living);
                sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        assert_eq!(reader.get(7).await, Some(2), "{}", site.name);
    }
}

/// A cache of this process alone, made of the one that is shared.
fn pages(neighbour: &Neighbour) -> Cache<u32, u64> {
    let load = async move |products: Cache<u32, u64>, _: Load, key: u32| -> Result<Option<u64>> {
        Ok(products.get(&Ctx::background(), &key).await?.as_deref().copied())
    };
    neighbour.node.house.caches.named("page").loader(neighbour.cache.clone(), load)
}

#[tokio::test]
async fn what_is_made_of_another_cache_is_not_made_of_what_it_was_however_slow_the_store() {
    for how in ["one after the other", "in a transaction"] {
        for site in Site::all().await {
            let what = format!("{} {how}", site.name);
            let (cut, reader) = (&site.nodes[0], &site.nodes[1]);
            let (at_cut, at_reader) = (pages(cut), pages(reader));
            let page =
                async || within(at_reader.get(&reader.node.house.ctx, &1)).await.unwrap().as_deref().copied();
            assert_eq!(page().await, Some(1));
            site.origin.set(2);
            // The store is waited for until it has been silent for too long; the reader's own is not.
            cut.proxy.black_hole();
            let writer = Ctx::background();
            let change = async {
                if how == "in a transaction" {
                    let both = site.direct.db.tx(&writer, async |tx| {
                        tx.invalidate(&cut.cache, 1);
                        tx.invalidate(&at_cut, 1);
                        Ok(())
                    });
                    return both.await.unwrap();
                }
                drop(cut.cache.invalidate(&writer, &1));
                at_cut.invalidate(&writer, &1).await;
            };
            let mut change = std::pin::pin!(within(change));
            // It is asked for all the while, and made anew as soon as it is heard to be wrong.
            while tokio::select! { biased; () = &mut change => false, () = yield_now() => true } {
                assert!(page().await.is_some(), "{what}");
            }
            site.heard(&writer).await;
            assert_eq!(page().await, Some(2), "{what}");
        }
    }
}
