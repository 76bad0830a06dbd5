//! Errors told apart, and a server that restarts, dies, sleeps and vanishes.

use std::time::Duration;

use burgeon_core::Kind;
use burgeon_db::{Fault, sql};
use burgeon_services::{Postgres, Proxy};
use tokio::time::Instant;

use super::{Yard, within};

#[tokio::test]
async fn each_violation_is_told_by_its_constraint() {
    let Yard { db, ctx, .. } = &Yard::open().await;
    let on = db.write(ctx);
    sql!("make_maker", "create table maker (id bigint primary key, name text not null)")
        .execute(&on)
        .await
        .unwrap();
    sql!(
        "make_thing",
        "create table thing (id bigint constraint thing_key primary key,
            maker bigint constraint thing_maker references maker (id),
            units bigint constraint thing_units check (units >= 0))"
    )
    .execute(&on)
    .await
    .unwrap();
    sql!("put_thing", "insert into thing values (1, null, 1)").execute(&on).await.unwrap();
    let fault = async |query: burgeon_db::Query<burgeon_db::Writes>| {
        let error = query.execute(&on).await.unwrap_err();
        Fault::of(&error).unwrap().clone()
    };
    assert_eq!(
        fault(sql!("twice", "insert into thing values (1, null, 1)")).await,
        Fault::UniqueViolation { constraint: "thing_key".to_owned() }
    );
    assert_eq!(
        fault(sql!("no_maker", "insert into thing values (2, 9, 1)")).await,
        Fault::ForeignKeyViolation { constraint: "thing_maker".to_owned() }
    );
    assert_eq!(
        fault(sql!("below_zero", "update thing set units = -1")).await,
        Fault::CheckViolation { constraint: "thing_units".to_owned() }
    );
    assert_eq!(
        fault(sql!("no_name", "insert into maker values (1, null)")).await,
        Fault::NotNullViolation { column: "maker.name".to_owned() }
    );
    assert!(matches!(fault(sql!("nonsense", "update nowhere set x = 1")).await, Fault::Statement { .. }));
}

