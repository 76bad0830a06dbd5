//! Reads of the second tier that go together, and the caller who goes for others. Of a cache without tags, which Redis answers in one plain
//! command.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use burgeon_cache::{Cache, Fault, Load};
use burgeon_core::{Ctx, Kind, Result};
use burgeon_redis::Command;
use burgeon_runtime::Task;
use burgeon_services::{Proxy, Redis};
use serde::{Deserialize, Deserializer, Serialize};
use tokio::time::{Instant, sleep};

use super::yard::{Node, Yard, within};
use crate::house::{self, Origin};

/// A Redis whose replies can be kept back, and the same past that.
struct Site {
    proxy: Proxy,
    yard: Yard,
    direct: Yard,
}

type Pages = Cache<u32, u64>;

impl Site {
    async fn new() -> Site {
        let server = Arc::new(Redis::start().await.unwrap());
        let proxy = Proxy::start(("127.0.0.1", server.port())).await.unwrap();
        let patient = burgeon_redis::Config {
            // The replies are kept back for as long as a busy machine takes to do the rest.
            response_timeout: Duration::from_secs(20),
            ..burgeon_redis::Config::at(proxy.url_for(&server.url()))
        };
        let yard = Yard::redis_with(&patient, server.clone()).await;
        let direct = Yard::redis_at(&server.url(), server).await;
        Site { proxy, yard, direct }
    }

    /// In the store, and in nobody's memory.
    async fn has(&self, origin: &Origin, keys: impl IntoIterator<Item = u32>) {
        let node = self.direct.node();
        let pages = pages(&node, origin);
        for key in keys {
            pages.get(&node.house.ctx, &key).await.unwrap();
        }
        node.offered().await;
    }

    /// How many plain reads Redis has been given.
    async fn asked(&self) -> u64 {
        self.direct.commands(&["mget"]).await
    }

