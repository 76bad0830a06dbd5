//! One cache on several nodes: what is changed on one is changed on all, and nobody is served less than he has done himself.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use burgeon_cache::{Cache, Caches, Clock, Config, Invalidation, Load, News};
use burgeon_cluster::bus::{self, Fate, Hub, Link};
use burgeon_cluster::{Bus, Stamp};
use burgeon_core::{Ctx, Position};
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;
use tokio::time::{advance, timeout};

use crate::house::{Origin, load};

/// Some nodes of one application in this process.
pub(crate) struct Site {
    pub(crate) hub: Hub,
    pub(crate) nodes: Vec<Node>,
    pub(crate) origin: Origin,
}

pub(crate) struct Node {
    pub(crate) bus: Bus,
    pub(crate) caches: Caches,
    pub(crate) cache: Cache<u32, u64>,
    pub(crate) meters: Meters,
    pub(crate) tasks: Tasks,
}

impl Site {
    pub(crate) async fn of(nodes: usize) -> Site {
        Self::with(nodes, |_| {}).await
    }

    pub(crate) async fn with(nodes: usize, change: impl Fn(&mut Config)) -> Site {
        let (hub, origin) = (Hub::new(), Origin::new(1));
        let mut config = Config { jitter: 0.0, eager: 1.0, ..Config::default() };
        change(&mut config);
        let nodes: Vec<Node> = (0..nodes).map(|_| Node::on(&hub, &origin, &config)).collect();
        for node in &nodes {
            node.bus.whole().await;
            node.bus.until(|bus| bus.heard().len() >= nodes.len() - 1).await;
        }
        Site { hub, nodes, origin }
    }

    /// Waits until every node has heard what this context has done.
    pub(crate) async fn heard(&self, ctx: &Ctx) {
        for mark in ctx.marks().iter() {
            let stamp =
                Stamp { node: burgeon_cluster::NodeId::from_bits(mark.node), sequence: mark.sequence };
            for node in &self.nodes {
                timeout(SOON, node.bus.until(|bus| bus.has_applied(stamp))).await.expect("heard in time");
            }
        }
    }
}

impl Node {
    fn on(hub: &Hub, origin: &Origin, config: &Config) -> Node {
        let meters = Meters::new();
        let tasks = Tasks::new(&meters);
        let beat = bus::Config { heartbeat: Duration::from_millis(100), ..bus::Config::default() };
        let bus = Bus::join(Link::InProcess(hub.clone()), beat, &tasks, &meters).unwrap();
        let caches = Caches::with_clock(config, &tasks, &meters, Clock::exact()).unwrap().on_bus(&bus);
        let cache = caches.named("it").loader(origin.clone(), load);
        Node { bus, caches, cache, meters, tasks }
    }

    async fn get(&self, ctx: &Ctx) -> Option<u64> {
        self.cache.get(ctx, &1).await.unwrap().as_deref().copied()
    }

    fn news(&self, what: &'static str) -> u64 {
        self.meters.counter("cache_news_total", "", &[("what", what)]).get()
    }
}

const SOON: Duration = Duration::from_secs(20);

type Change = fn(&Cache<u32, u64>, &Ctx) -> Invalidation;

const CHANGES: [(&str, Change); 7] = [
    ("invalidate", |cache, ctx| cache.invalidate(ctx, &1)),
    ("expire", |cache, ctx| cache.expire(ctx, &1)),
    ("set", |cache, ctx| cache.set(ctx, &1, 2)),
    ("invalidate_tag", |cache, ctx| cache.invalidate_tag(ctx, "key:1")),
    ("expire_tag", |cache, ctx| cache.expire_tag(ctx, "all")),
    ("invalidate_all", |cache, ctx| cache.invalidate_all(ctx)),
    ("expire_all", |cache, ctx| cache.expire_all(ctx)),
];

