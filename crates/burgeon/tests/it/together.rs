//! Nodes among nodes: what modules get, who is a member, and who is refused.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use burgeon::cluster::bus::State;
use burgeon::prelude::*;
use burgeon::{Bus, Leases, Limits, Members};
use burgeon_services::{Nats, PgBouncer, PoolMode, Postgres, Proxy};
use tokio::time::timeout;

use crate::support::{Place, get as fetch};

/// Longer than anything here takes on the busiest machine.
pub const SOON: Duration = Duration::from_secs(20);

/// What a module was given, for the test to look at.
#[derive(Clone)]
pub struct Given {
    caches: Caches,
    bus: Bus,
    leases: Leases,
    pub members: Members,
    pub limits: Limits,
    pub tasks: Tasks,
}

/// An application that uses all there is.
pub fn together() -> (App, Arc<OnceLock<Given>>) {
    of_version("1.2.3")
}

fn of_version(version: &'static str) -> (App, Arc<OnceLock<Given>>) {
    let given = Arc::new(OnceLock::new());
    let keep = given.clone();
    let module =
        move |caches: Caches, bus: Bus, leases: Leases, members: Members, limits: Limits, tasks: Tasks| {
            assert!(keep.set(Given { caches, bus, leases, members, limits, tasks }).is_ok());
            Module::new("together")
        };
    (App::new("together").version(version).module(module), given)
}

/// An application that keeps nothing beside its database.
pub fn plain() -> (App, Arc<OnceLock<(Members, Tasks)>>) {
    let given = Arc::new(OnceLock::new());
    let keep = given.clone();
    let module = move |members: Members, tasks: Tasks| {
        assert!(keep.set((members, tasks)).is_ok());
        Module::new("plain")
    };
    (App::new("plain").module(module), given)
}

pub async fn on_postgres() -> Place {
    let url = Postgres::shared().await.unwrap().create_database().await.unwrap();
    Place::new().with("BURGEON__DATABASE__URL", &url)
}

#[tokio::test]
async fn a_module_gets_what_many_nodes_need_by_type() {
    let place = Place::new();
    let (app, given) = together();
    let node = place.start(app).await;
    let given = given.get().unwrap().clone();
    let (ctx, second) = (Ctx::background(), Duration::from_secs(1));
    assert_eq!(given.members.alive()[0].about.version, "1.2.3");
    assert_eq!(given.bus.node(), given.members.node());
    timeout(SOON, given.bus.whole()).await.unwrap();
    let lease = given.leases.acquire(&ctx, "report", second).await.unwrap();
    assert_eq!(lease.unwrap().term(), 1);
    let limit = given.limits.named("posts", &Default::default()).unwrap();
    assert!(limit.take(&ctx, "mary", 1).await.is_ok());
    let cache: Cache<i64, i64> =
        given.caches.named("doubled").loader((), async |(), _: Load, key| Ok(key * 2));
    assert_eq!(cache.get(&ctx, &21).await.unwrap().as_deref(), Some(&42));
    assert_eq!(fetch(node.edge(), "/readyz").await.0, 200);
    node.stop().await.unwrap();
}

#[tokio::test]
async fn who_asks_for_nothing_pays_for_nothing() {
    let place = on_postgres().await;
    let (app, given) = plain();
    let node = place.start(app).await;
    let (members, tasks) = given.get().unwrap();
    let running = tasks.running();
    let runs = |name: &str| running.iter().any(|(task, _)| task == name);
    assert!(!runs("cluster.bus") && !runs("cluster.limits") && runs("cluster.members"), "{running:?}");
    assert_eq!(members.alive().len(), 1);
    let parts = node.health().report().await.parts;
    assert!(parts.iter().all(|part| part.name != "cluster bus"), "{parts:?}");
    node.stop().await.unwrap();
}

#[tokio::test]
async fn nodes_hear_of_each_other_and_who_stops_says_good_bye() {
    let place = on_postgres().await;
    let (app, first) = together();
    let staying = place.start(app).await;
    // A newer version beside it, as while it is rolled out.
    let (app, second) = of_version("1.3.0");
    let leaving = place.start(app).await;
    let (first, second) = (first.get().unwrap(), second.get().unwrap());
    let is_heard = |bus: &Bus| !bus.heard().is_empty() && bus.state() == State::Whole;
    timeout(SOON, first.bus.until(is_heard)).await.unwrap();
    timeout(SOON, first.members.until(|alive| alive.len() == 2)).await.unwrap();
    assert_eq!(second.members.others()[0].node, first.members.node());
    let versions = first.members.alive().into_iter().map(|member| member.about.version);
    assert_eq!(versions.collect::<Vec<_>>(), ["1.2.3", "1.3.0"]);
    leaving.stop().await.unwrap();
    // It has said so: nobody waits for its silence.
    timeout(SOON, first.bus.until(|bus| bus.heard().is_empty())).await.unwrap();
    assert_eq!(first.bus.state(), State::Whole);
    first.members.turn().await.unwrap();
    assert!(first.members.others().is_empty());
    staying.stop().await.unwrap();
}