    async fn asked_to(&self, count: u64) {
        within(async {
            while self.asked().await < count {
                sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }
}

fn pages(node: &Node, origin: &Origin) -> Pages {
    pages_of(node, origin, Duration::from_secs(60))
}

fn pages_of(node: &Node, origin: &Origin, ttl: Duration) -> Pages {
    let named = node.house.caches.named("it").far().ttl(ttl);
    named.loader(origin.clone(), async |origin: Origin, _: Load, _: u32| origin.read().await)
}

fn get(node: &Node, pages: &Pages, key: u32) -> Task<Result<Option<u64>>> {
    let (pages, ctx) = (pages.clone(), node.house.ctx.clone());
    node.house.tasks.spawn("caller", async move { Ok(pages.get(&ctx, &key).await?.as_deref().copied()) })
}

async fn value_of(task: Task<Result<Option<u64>>>) -> Option<u64> {
    within(task).await.unwrap().unwrap()
}

/// A caller who comes as far as his first wait.
fn begun<T>(future: impl Future<Output = T> + Send + 'static) -> Pin<Box<dyn Future<Output = T> + Send>> {
    let mut future: Pin<Box<dyn Future<Output = T> + Send>> = Box::pin(future);
    assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    future
}

fn begin(node: &Node, pages: &Pages, key: u32) -> Pin<Box<dyn Future<Output = Option<u64>> + Send>> {
    let (pages, ctx) = (pages.clone(), node.house.ctx.clone());
    begun(async move { pages.get(&ctx, &key).await.unwrap().as_deref().copied() })
}

#[tokio::test]
async fn a_caller_who_leaves_while_he_asks_leaves_the_answer_to_the_others() {
    for how in ["he leaves", "he is not polled", "he leaves after they came", "nobody else came"] {
        let site = Site::new().await;
        let origin = Origin::new(7);
        site.has(&origin, [1]).await;
        let node = site.yard.node();
        let pages = pages(&node, &origin);
        let before = site.asked().await;
        site.proxy.hold_replies();
        let mut first = Some(begin(&node, &pages, 1));
        site.asked_to(before + 1).await;
        if how == "he leaves" {
            first = None;
        }
        let second = (how != "nobody else came").then(|| get(&node, &pages, 1));
        if second.is_some() {
            within(async {
                while node.count("cache_joined_total", &[]) == 0 {
                    tokio::task::yield_now().await;
                }
            })
            .await;
        }
        if how != "he is not polled" {
            first = None;
        }
        site.proxy.heal();
        match second {
            Some(second) => assert_eq!(value_of(second).await, Some(7), "{how}"),
            None => node.offered().await,
        }
        assert_eq!(pages.peek(&1).as_deref(), Some(&7), "{how}");
        assert_eq!(origin.loads(), 1, "{how}");
        assert_eq!(site.asked().await, before + 1, "{how}");
        assert_eq!(node.count("cache_loads_total", &[("outcome", "broken")]), 0, "{how}");
        if let Some(first) = first {
            assert_eq!(within(first).await, Some(7), "{how}");
        }
    }
}

#[tokio::test]
async fn whoever_waits_alone_may_give_a_load_up_with_himself() {
    let site = Site::new().await;
    let origin = Origin::new(7);
    site.has(&origin, [1]).await;
    let node = site.yard.node_with(|config| config.background_completion = false);
    let pages = pages(&node, &origin);
    site.proxy.hold_replies();
    drop(begin(&node, &pages, 1));
    node.offered().await;
    site.proxy.heal();
    assert_eq!(pages.peek(&1), None);
    assert_eq!(value_of(get(&node, &pages, 1)).await, Some(7));
    assert_eq!(origin.loads(), 1);
}

#[tokio::test]
async fn many_who_ask_at_once_are_a_few_questions_of_bounded_size() {
    const MANY: u32 = 300;
    let site = Site::new().await;
    let origin = Origin::new(7);
    site.has(&origin, 0..MANY).await;
    let node = site.yard.node();
    let pages = pages(&node, &origin);
    let before = site.asked().await;
    site.proxy.hold_replies();
    let callers: Vec<_> = (0..MANY).map(|key| get(&node, &pages, key)).collect();
    // Two for themselves, and two for those who came by then.
    site.asked_to(before + 4).await;
    sleep(Duration::from_millis(50)).await;
    assert_eq!(site.asked().await, before + 4, "a reader has one question under way");
    site.proxy.heal();
    for caller in callers {
        assert_eq!(value_of(caller).await, Some(7));
    }
    let questions = site.asked().await - before;
    // 298 waited, and 64 go together.
    assert!((2 + 5..=12).contains(&questions), "{questions} questions");
    assert_eq!(origin.loads(), u64::from(MANY));
    assert_eq!(node.count("cache_far_reads_total", &[("outcome", "hit")]), u64::from(MANY));
    node.offered().await;
}

/// Four questions are under way, none of them about the fifth key.
async fn all_busy(site: &Site, node: &Node, pages: &Pages) -> Vec<Task<Result<Option<u64>>>> {
    let before = site.asked().await;
    let mut callers = Vec::new();
    for key in 1..=4 {
        callers.push(get(node, pages, key));
        site.asked_to(before + u64::from(key)).await;
    }
    callers
}

#[tokio::test]
async fn what_is_invalidated_while_it_waits_to_be_asked_for_is_not_served_as_it_was() {
    let site = Site::new().await;
    let origin = Origin::new(1);
    site.has(&origin, 1..=5).await;
    let node = site.yard.node();
    let pages = pages(&node, &origin);
    site.proxy.hold_replies();
    let busy = all_busy(&site, &node, &pages).await;
    let waiting = begin(&node, &pages, 5);
    origin.set(2);
    drop(pages.invalidate(&node.house.ctx, &5));
    let later = get(&node, &pages, 5);
    // It does not wait for what began before it.
    assert_eq!(value_of(later).await, Some(2));
    site.proxy.heal();
    assert_eq!(within(waiting).await, Some(2));
    for caller in busy {
        assert_eq!(value_of(caller).await, Some(1));
    }
    assert_eq!(pages.peek(&5).as_deref(), Some(&2));
}

#[tokio::test]
async fn a_deadline_of_one_is_nobody_elses() {
    let site = Site::new().await;
    let origin = Origin::new(1);
    site.has(&origin, 1..=6).await;
    let node = site.yard.node();
    let pages = pages(&node, &origin);
    site.proxy.hold_replies();
    let mut others = all_busy(&site, &node, &pages).await;
    let hasty = {
        let (pages, ctx) = (pages.clone(), house::within(Duration::from_millis(50)));
        node.house.tasks.spawn("hasty", async move { pages.get(&ctx, &5).await })
    };
    others.push(get(&node, &pages, 6));
    let late = within(hasty).await.unwrap().unwrap_err();
    assert_eq!(late.kind(), Kind::Deadline, "{}", late.detail());
    // And the first of all may be in a hurry, too.
    others.push(get(&node, &pages, 5));
    site.proxy.heal();
    for caller in others {
        assert_eq!(value_of(caller).await, Some(1));
    }
    assert_eq!(origin.loads(), 6);
    assert_eq!(node.count("cache_far_reads_total", &[("outcome", "failed")]), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_hangs_keeps_nobody_who_waits_in_line_beyond_his_limit() {
    const MANY: u32 = 300;
    let site = Site::new().await;
    let origin = Origin::new(1);
    let node = site.yard.node_with(|config| {
        config.far.soft_timeout = Duration::from_millis(50);
        config.far.hard_timeout = Duration::from_secs(15);
        config.far.wait_when_down = Duration::from_secs(15);
    });
    let pages = pages(&node, &origin);
    let keys: Vec<u32> = (0..MANY).collect();
    pages.get_many(&node.house.ctx, &keys).await.unwrap();
    node.offered().await;
    // From now on there is something stale at hand, and nothing fresh in the store.
    within(pages.expire_all(&node.house.ctx).into_future()).await;
    site.proxy.black_hole();
    origin.set(2);
    let asked = Instant::now();
    let callers: Vec<_> = keys.iter().map(|key| get(&node, &pages, *key)).collect();
    for caller in callers {
        // A new one, or the old one that was at hand.
        assert!(matches!(value_of(caller).await, Some(1 | 2)));
    }
    let longest = asked.elapsed();
    assert!(longest < Duration::from_secs(5), "somebody waited for {longest:?}");
    site.proxy.heal();
}

/// Comes back from bytes, but for one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Unlucky(u32);

impl<'de> Deserialize<'de> for Unlucky {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let number = u32::deserialize(from)?;
        assert_ne!(number, 13, "unlucky");
        Ok(Self(number))
    }
}

#[tokio::test]
async fn a_value_that_panics_when_it_is_read_is_an_error_to_all_who_wait() {
    let site = Site::new().await;
    let unlucky = |node: &Node| -> Cache<u32, Unlucky> {
        node.house.caches.named("unlucky").far().loader((), async |(), _: Load, key: u32| Ok(Unlucky(key)))
    };
    let node = site.direct.node();
    let filling = unlucky(&node);
    for key in [1, 13] {
        filling.get(&Ctx::background(), &key).await.unwrap();
        node.offered().await;
    }
    let node = site.yard.node();
    let cache = unlucky(&node);
    for key in [13, 13] {
        let broken = within(cache.get(&Ctx::background(), &key)).await.unwrap_err();
        assert!(matches!(broken.find(), Some(Fault::Broken { .. })), "{}", broken.detail());
    }
    assert_eq!(cache.get(&Ctx::background(), &1).await.unwrap().as_deref(), Some(&Unlucky(1)));
    node.offered().await;
    let panics = node.house.meters.counter("runtime_task_panics_total", "", &[("task", "cache.load")]).get();
    assert_eq!(panics, 2);
}

#[tokio::test]
async fn without_tags_an_invalidation_is_as_good() {
    let site = Site::new().await;
    let origin = Origin::new(0);
    let fresh = async || {
        let node = site.yard.node();
        let pages = pages(&node, &origin);
        let value = pages.get(&node.house.ctx, &1).await.unwrap().as_deref().copied();
        node.offered().await;
        value
    };
    let node = site.yard.node();
    let telling = pages(&node, &origin);
    let ctx = &node.house.ctx;
    for (value, how) in (1..).zip(["remove", "expire", "remove all", "expire all"]) {
        origin.set(value);
        within(async {
            match how {
                "remove" => telling.invalidate(ctx, &1).await,
                "expire" => telling.expire(ctx, &1).await,
                "remove all" => telling.invalidate_all(ctx).await,
                _ => telling.expire_all(ctx).await,
            }
        })
        .await;
        // What was expired is there to fall back on, what was removed is not.
        origin.fail(true);
        let fallen_back = pages(&site.yard.node(), &origin).get(&Ctx::background(), &1).await;
        let expected = how.starts_with("expire").then_some(value - 1);
        assert_eq!(fallen_back.ok().flatten().as_deref().copied(), expected, "{how}");
        origin.fail(false);
        assert_eq!(fresh().await, Some(value), "{how}");
        let loads = origin.loads();
        assert_eq!(fresh().await, Some(value), "{how}");
        assert_eq!(origin.loads(), loads, "{how}");
    }
}

#[tokio::test]
async fn without_tags_a_value_grows_as_old() {
    let site = Site::new().await;
    let origin = Origin::new(1);
    // Redis' clock goes on by itself only, and the busiest machine must read twice meanwhile.
    let ttl = Duration::from_secs(2);
    let short = |node: &Node| pages_of(node, &origin, ttl);
    let one = site.yard.node();
    assert_eq!(one.get(&short(&one), 1).await, Some(1));
    one.offered().await;
    // It has asked for the time, and counts on.
    let other = site.yard.node();
    assert_eq!(other.get(&short(&other), 1).await, Some(1));
    assert_eq!(origin.loads(), 1);
    sleep(ttl).await;
    origin.set(2);
    let third = site.yard.node();
    assert_eq!(third.get(&short(&third), 1).await, Some(2));
}

#[tokio::test]
async fn a_read_is_one_command_and_the_time_is_asked_along_once_a_second() {
    let site = Site::new().await;
    let origin = Origin::new(1);
    site.has(&origin, 0..100).await;
    let node = site.yard.node();
    let pages = pages(&node, &origin);
    let all = ["mget", "time", "get", "hmget", "evalsha", "eval"];
    let (before, times) = (site.direct.commands(&all).await, site.direct.commands(&["time"]).await);
    let began = Instant::now();
    for key in 0..100 {
        assert_eq!(node.get(&pages, key).await, Some(1));
    }
    let seconds = began.elapsed().as_secs() + 1;
    let times = site.direct.commands(&["time"]).await - times;
    assert!((1..=seconds).contains(&times), "{times} in {seconds} s");
    assert_eq!(site.direct.commands(&all).await - before - times, 100);
}

#[tokio::test]
async fn what_redis_evicts_of_a_cache_costs_loads_and_nothing_else() {
    let site = Site::new().await;
    let origin = Origin::new(1);
    site.has(&origin, [1, 2]).await;
    let node = site.yard.node();
    let evict = async |key: &str| {
        let gone = site.direct.command(&Command::write("DEL").arg(key)).await.int().unwrap();
        assert_eq!(gone, 1);
    };
    let telling = pages(&node, &origin);
    // What it shows is shown again.
    evict("b2:it:it=").await;
    assert_eq!(node.get(&telling, 1).await, Some(1));
    let other = site.yard.node();
    assert_eq!(other.get(&pages(&other, &origin), 2).await, Some(1));
    assert_eq!(site.direct.command(&Command::read("EXISTS").arg("b2:it:it=")).await.int().unwrap(), 1);
    assert_eq!(origin.loads(), 2);
    // Without what it knows it begins anew: which types of values there are is forgotten, too.
    evict("b2:it:it!").await;
    origin.set(2);
    within(telling.invalidate(&node.house.ctx, &1).into_future()).await;
    let third = site.yard.node();
    let pages = pages(&third, &origin);
    for key in [1, 2] {
        assert_eq!(third.get(&pages, key).await, Some(2), "{key}");
    }
}
