//! One load for the whole cluster.

use std::time::Duration;

use burgeon_cache::{Cache, Caches, Config, Far};
use burgeon_cluster::Bus;
use burgeon_cluster::bus::{self, Hub, Link};
use burgeon_core::Ctx;
use burgeon_db::{Db, Migrator};
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;
use burgeon_services::Postgres;
use tokio::time::{Instant, timeout};

use crate::house::{Origin, load};

struct Node {
    cache: Cache<u32, u64>,
    tasks: Tasks,
    _bus: Bus,
}

const SOON: Duration = Duration::from_secs(20);

/// After so long a load counts as given up.
const WITHIN: Duration = Duration::from_secs(2);

/// Nodes that share a second tier in a fresh database.
async fn nodes(origin: &Origin, count: usize) -> Vec<Node> {
    let url = Postgres::shared().await.unwrap().create_database().await.unwrap();
    let hub = Hub::new();
    let mut nodes = Vec::new();
    for index in 0..count {
        let meters = Meters::new();
        let tasks = Tasks::new(&meters);
        let db = Db::open(&burgeon_db::Config::at(url.clone()), &tasks, &meters).await.unwrap();
        if index == 0 {
            let migrator = Migrator::new().module("cache", burgeon_cache::migrations());
            migrator.run(&db, &Ctx::background()).await.unwrap();
        }
        let bus = Bus::join(Link::InProcess(hub.clone()), bus::Config::default(), &tasks, &meters).unwrap();
        let mut config = Config::default();
        // The machine that tests run on may be slower than any network.
        config.far.soft_timeout = Duration::from_secs(5);
        config.far.hard_timeout = Duration::from_secs(5);
        let caches = Caches::new(&config, &tasks, &meters).unwrap();
        let caches = caches.on_bus(&bus).on_far(Far::database(&db, "it"));
        let cache = caches.named("it").once_per_cluster(WITHIN).loader(origin.clone(), load);
        nodes.push(Node { cache, tasks, _bus: bus });
    }
    nodes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_requests_for_one_cold_key_on_three_nodes_are_one_load() {
    let origin = Origin::new(1);
    let nodes = nodes(&origin, 3).await;
    origin.takes(Duration::from_millis(200));
    let requests: Vec<_> = (0..1_000)
        .map(|number| {
            let Node { cache, tasks, .. } = &nodes[number % 3];
            let cache = cache.clone();
            tasks.spawn("request", async move { cache.get(&Ctx::background(), &1).await })
        })
        .collect();
    for request in requests {
        assert_eq!(timeout(SOON, request).await.unwrap().unwrap().unwrap().as_deref(), Some(&1));
    }
    assert_eq!(origin.loads(), 1);

    // The same again, when the value has been invalidated.
    let ctx = Ctx::background();
    origin.set(2);
    nodes[0].cache.invalidate(&ctx, &1);
    let seen = async {
        while nodes[2].cache.get(&Ctx::background(), &1).await.unwrap().as_deref() != Some(&2) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, seen).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dies_over_its_load_is_followed_within_its_time() {
    let origin = Origin::new(1);
    let nodes = nodes(&origin, 2).await;
    let [first, second] = &nodes[..] else { unreachable!() };
    origin.hold_next();
    let dying = first.tasks.spawn("request", {
        let cache = first.cache.clone();
        async move { cache.get(&Ctx::background(), &1).await }
    });
    timeout(SOON, origin.begun(1)).await.unwrap();
    assert!(first.tasks.stop(Duration::ZERO).await.is_err(), "it was in the middle of its load");
    drop(dying);
    let started = Instant::now();
    let value = timeout(SOON, second.cache.get(&Ctx::background(), &1)).await.unwrap().unwrap();
    assert_eq!(value.as_deref(), Some(&1));
    assert_eq!(origin.loads(), 2);
    assert!(started.elapsed() < WITHIN + Duration::from_secs(2), "{:?}", started.elapsed());
}