#[tokio::test(start_paused = true)]
async fn a_change_on_one_node_is_one_on_all() {
    for count in [1, 3] {
        for (name, change) in CHANGES {
            let site = Site::of(count).await;
            for node in &site.nodes {
                assert_eq!(node.get(&Ctx::background()).await, Some(1));
            }
            site.origin.set(2);
            let writer = Ctx::background();
            change(&site.nodes[0].cache, &writer);
            site.heard(&writer).await;
            for node in &site.nodes {
                assert_eq!(node.get(&Ctx::background()).await, Some(2), "{name} with {count} nodes");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_that_began_before_the_news_came_is_not_kept_and_not_joined_after() {
    for (name, change) in CHANGES {
        let site = Site::of(2).await;
        let [here, there] = &site.nodes[..] else { unreachable!() };
        site.origin.hold_next();
        let reader = |node: &Node| {
            let cache = node.cache.clone();
            node.tasks.spawn("reader", async move { cache.get(&Ctx::background(), &1).await })
        };
        let early = reader(there);
        site.origin.begun(1).await;
        site.origin.set(2);
        let writer = Ctx::background();
        change(&here.cache, &writer);
        site.heard(&writer).await;
        let late = reader(there);
        // A tag's load is joined, and its tags known, when it ends.
        tokio::task::yield_now().await;
        site.origin.release();
        assert_eq!(late.await.unwrap().unwrap().as_deref(), Some(&2), "{name}");
        early.await.unwrap().unwrap();
        assert_eq!(there.get(&Ctx::background()).await, Some(2), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_changed_something_sees_it_on_a_node_that_has_not_heard_of_it() {
    for (name, change) in CHANGES {
        let site = Site::of(3).await;
        for node in &site.nodes {
            node.get(&Ctx::background()).await;
        }
        site.hub.set_weather(|| Fate::Delay(Duration::from_millis(200)));
        site.origin.set(2);
        let writer = Ctx::background();
        change(&site.nodes[0].cache, &writer);
        let (stranger, before) = (Ctx::background(), tokio::time::Instant::now());
        for node in &site.nodes[1..] {
            assert_eq!(node.get(&stranger).await, Some(1), "{name}: the message was there at once");
            assert_eq!(node.get(&writer).await, Some(2), "{name}");
            // It waits once for what it has not heard.
            let second = tokio::time::Instant::now();
            assert_eq!(node.get(&writer).await, Some(2), "{name}");
            assert!(second.elapsed() < Duration::from_millis(2));
        }
        assert!(before.elapsed() < Duration::from_millis(60), "{name}: it waited for {:?}", before.elapsed());
        // And what was loaded for him is there for the others.
        assert_eq!(site.nodes[2].get(&stranger).await, Some(2), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_changed_something_joins_no_load_that_may_have_begun_before() {
    let site = Site::of(2).await;
    let [here, there] = &site.nodes[..] else { unreachable!() };
    site.origin.hold_next();
    let stranger = there.tasks.spawn("stranger", {
        let cache = there.cache.clone();
        async move { cache.get(&Ctx::background(), &1).await }
    });
    site.origin.begun(1).await;
    site.hub.set_weather(|| Fate::Lose);
    site.origin.set(2);
    let writer = Ctx::background();
    here.cache.invalidate(&writer, &1);
    assert_eq!(there.get(&writer).await, Some(2));
    site.origin.release();
    assert_eq!(stranger.await.unwrap().unwrap().as_deref(), Some(&1));
    // What the stranger's load brought has not pushed out what the writer's did.
    assert_eq!(there.get(&writer).await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn who_has_changed_something_gets_no_stale_value_from_before_it_either() {
    let site = Site::of(2).await;
    let [here, there] = &site.nodes[..] else { unreachable!() };
    there.get(&Ctx::background()).await;
    site.hub.set_weather(|| Fate::Lose);
    site.origin.set(2);
    let writer = Ctx::background();
    here.cache.invalidate(&writer, &1);
    site.origin.fail(true);
    assert!(there.cache.get(&writer, &1).await.is_err());
    advance(Duration::from_secs(31)).await;
    assert_eq!(there.get(&Ctx::background()).await, Some(1), "others are served the stale value");
    assert!(there.cache.get(&writer, &1).await.is_err(), "kept alive is not loaded");
    site.origin.fail(false);
    assert_eq!(there.get(&writer).await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn while_nobody_is_heard_values_live_for_five_seconds() {
    let site = Site::with(2, |config| config.ttl = Duration::from_secs(600)).await;
    let [here, there] = &site.nodes[..] else { unreachable!() };
    there.get(&Ctx::background()).await;
    advance(Duration::from_secs(60)).await;
    assert_eq!((there.caches.news(), there.get(&Ctx::background()).await), (News::Whole, Some(1)));
    site.hub.cut();
    there.bus.until(|bus| bus.state() == burgeon_cluster::State::Cut).await;
    assert_eq!(there.caches.news(), News::Aging);
    site.origin.set(2);
    here.cache.invalidate(&Ctx::background(), &1);
    assert_eq!(there.get(&Ctx::background()).await, Some(2), "it was a minute old");
    site.origin.set(3);
    here.cache.invalidate(&Ctx::background(), &1);
    advance(Duration::from_millis(4_900)).await;
    assert_eq!(there.get(&Ctx::background()).await, Some(2));
    advance(Duration::from_millis(200)).await;
    assert_eq!(there.get(&Ctx::background()).await, Some(3));
    site.origin.set(4);
    here.cache.invalidate(&Ctx::background(), &1);
    site.hub.restore();
    // The link first, then the word of the other how far it has come.
    timeout(SOON, there.bus.until(|_| there.caches.news() == News::Whole)).await.unwrap();
    assert_eq!(there.get(&Ctx::background()).await, Some(4), "what was said meanwhile is known to be missed");
    // And again as long as it is fresh.
    advance(Duration::from_secs(60)).await;
    assert_eq!(there.get(&Ctx::background()).await, Some(4));
    assert_eq!(site.origin.loads(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_was_lost_is_known_to_be_lost() {
    let site = Site::of(2).await;
    let [here, there] = &site.nodes[..] else { unreachable!() };
    there.get(&Ctx::background()).await;
    site.hub.set_weather(|| Fate::Lose);
    site.origin.set(2);
    let writer = Ctx::background();
    here.cache.invalidate(&writer, &1);
    // Its number was said, and then lost.
    timeout(SOON, here.bus.until(|bus| bus.has_applied(stamp(&writer)))).await.unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(there.get(&Ctx::background()).await, Some(1));
    site.hub.clear_weather();
    site.heard(&writer).await;
    assert_eq!(there.get(&Ctx::background()).await, Some(2));
    assert_eq!(there.news("missed"), 1);
}

pub(crate) fn stamp(ctx: &Ctx) -> Stamp {
    let mark = ctx.marks().iter().next().unwrap();
    Stamp { node: burgeon_cluster::NodeId::from_bits(mark.node), sequence: mark.sequence }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_understood_may_have_told_of_anything() {
    let site = Site::of(2).await;
    let [here, there] = &site.nodes[..] else { unreachable!() };
    there.get(&Ctx::background()).await;
    site.origin.set(2);
    let said = here.bus.publish("cache", vec![9, 0, 0]).unwrap();
    timeout(SOON, there.bus.until(|bus| bus.has_applied(said))).await.unwrap();
    assert_eq!(there.get(&Ctx::background()).await, Some(2));
    assert_eq!(there.news("not_understood"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_keys_are_of_another_type_forgets_the_whole_cache() {
    let site = Site::of(2).await;
    let [here, there] = &site.nodes[..] else { unreachable!() };
    // The same name in another version of the application.
    let other: Cache<String, u64> = here.caches.named("texts").without_loader();
    let ours: Cache<u64, u64> = there.caches.named("texts").without_loader();
    ours.set(&Ctx::background(), &7, 1);
    let writer = Ctx::background();
    other.invalidate(&writer, "something else");
    site.heard(&writer).await;
    assert_eq!(ours.peek(&7), None);
}

#[tokio::test(start_paused = true)]
async fn what_is_on_its_way_already_is_not_said_again_and_of_too_much_one_word_is_said() {
    let site = Site::of(2).await;
    let [here, there] = &site.nodes[..] else { unreachable!() };
    let before = here.news("said");
    let writer = Ctx::background();
    // Nobody gets a turn in between, so nothing leaves.
    for _ in 0..100 {
        here.cache.invalidate(&writer, &1);
    }
    assert_eq!(here.news("said") - before, 1);
    there.cache.set(&Ctx::background(), &77, 1);
    for key in 0..5_000 {
        here.cache.invalidate(&writer, &key);
    }
    assert_eq!(here.news("storm"), 1);
    assert!(here.news("said") - before < 1_100, "{} messages", here.news("said") - before);
    site.heard(&writer).await;
    assert_eq!(there.cache.peek(&77), None);
    // And when it has passed, one key is one key again.
    there.cache.set(&Ctx::background(), &77, 1);
    here.cache.invalidate(&writer, &78);
    site.heard(&writer).await;
    assert_eq!(there.cache.peek(&77).as_deref(), Some(&1));
}

#[tokio::test(start_paused = true)]
async fn the_time_until_another_node_has_applied_it_is_measured() {
    let site = Site::of(2).await;
    let here = &site.nodes[0];
    site.hub.set_weather(|| Fate::Delay(Duration::from_millis(30)));
    here.cache.invalidate(&Ctx::background(), &1);
    let lag = here.meters.histogram("cache_invalidation_seconds", "", &[]);
    timeout(SOON, here.bus.until(|_| lag.value().count() > 0)).await.unwrap();
    let measured = lag.value().quantile(0.5).unwrap();
    assert!(measured >= Duration::from_millis(55) && measured < Duration::from_millis(80), "{measured:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_loss_loads_read_what_its_sender_had_told_of_though_a_replica_lags() {
    let site = Site::of(2).await;
    let [here, there] = &site.nodes[..] else { unreachable!() };
    let positions = Arc::new(Mutex::new(Vec::new()));
    let cache: Cache<u32, u64> = there.caches.named("positions").loader(
        positions.clone(),
        async |positions: Arc<Mutex<Vec<u64>>>, load: Load, _: u32| {
            positions.lock().unwrap().push(load.position().lsn);
            Ok(1)
        },
    );
    let told: Cache<u32, u64> = here.caches.named("positions").without_loader();
    let stranger = Ctx::background();
    site.hub.set_weather(|| Fate::Lose);
    let writer = Ctx::background();
    writer.advance(Position { timeline: 1, lsn: 70 });
    told.invalidate(&writer, &1);
    tokio::time::sleep(Duration::from_millis(10)).await;
    site.hub.clear_weather();
    // A heartbeat tells that something was lost, and not what: the other is asked.
    timeout(SOON, there.bus.until(|bus| bus.has_applied(stamp(&writer)))).await.unwrap();
    timeout(SOON, there.bus.until(|_| there.caches.news() == News::Whole)).await.unwrap();
    cache.get(&stranger, &1).await.unwrap();
    assert_eq!(*positions.lock().unwrap(), [70]);
}

#[tokio::test(start_paused = true)]
async fn a_process_may_distrust_all_it_has() {
    let site = Site::of(1).await;
    let node = &site.nodes[0];
    node.get(&Ctx::background()).await;
    site.origin.set(2);
    node.caches.distrust();
    assert_eq!(node.get(&Ctx::background()).await, Some(2));
}
