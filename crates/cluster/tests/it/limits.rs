//! Shared limits: as many as promised, on all nodes together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use burgeon_cluster::limits::{Config, Limit, Limits, sweep_once};
use burgeon_core::{Ctx, Kind};
use burgeon_db::{Db, sql};
use burgeon_meter::Meters;
use burgeon_services::{Postgres, Proxy};
use futures_util::future::join_all;

use crate::yard::{Yard, open, within};

fn limits(db: &Db, config: &Config) -> Limit {
    Limits::new(db, None, &Meters::new()).named("test", config).unwrap()
}

/// So patient that the busiest machine decides.
fn patient(limit: u32, per: Duration) -> Config {
    Config { limit, per, patience: Duration::from_secs(10), ..Config::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_gets_its_burst_once_however_many_nodes_it_asks() {
    for yard in Yard::all().await {
        let config = patient(20, Duration::from_secs(3_600));
        let nodes: Vec<_> = yard.dbs().await.iter().map(|db| limits(db, &config)).collect();
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
async fn an_allowance_comes_back_with_time_and_whole_keys_are_swept() {
    for yard in Yard::all().await {
        let db = yard.db().await;
        let ctx = Ctx::background();
        let limits = limits(&db, &patient(1, Duration::from_millis(200)));
        limits.take(&ctx, "mary", 1).await.unwrap();
        let no = loop {
            match limits.take(&ctx, "mary", 1).await {
                Err(no) => break no,
                // The machine was so slow that the time had passed.
                Ok(_) => continue,
            }
        };
        tokio::time::sleep(no.retry_after().unwrap()).await;
        limits.take(&ctx, "mary", 1).await.unwrap();
        tokio::time::sleep(Duration::from_millis(250)).await;
        assert_eq!(sweep_once(&db).await.unwrap(), 1);
        let left: i64 =
            sql!("test_left", "select count(*) from burgeon_limit").one(&db.read(&ctx)).await.unwrap();
        assert_eq!(left, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_database_a_node_decides_alone_and_says_so() {
    let yard = Yard::postgres(1).await;
    let server = Postgres::shared().await.unwrap();
    let proxy = Arc::new(Proxy::start(("127.0.0.1", server.port())).await.unwrap());
    let db = open(&proxy.url_for(&yard.url)).await;
    let config =
        Config { limit: 3, per: Duration::from_secs(3_600), patience: Duration::from_millis(200), burst: 0 };
    let limits = limits(&db, &config);
    let ctx = Ctx::background();
    proxy.black_hole();
    for remaining in [2, 1, 0] {
        let yes = within(limits.take(&ctx, "mary", 1)).await.unwrap();
        assert_eq!((yes.is_local, yes.remaining), (true, remaining));
    }
    assert_eq!(within(limits.take(&ctx, "mary", 1)).await.unwrap_err().kind(), Kind::TooMany);
    proxy.heal();
    within(async { while limits.take(&ctx, "joe", 1).await.is_ok_and(|yes| yes.is_local) {} }).await;
}
