//! Shared limits: as many as promised, on all nodes together, wherever they are kept.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use burgeon_cluster::limits::{Config, Limit, Limits, Store, WhenLost, sweep_once};
use burgeon_core::{Ctx, Kind};
use burgeon_db::sql;
use burgeon_meter::{Meters, Value};
use burgeon_redis::{Command, Redis};
use burgeon_runtime::Tasks;
use burgeon_services::{Postgres, Proxy, Redis as Server};
use futures_util::future::join_all;

use crate::yard::{Yard, open, within};

/// A store as each of several nodes sees it, and what must live as long.
struct Place {
    nodes: Vec<Store>,
    _yard: Option<Yard>,
    _redis: Option<(Server, Vec<Tasks>)>,
}

impl Place {
    async fn all() -> Vec<Place> {
        let mut places = Vec::new();
        for yard in Yard::all().await {
            let nodes = yard.dbs().await.iter().map(Store::from).collect();
            places.push(Place { nodes, _yard: Some(yard), _redis: None });
        }
        for count in [1, 3] {
            let server = Server::start().await.unwrap();
            let (mut nodes, mut tasks) = (Vec::new(), Vec::new());
            for _ in 0..count {
                let (redis, kept) = connect(&server.url());
                nodes.push(Store::from(&redis));
                tasks.push(kept);
            }
            places.push(Place { nodes, _yard: None, _redis: Some((server, tasks)) });
        }
        places
    }

    fn limits(&self, config: &Config) -> Vec<Limit> {
        self.nodes.iter().map(|store| limit(store.clone(), config)).collect()
    }

    /// How many keys there are.
    async fn count(&self) -> i64 {
        let ctx = Ctx::background();
        match &self.nodes[0] {
            Store::Database(db) => {
                sql!("test_left", "select count(*) from burgeon_limit").one(&db.read(&ctx)).await.unwrap()
            }
            // Asked for by name, because the server may take its time to remove what has expired.
            Store::Redis(redis) => {
                let there = Command::read("EXISTS").arg("burgeon:limit:test:mary");
                redis.call(&ctx, &there).await.unwrap().int().unwrap()
            }
        }
    }

    /// As if the clock had been set back by a month after everybody's last request.
    async fn set_clock_back(&self, key: &str) {
        let ctx = Ctx::background();
        const MONTH: i64 = 30 * 24 * 3_600 * 1_000_000;
        match &self.nodes[0] {
            Store::Database(db) => {
                sql!("test_clock", "update burgeon_limit set tat = tat + $1", MONTH)
                    .execute(&db.write(&ctx))
                    .await
                    .unwrap();
            }
            Store::Redis(redis) => {
                let key = format!("burgeon:limit:test:{key}");
                let tat = redis.call(&ctx, &Command::read("GET").arg(&key)).await.unwrap().bytes().unwrap();
                let tat: i64 = std::str::from_utf8(&tat.unwrap()).unwrap().parse().unwrap();
                let set = Command::write("SET").arg(&key).number(tat + MONTH);
                redis.call(&ctx, &set).await.unwrap();
            }
        }
    }
}

fn connect(url: &str) -> (Redis, Tasks) {
    let meters = Meters::new();
    let tasks = Tasks::new(&meters);
    (Redis::connect(&burgeon_redis::Config::at(url), &tasks, &meters).unwrap(), tasks)
}

fn limit(store: impl Into<Store>, config: &Config) -> Limit {
    Limits::new(store, None, &Meters::new()).named("test", config).unwrap()
}