#[tokio::test]
async fn nodes_hear_of_each_other_over_redis_and_over_nats_as_configured() {
    let (redis, nats) = (burgeon_services::Redis::start().await.unwrap(), Nats::start().await.unwrap());
    for (link, key, url) in
        [("redis", "BURGEON__REDIS__URL", redis.url()), ("nats", "BURGEON__NATS__URL", nats.url())]
    {
        let place = on_postgres().await.with("BURGEON__CLUSTER__LINK", link).with(key, &url);
        let ((app, first), (other, second)) = (together(), together());
        let (one, two) = (place.start(app).await, place.start(other).await);
        let (first, second) = (first.get().unwrap(), second.get().unwrap());
        let is_heard = |bus: &Bus| !bus.heard().is_empty() && bus.state() == State::Whole;
        timeout(SOON, first.bus.until(is_heard)).await.unwrap();
        let stamp = second.bus.publish("news", "hello").unwrap();
        timeout(SOON, first.bus.until(|bus| bus.has_applied(stamp))).await.unwrap();
        assert!(first.members.alive()[0].about.bus.starts_with(link));
        let parts = one.health().report().await.parts;
        assert_eq!(parts.iter().any(|part| part.name == "redis"), link == "redis", "{parts:?}");
        two.stop().await.unwrap();
        timeout(SOON, first.bus.until(|bus| bus.heard().is_empty())).await.unwrap();
        one.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_link_without_its_url_is_refused_with_both_keys() {
    for link in ["redis", "nats"] {
        let place = Place::new().with("BURGEON__CLUSTER__LINK", link);
        let refused = place.refusal(together().0).await.to_string();
        assert!(refused.contains("cluster.link") && refused.contains(&format!("{link}.url")), "{refused}");
    }
}

#[tokio::test]
async fn the_caches_second_tier_is_in_redis_as_configured() {
    let redis = burgeon_services::Redis::start().await.unwrap();
    let place =
        Place::new().with("BURGEON__CACHE__FAR__STORE", "redis").with("BURGEON__REDIS__URL", &redis.url());
    let (app, given) = together();
    let node = place.start(app).await;
    let cache: Cache<i64, i64> =
        given.get().unwrap().caches.named("doubled").far().loader((), async |(), _: Load, key| Ok(key * 2));
    assert_eq!(cache.get(&Ctx::background(), &21).await.unwrap().as_deref(), Some(&42));
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_node_that_would_not_hear_another_does_not_start_beside_it() {
    let place = on_postgres().await.with("BURGEON__CLUSTER__LINK", "process");
    let (app, _) = together();
    let alone = place.start(app).await;
    let (app, _) = together();
    let refused = place.refusal(app).await.to_string();
    for told in ["did not start", "bus", "caches", "in-process, beats every 1s", "`cluster.link`"] {
        assert!(refused.contains(told), "{told}: {refused}");
    }
    // On the right link, but beside one that is not.
    let place = place.with("BURGEON__CLUSTER__LINK", "auto");
    let (app, _) = together();
    let refused = place.refusal(app).await.to_string();
    assert!(refused.contains("here: postgres burgeon, beats every 1s; there: in-process"), "{refused}");
    // Who keeps nothing that others should hear of is welcome.
    let (app, _) = plain();
    place.start(app).await.stop().await.unwrap();
    assert_eq!(fetch(alone.edge(), "/readyz").await.0, 200);
    alone.stop().await.unwrap();
    // It has gone, so the next one may come.
    let (app, _) = together();
    place.start(app).await.stop().await.unwrap();
}

#[tokio::test]
async fn a_node_whose_bus_is_cut_says_so_and_stays_ready() {
    let server = Postgres::shared().await.unwrap();
    let url = server.create_database().await.unwrap();
    // Statements go through a pooler; what needs a session, as a bus does, goes its own way, which can be cut.
    let bouncer = PgBouncer::start(server, PoolMode::Transaction).await.unwrap();
    let proxy = Proxy::start(("127.0.0.1", server.port())).await.unwrap();
    let place = Place::new()
        .with("BURGEON__DATABASE__URL", &bouncer.url_for(&url))
        .with("BURGEON__DATABASE__POSTGRES__DIRECT_URL", &proxy.url_for(&url))
        .with("BURGEON__CLUSTER__BUS__HEARTBEAT", "100ms");
    let (app, given) = together();
    let node = place.start(app).await;
    let bus = given.get().unwrap().bus.clone();
    timeout(SOON, bus.whole()).await.unwrap();
    let told = async || {
        let report = node.health().report().await;
        let bus = report.parts.into_iter().find(|part| part.name == "cluster bus").unwrap();
        (report.ready, bus.reason)
    };
    assert_eq!(told().await, (true, None));
    proxy.cut();
    timeout(SOON, bus.until(|bus| bus.state() == State::Cut)).await.unwrap();
    let (ready, why) = told().await;
    assert!(ready && why.as_deref().is_some_and(|why| why.contains("hears no other")), "{ready} {why:?}");
    proxy.heal();
    timeout(SOON, bus.whole()).await.unwrap();
    assert_eq!(told().await, (true, None));
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_link_that_the_database_has_not_is_refused() {
    let place = Place::new().with("BURGEON__CLUSTER__LINK", "postgres");
    let (app, _) = together();
    let refused = place.refusal(app).await.to_string();
    assert!(
        refused.starts_with("`cluster.link` is `postgres`, and the database is a SQLite file"),
        "{refused}"
    );
}
