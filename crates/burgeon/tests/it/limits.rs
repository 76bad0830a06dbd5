//! Shared limits where the configuration says: counted for all nodes together, and what happens when Redis is lost.

use std::time::Duration;

use burgeon::cluster::limits;
use burgeon::prelude::*;
use burgeon_services::Redis;
use futures_util::future::join_all;
use tokio::time::timeout;

use crate::support::Place;
use crate::together::{SOON, on_postgres, plain, together};

/// So patient that the busiest machine decides.
fn patient(limit: u32) -> limits::Config {
    let (per, patience) = (Duration::from_secs(3_600), Duration::from_secs(10));
    limits::Config { limit, per, patience, ..Default::default() }
}

/// How many keys have a row.
async fn rows(db: &Db) -> i64 {
    sql!("test_limits", "select count(*) from burgeon_limit").one(&db.read(&Ctx::background())).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_limit_is_counted_for_all_nodes_where_it_is_configured() {
    let redis = Redis::start().await.unwrap();
    for (place, nodes) in [("database", 1), ("database", 3), ("redis", 1), ("redis", 3)] {
        let at = on_postgres().await;
        let at = match place {
            "database" => at,
            _ => at.with("BURGEON__CLUSTER__LIMITS", place).with("BURGEON__REDIS__URL", &redis.url()),
        };
        let (mut running, mut given) = (Vec::new(), Vec::new());
        for _ in 0..nodes {
            let (app, got) = together();
            running.push(at.start(app).await);
            given.push(got.get().unwrap().clone());
        }
        let name = format!("posts-{nodes}");
        let limits: Vec<_> =
            given.iter().map(|given| given.limits.named(name.clone(), &patient(20)).unwrap()).collect();
        let ctx = Ctx::background();
        let takes = (0..60).map(|index| limits[index % nodes].take(&ctx, "mary", 1));
        let taken = join_all(takes).await;
        let allowed: Vec<_> = taken.into_iter().filter_map(Result::ok).collect();
        assert_eq!(allowed.len(), 20, "{place}, {nodes} nodes");
        assert!(allowed.iter().all(|allowed| !allowed.is_local));
        // Where it says, and nowhere else.
        let is_in_database = place == "database";
        assert_eq!(rows(running[0].db()).await, i64::from(is_in_database), "{place}, {nodes} nodes");
        let sweeps = given[0].tasks.running().iter().any(|(task, _)| task == "cluster.limits");
        assert_eq!(sweeps, is_in_database);
        let parts = running[0].health().report().await.parts;
        assert_eq!(parts.iter().any(|part| part.name == "redis"), !is_in_database, "{parts:?}");
        assert!(given[0].members.alive().iter().all(|member| member.about.limits == place));
        for node in running {
            node.stop().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_redis_killed_each_limit_does_what_it_says_and_redis_counts_again_when_it_is_back() {
    let redis = Redis::start().await.unwrap();
    let at = on_postgres()
        .await
        .with("BURGEON__CLUSTER__LIMITS", "redis")
        .with("BURGEON__REDIS__URL", &redis.url());
    let (mut running, mut given) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let (app, got) = together();
        running.push(at.start(app).await);
        given.push(got.get().unwrap().clone());
    }
    for given in &given {
        timeout(SOON, given.members.until(|alive| alive.len() == 3)).await.unwrap();
    }
    let strict = limits::Config { when_lost: limits::WhenLost::Refuse, ..patient(9) };
    let named = |name, config: &limits::Config| -> Vec<_> {
        given.iter().map(|given| given.limits.named(name, config).unwrap()).collect()
    };
    let (shared, strict) = (named("shared", &patient(9)), named("strict", &strict));
    let ctx = Ctx::background();
    assert!(!shared[0].take(&ctx, "mary", 9).await.unwrap().is_local);
    assert_eq!(shared[1].take(&ctx, "mary", 1).await.unwrap_err().kind(), Kind::TooMany);
    assert!(strict[2].take(&ctx, "mary", 1).await.is_ok());

    redis.kill().await.unwrap();
    for (node, (shared, strict)) in running.iter().zip(shared.iter().zip(&strict)) {
        // Nine in all, so three for each.
        for remaining in [2, 1, 0] {
            let yes = timeout(SOON, shared.take(&ctx, "joe", 1)).await.unwrap().unwrap();
            assert_eq!((yes.is_local, yes.remaining), (true, remaining));
        }
        assert_eq!(shared.take(&ctx, "joe", 1).await.unwrap_err().kind(), Kind::TooMany);
        assert_eq!(strict.take(&ctx, "joe", 1).await.unwrap_err().kind(), Kind::Unavailable);
        let report = node.health().report().await;
        let told = report.parts.iter().find(|part| part.name == "redis").unwrap();
        assert!(report.ready && told.reason.is_some(), "{told:?}");
    }

    redis.restart().await.unwrap();
    // The first that is counted there again is counted for all: each node finds out by itself that it is back.
    for (shared, strict) in shared.iter().zip(&strict) {
        let again = async {
            while shared.take(&ctx, "ann", 1).await.is_ok_and(|yes| yes.is_local) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            while strict.take(&ctx, "ann", 1).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(SOON, again).await.unwrap();
    }
    let taken = join_all((0..30).map(|index| shared[index % 3].take(&ctx, "sue", 1))).await;
    assert_eq!(taken.iter().filter(|taken| taken.is_ok()).count(), 9);
    for node in running {
        let report = node.health().report().await;
        assert!(report.parts.iter().all(|part| part.name != "redis" || part.reason.is_none()), "{report:?}");
        node.stop().await.unwrap();
    }
}

#[tokio::test]
async fn limits_in_redis_without_its_url_are_refused_with_the_line_to_add() {
    let place = Place::new().with("BURGEON__CLUSTER__LIMITS", "redis");
    let refused = place.refusal(together().0).await.to_string();
    for told in ["Limits", "`cluster.limits`", "`url = \"redis://HOST:6379\"` under `[redis]`"] {
        assert!(refused.contains(told), "{told}: {refused}");
    }
    // Who counts nothing needs none.
    place.start(plain().0).await.stop().await.unwrap();
}

#[tokio::test]
async fn a_node_that_would_count_elsewhere_than_another_does_not_start_beside_it() {
    let redis = Redis::start().await.unwrap();
    let place = on_postgres().await.with("BURGEON__REDIS__URL", &redis.url());
    let first = place.start(together().0).await;
    let place = place.with("BURGEON__CLUSTER__LIMITS", "redis");
    let refused = place.refusal(together().0).await.to_string();
    for told in ["did not start", "shared limits", "here: redis; there: database", "`cluster.limits`"] {
        assert!(refused.contains(told), "{told}: {refused}");
    }
    // Who counts nothing is welcome.
    place.start(plain().0).await.stop().await.unwrap();
    first.stop().await.unwrap();
    place.start(together().0).await.stop().await.unwrap();
}