/// So patient that the busiest machine decides.
fn patient(limit: u32, per: Duration) -> Config {
    Config { limit, per, patience: Duration::from_secs(10), ..Config::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_gets_its_burst_once_however_many_nodes_it_asks() {
    for place in Place::all().await {
        let nodes = place.limits(&patient(20, Duration::from_secs(3_600)));
        let allowed = AtomicU64::new(0);
        let ctx = Ctx::background();
        let asked = (0..60).map(|index| {
            let (node, allowed, ctx) = (&nodes[index % nodes.len()], &allowed, &ctx);
            async move {
                match node.take(ctx, "mary", 1).await {
                    Ok(yes) => {
                        assert!(
                            !yes.is_local && yes.remaining < 20 && yes.reset <= Duration::from_secs(3_600)
                        );
                        allowed.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(no) => {
                        assert_eq!(no.kind(), Kind::TooMany);
                        // One more every 180 s.
                        let after = no.retry_after().unwrap();
                        assert!(
                            after <= Duration::from_secs(180) && after > Duration::from_secs(100),
                            "{after:?}"
                        );
                    }
                }
            }
        });
        join_all(asked).await;
        assert_eq!(allowed.into_inner(), 20);
        // Another key has an allowance of its own, and a request may cost more.
        assert_eq!(nodes[0].take(&ctx, "joe", 5).await.unwrap().remaining, 15);
        let never = nodes[0].take(&ctx, "joe", 21).await.unwrap_err();
        assert_eq!((never.kind(), never.retry_after()), (Kind::TooMany, None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allowance_comes_back_with_time_and_whole_keys_are_gone() {
    for place in Place::all().await {
        let ctx = Ctx::background();
        let limit = &place.limits(&patient(1, Duration::from_millis(200)))[0];
        limit.take(&ctx, "mary", 1).await.unwrap();
        let no = loop {
            match limit.take(&ctx, "mary", 1).await {
                Err(no) => break no,
                // The machine was so slow that the time had passed.
                Ok(_) => continue,
            }
        };
        tokio::time::sleep(no.retry_after().unwrap()).await;
        limit.take(&ctx, "mary", 1).await.unwrap();
        tokio::time::sleep(Duration::from_millis(250)).await;
        if let Store::Database(db) = &place.nodes[0] {
            assert_eq!(sweep_once(db).await.unwrap(), 1);
        }
        assert_eq!(place.count().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_locks_nobody_out() {
    for place in Place::all().await {
        let ctx = Ctx::background();
        let nodes = place.limits(&patient(3, Duration::from_secs(3_600)));
        let last = &nodes[nodes.len() - 1];
        nodes[0].take(&ctx, "mary", 2).await.unwrap();
        place.set_clock_back("mary").await;
        assert_eq!(last.take(&ctx, "mary", 1).await.unwrap().remaining, 2);
        // From then on it counts as before.
        assert_eq!(nodes[0].take(&ctx, "mary", 2).await.unwrap().remaining, 0);
        assert_eq!(last.take(&ctx, "mary", 1).await.unwrap_err().kind(), Kind::TooMany);
    }
}

/// What a limit does while nobody answers, and after.
async fn lost(store: Store, proxy: &Proxy) {
    let ctx = Ctx::background();
    let meters = Meters::new();
    let limits = Limits::new(store, None, &meters);
    let config = Config {
        limit: 3,
        per: Duration::from_secs(3_600),
        patience: Duration::from_millis(200),
        ..Config::default()
    };
    let shared = limits.named("shared", &config).unwrap();
    let strict = limits.named("strict", &Config { when_lost: WhenLost::Refuse, ..config }).unwrap();
    let count = |limit: &str, decision: &str| {
        let is_it = |sample: &&burgeon_meter::Sample| {
            let values: Vec<&str> = sample.labels.iter().map(|(_, value)| value.as_str()).collect();
            values == [limit, decision]
        };
        match meters.samples().iter().find(is_it).map(|sample| sample.value.clone()) {
            Some(Value::Counter(count)) => count,
            other => panic!("{other:?}"),
        }
    };
    // Whoever answers first is connected.
    within(async { while shared.take(&ctx, "ann", 1).await.is_ok_and(|yes| yes.is_local) {} }).await;
    let before = count("shared", "decided_alone");
    proxy.black_hole();
    for remaining in [2, 1, 0] {
        let yes = within(shared.take(&ctx, "mary", 1)).await.unwrap();
        assert_eq!((yes.is_local, yes.remaining), (true, remaining));
    }
    assert_eq!(within(shared.take(&ctx, "mary", 1)).await.unwrap_err().kind(), Kind::TooMany);
    assert_eq!(count("shared", "decided_alone") - before, 4);
    let refused = within(strict.take(&ctx, "mary", 1)).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Unavailable);
    assert!(refused.retry_after().is_some());
    assert_eq!(count("strict", "refused_lost"), 1);
    proxy.heal();
    within(async { while shared.take(&ctx, "joe", 1).await.is_ok_and(|yes| yes.is_local) {} }).await;
    within(async { while strict.take(&ctx, "joe", 1).await.is_err_and(|no| no.kind() != Kind::TooMany) {} })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_database_or_redis_a_node_decides_alone_or_refuses_as_it_is_told_and_says_so() {
    let yard = Yard::postgres(1).await;
    let server = Postgres::shared().await.unwrap();
    let proxy = Proxy::start(("127.0.0.1", server.port())).await.unwrap();
    lost(Store::from(&open(&proxy.url_for(&yard.url)).await), &proxy).await;

    let server = Server::start().await.unwrap();
    let proxy = Proxy::start(("127.0.0.1", server.port())).await.unwrap();
    let (redis, _tasks) = connect(&proxy.url_for(&server.url()));
    lost(Store::from(&redis), &proxy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_killed_costs_no_wait_and_comes_back_with_whole_allowances() {
    let server = Server::start().await.unwrap();
    let (redis, _tasks) = connect(&server.url());
    within(redis.connected()).await;
    let limit = limit(&redis, &patient(2, Duration::from_secs(3_600)));
    let ctx = Ctx::background();
    limit.take(&ctx, "mary", 2).await.unwrap();
    assert_eq!(limit.take(&ctx, "mary", 1).await.unwrap_err().kind(), Kind::TooMany);
    server.kill().await.unwrap();
    let asked = tokio::time::Instant::now();
    assert!(limit.take(&ctx, "mary", 1).await.unwrap().is_local);
    assert!(asked.elapsed() < Duration::from_secs(5), "its patience is 10 s");
    server.restart().await.unwrap();
    within(redis.generation_changed(1)).await;
    within(redis.connected()).await;
    let yes = limit.take(&ctx, "mary", 1).await.unwrap();
    assert_eq!((yes.is_local, yes.remaining), (false, 1));
}