#[tokio::test]
async fn a_lost_race_and_a_deadlock_are_told_apart() {
    let yard = Yard::open().await;
    let (db, ctx) = (&yard.db, &yard.ctx);
    let on = db.write(ctx);
    sql!("make_account", "create table account (id bigint primary key, units bigint not null)")
        .execute(&on)
        .await
        .unwrap();
    sql!("put_accounts", "insert into account values (1, 10), (2, 10)").execute(&on).await.unwrap();

    let barrier = tokio::sync::Barrier::new(2);
    let cross = |first: i64, second: i64| {
        let barrier = &barrier;
        async move {
            db.tx(ctx, async |tx| {
                sql!("take", "update account set units = units - 1 where id = $1", first).execute(tx).await?;
                barrier.wait().await;
                sql!("take", "update account set units = units - 1 where id = $1", second)
                    .execute(tx)
                    .await?;
                Ok(())
            })
            .await
        }
    };
    let (one, two) = tokio::join!(cross(1, 2), cross(2, 1));
    let error = one.and(two).unwrap_err();
    assert_eq!(Fault::of(&error), Some(&Fault::Deadlock));
    assert!(Fault::Deadlock.is_transient());

    let barrier = tokio::sync::Barrier::new(2);
    let race = || async {
        db.tx(ctx, async |tx| {
            sql!("strictly", "set transaction isolation level serializable").execute(tx).await?;
            let sum: i64 = sql!("sum_all", "select cast(sum(units) as bigint) from account").one(tx).await?;
            barrier.wait().await;
            sql!("put_sum", "insert into account select max(id) + 1 + $1 % 1, $1 from account", sum)
                .execute(tx)
                .await?;
            Ok(())
        })
        .await
    };
    let (one, two) = tokio::join!(race(), race());
    let error = one.and(two).unwrap_err();
    assert!(
        matches!(Fault::of(&error), Some(Fault::SerializationFailure | Fault::UniqueViolation { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_migration_that_changes_a_result_is_not_felt_by_statements_alone() {
    let yard = Yard::open().await;
    let on = yard.db.write(&yard.ctx);
    sql!("make_wide", "create table wide (id bigint)").execute(&on).await.unwrap();
    sql!("put_wide", "insert into wide values (1)").execute(&on).await.unwrap();
    let read = async || sql!("read_wide", "select * from wide").all::<Width>(&on).await;
    assert_eq!(read().await.unwrap().len(), 1);
    yard.psql("alter table wide alter column id type text").await;
    assert_eq!(read().await.unwrap().len(), 1);
    yard.psql("alter table wide add column more bigint").await;
    assert_eq!(read().await.unwrap().len(), 1);
}

/// Whatever the table has become.
#[derive(burgeon_db::Row)]
struct Width {}

#[tokio::test]
async fn a_server_that_restarts_is_found_again() {
    let server = Postgres::start().await.unwrap();
    let yard = Yard::at(server.create_database().await.unwrap(), |_| {}).await;
    let read = async || sql!("one", "select 1").one::<i64>(&yard.db.read(&yard.ctx)).await;
    let all = async || futures_util::future::join_all((0..4).map(|_| read())).await;
    assert!(all().await.iter().all(Result::is_ok));
    server.stop().await.unwrap();
    let started = Instant::now();
    let error = read().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error:?}");
    assert!(matches!(Fault::of(&error), Some(Fault::Unavailable { .. })), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(4));
    server.restart().await.unwrap();
    let back = Instant::now();
    while read().await.is_err() {
        assert!(back.elapsed() < Duration::from_secs(2), "not back after 2 s");
    }
    assert!(all().await.iter().all(Result::is_ok));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_under_load_loses_no_acknowledged_write_and_repeats_none() {
    let server = Postgres::options().fsync(true).start().await.unwrap();
    let yard = Yard::at(server.create_database().await.unwrap(), |config| {
        config.acquire_timeout = Duration::from_secs(1);
    })
    .await;
    let (db, ctx) = (&yard.db, &yard.ctx);
    // No key on purpose: a repeated write would be seen twice.
    sql!("make_log", "create table log (id bigint not null)").execute(&db.write(ctx)).await.unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let next = std::sync::atomic::AtomicI64::new(0);
    let writer = || async {
        let (mut acknowledged, mut unknown) = (Vec::new(), Vec::new());
        while !stop.load(std::sync::atomic::Ordering::Relaxed) {
            let id = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let ctx = within(Duration::from_secs(2));
            let written = if id % 2 == 0 {
                sql!("log_alone", "insert into log values ($1)", id).execute(&db.write(&ctx)).await.map(drop)
            } else {
                let work = async |tx: &burgeon_db::Tx| {
                    sql!("log_in", "insert into log values ($1)", id).execute(tx).await.map(drop)
                };
                db.tx(&ctx, work).await
            };
            match written {
                Ok(()) => acknowledged.push(id),
                Err(error) => match Fault::of(&error) {
                    Some(Fault::OutcomeUnknown { .. }) => unknown.push(id),
                    Some(Fault::Unavailable { .. } | Fault::Timeout { .. } | Fault::Overloaded { .. }) => {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    _ => panic!("{error:?}"),
                },
            }
        }
        (acknowledged, unknown)
    };
    let killer = async {
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            server.kill().await.unwrap();
            server.restart().await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(700)).await;
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    };
    let (told, ()) = tokio::join!(futures_util::future::join_all((0..16).map(|_| writer())), killer);
    let back = Instant::now();
    let mut found = loop {
        let read = sql!("read_log", "select id from log order by id").all::<i64>(&db.read(ctx)).await;
        match read {
            Ok(found) => break found,
            Err(error) => assert!(back.elapsed() < Duration::from_secs(3), "not back after 3 s: {error:?}"),
        }
    };
    let total = found.len();
    found.dedup();
    assert_eq!(found.len(), total, "a write was done twice");
    let acknowledged: Vec<_> = told.iter().flat_map(|(acknowledged, _)| acknowledged).copied().collect();
    let unknown: Vec<_> = told.iter().flat_map(|(_, unknown)| unknown).copied().collect();
    assert!(acknowledged.len() > 100, "{} acknowledged", acknowledged.len());
    for id in &acknowledged {
        assert!(found.binary_search(id).is_ok(), "{id} was acknowledged and is lost");
    }
    for id in &found {
        assert!(acknowledged.contains(id) || unknown.contains(id), "{id} is there, and was said not to be");
    }
}

#[tokio::test]
async fn a_server_that_sleeps_or_vanishes_holds_nobody_beyond_the_deadline() {
    let server = Postgres::start().await.unwrap();
    let proxy = Proxy::start(("127.0.0.1", server.port())).await.unwrap();
    let url = proxy.url_for(&server.create_database().await.unwrap());
    let yard = Yard::at(url, |config| config.postgres.max_connections = 2).await;
    let db = &yard.db;
    sql!("make_seen", "create table seen (id bigint)").execute(&db.write(&yard.ctx)).await.unwrap();
    let warm = async || {
        let back = Instant::now();
        loop {
            let ctx = within(Duration::from_secs(1));
            if sql!("warm", "select 1").one::<i64>(&db.read(&ctx)).await.is_ok() {
                return;
            }
            assert!(back.elapsed() < Duration::from_secs(3), "not back after 3 s");
        }
    };
    let hit = async |round: &str| {
        let started = Instant::now();
        let ctx = within(Duration::from_millis(300));
        let on = db.write(&ctx);
        let (read, write, work) = tokio::join!(
            sql!("warm", "select 1").one::<i64>(&on),
            sql!("see", "insert into seen values (1)").execute(&on),
            db.tx(&ctx, async |tx| sql!("see_in", "insert into seen values (2)").execute(tx).await),
        );
        let took = started.elapsed();
        // Far below every limit but the deadline.
        assert!(took < Duration::from_secs(4), "{round}: {took:?}");
        for error in [read.err(), write.err(), work.err()].into_iter().flatten() {
            assert!(
                matches!(
                    Fault::of(&error),
                    Some(
                        Fault::Timeout { .. }
                            | Fault::OutcomeUnknown { .. }
                            | Fault::Unavailable { .. }
                            | Fault::Overloaded { .. }
                    )
                ),
                "{round}: {error:?}"
            );
        }
    };
    warm().await;
    server.pause().await.unwrap();
    Box::pin(hit("paused")).await;
    server.resume().await.unwrap();
    warm().await;
    proxy.black_hole();
    Box::pin(hit("black hole")).await;
    Box::pin(hit("black hole, again")).await;
    proxy.heal();
    warm().await;
    proxy.cut();
    Box::pin(hit("cut")).await;
    proxy.heal();
    warm().await;
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_called_unknown() {
    let server = Postgres::start().await.unwrap();
    let proxy = Proxy::start(("127.0.0.1", server.port())).await.unwrap();
    let url = server.create_database().await.unwrap();
    let yard = Yard::at(proxy.url_for(&url), |_| {}).await;
    let db = &yard.db;
    sql!("make_paid", "create table paid (id bigint)").execute(&db.write(&yard.ctx)).await.unwrap();
    let ctx = within(Duration::from_millis(500));
    let result = db
        .tx(&ctx, async |tx| {
            sql!("pay", "insert into paid values (1)").execute(tx).await?;
            // The COMMIT arrives, its answer does not.
            proxy.hold_replies();
            Ok(())
        })
        .await;
    let error = result.unwrap_err();
    assert!(matches!(Fault::of(&error), Some(Fault::OutcomeUnknown { .. })), "{error:?}");
    let name = url.rsplit('/').next().unwrap().split('?').next().unwrap();
    assert_eq!(server.psql(name, "select count(*) from paid").await.unwrap().trim(), "1");
}

#[tokio::test]
async fn a_commit_can_tell_where_the_log_stands() {
    let yard = Yard::open_with(|config| config.postgres.causal_position = true).await;
    let before = yard.ctx.position();
    sql!("make_placed", "create table placed (id bigint)").execute(&yard.db.write(&yard.ctx)).await.unwrap();
    let alone = yard.ctx.position();
    assert!(alone > before && alone.timeline == 1, "{alone}");
    let work = async |tx: &burgeon_db::Tx| sql!("place", "insert into placed values (1)").execute(tx).await;
    yard.db.tx(&yard.ctx, work).await.unwrap();
    assert!(yard.ctx.position() > alone);
}
