//! The pool: who waits, who is told what, and what those leave behind who go away.

use std::task::Poll;
use std::time::Duration;

use burgeon_core::{Criticality, Ctx, Kind, Result};
use burgeon_db::{Fault, sql};
use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use super::flood::flood;
use super::{Yard, within};

#[tokio::test]
async fn a_pool_that_ran_dry_names_who_holds_it_where_and_for_how_long() {
    let Yard { db, ctx, .. } = &Yard::open_with(|config| {
        config.postgres.max_connections = 1;
        // Else a statement that finds all connections in use would go to a shared one.
        config.postgres.pipelining = false;
        config.acquire_timeout = Duration::from_millis(100);
    })
    .await;
    let (held, holding) = tokio::sync::oneshot::channel();
    let (go, gone) = tokio::sync::oneshot::channel();
    let holder = db.tx(ctx, async |tx| {
        sql!("reserve", "select 1").one::<i64>(tx).await?;
        held.send(()).unwrap();
        gone.await.unwrap();
        Ok(())
    });
    let line = line!() - 6;
    let other = async {
        holding.await.unwrap();
        let error = sql!("late", "select 2").one::<i64>(&db.read(ctx)).await.unwrap_err();
        go.send(()).unwrap();
        error
    };
    let (held, error): (Result<()>, _) = tokio::join!(holder, other);
    held.unwrap();
    assert_eq!(error.kind(), Kind::Overloaded);
    assert!(error.retry_after().is_some());
    let detail = error.detail();
    for words in ["1 of 1 in use", "`transaction` at", "(last `reserve`)", &format!("pool.rs:{line}")] {
        assert!(detail.contains(words), "`{words}` is not in: {detail}");
    }
}

#[tokio::test]
async fn the_first_to_wait_is_the_first_served() {
    let Yard { db, ctx, .. } = &Yard::open_with(|config| config.postgres.max_connections = 1).await;
    let order = std::sync::Mutex::new(Vec::new());
    let turns = (0..8).map(|turn| {
        let order = &order;
        async move {
            // A transaction always takes a connection of its own, and there is one.
            db.tx(ctx, async |tx| {
                sql!("take_turn", "select cast(pg_sleep(0.01) as text)").one::<String>(tx).await
            })
            .await
            .unwrap();
            order.lock().unwrap().push(turn);
        }
    });
    join_all(turns).await;
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4, 5, 6, 7]);
}

/// Holds the only connection of the pool until `free` is told, and says so.
async fn hold(yard: &Yard, held: tokio::sync::oneshot::Sender<()>, free: tokio::sync::oneshot::Receiver<()>) {
    let holding = yard.db.tx(&yard.ctx, async |_| {
        held.send(()).unwrap();
        free.await.unwrap();
        Ok(())
    });
    holding.await.unwrap();
}

#[tokio::test]
async fn a_pool_that_ran_dry_sends_what_can_be_shed_away_and_lets_what_matters_in() {
    let yard = Yard::open_with(|config| {
        config.postgres.max_connections = 1;
        config.acquire_timeout = Duration::from_secs(60);
    })
    .await;
    let order = std::sync::Mutex::new(Vec::new());
    let ask = async |criticality: Criticality| {
        let ctx = Ctx::background().with_criticality(criticality);
        // A transaction always takes a connection of its own, and there is one.
        yard.db
            .tx(&ctx, async |tx| {
                order.lock().unwrap().push(criticality);
                sql!("one_alone", "select 1").one::<i64>(tx).await
            })
            .await
            .map_err(|error| Fault::of(&error).cloned())
    };
    let (held, holding) = tokio::sync::oneshot::channel();
    let (free, freed) = tokio::sync::oneshot::channel();
    let others = async {
        holding.await.unwrap();
        // As many as may wait for one connection, and one more.
        let mut shed: Vec<_> = (0..129).map(|_| Box::pin(ask(Criticality::Sheddable))).collect();
        let refused: Vec<_> = shed.iter_mut().map(|one| one.now_or_never()).collect();
        assert_eq!(refused.iter().flatten().count(), 1, "more were refused than have no room, or fewer");
        assert!(matches!(refused.last(), Some(Some(Err(Some(Fault::Overloaded { .. }))))), "{refused:?}");
        shed.pop();

        let mut matters: Vec<_> = (0..16).map(|_| Box::pin(ask(Criticality::CriticalPlus))).collect();
        assert!(matters.iter_mut().all(|one| one.now_or_never().is_none()), "one that matters was refused");
        // The youngest of those that can be shed made room, and know it.
        let waiting = shed.drain(..112).collect::<Vec<_>>();
        for one in shed {
            let refused = one.now_or_never().expect("told at once");
            assert!(matches!(refused, Err(Some(Fault::Overloaded { .. }))), "{refused:?}");
        }
        free.send(()).unwrap();
        let (matters, waiting) = tokio::join!(join_all(matters), join_all(waiting));
        assert!(matters.into_iter().chain(waiting).all(|answer| answer == Ok(1)));
    };
    tokio::join!(hold(&yard, held, freed), others);
    let order = order.into_inner().unwrap();
    assert_eq!(order.len(), 128);
    assert_eq!(order[..16], [Criticality::CriticalPlus; 16], "they were served behind others");
    assert_eq!(yard.counted("db_pool_refused_total"), 17);
    assert_eq!(yard.meters.gauge("db_pool_waiting", "", &[("server", "primary")]).get(), 0);
    assert_eq!(running(&yard, "").await, "0");
}

#[tokio::test]
async fn who_waits_for_a_connection_waits_no_longer_than_his_request_however_much_it_matters() {
    let yard = Yard::open_with(|config| {
        config.postgres.max_connections = 1;
        config.acquire_timeout = Duration::from_secs(60);
    })
    .await;
    let (held, holding) = tokio::sync::oneshot::channel();
    let (free, freed) = tokio::sync::oneshot::channel();
    let others = async {
        holding.await.unwrap();
        let began = Instant::now();
        let ctx = within(Duration::from_millis(200)).with_criticality(Criticality::CriticalPlus);
        let error = yard.db.tx(&ctx, async |_| Ok(())).await.unwrap_err();
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(200) && took < Duration::from_secs(20), "{took:?}");
        assert_eq!(error.kind(), Kind::Overloaded, "{error:?}");
        free.send(()).unwrap();
    };
    tokio::join!(hold(&yard, held, freed), others);
    // Whom it was not given to took nothing with him.
    yard.db.tx(&yard.ctx, async |_| Ok(())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_flood_of_statements_with_connections_of_their_own_the_important_are_served() {
    let yard = Yard::open_with(|config| {
        config.postgres.max_connections = 1;
        config.postgres.pipelining = false;
        config.acquire_timeout = Duration::from_millis(300);
    })
    .await;
    // Some 2 ms each, and half as many callers again as the line has room for.
    let nap = async |ctx: &Ctx| {
        let nap = sql!("nap_alone", "select cast(pg_sleep(0.002) as text)");
        nap.one::<String>(&yard.db.read(ctx)).await
    };
    let (_, others) = flood(200, nap).await;
    assert!(others.refused > 100, "nothing was refused, so nothing was shown");
    assert_eq!(yard.meters.gauge("db_pool_waiting", "", &[("server", "primary")]).get(), 0);
}

#[tokio::test]
async fn a_read_is_left_at_its_deadline_and_ended_on_the_server() {
    let yard = Yard::open_with(|config| config.postgres.max_connections = 1).await;
    let started = Instant::now();
    let error = sql!("sleepy", "select cast(pg_sleep(60) as text)")
        .one::<String>(&yard.db.read(&within(Duration::from_millis(100))))
        .await
        .unwrap_err();
    let took = started.elapsed();
    // Not before its deadline, and not at the end of the statement, which is a minute away.
    assert!(took >= Duration::from_millis(100) && took < Duration::from_secs(15), "{took:?}");
    assert_eq!(error.kind(), Kind::Deadline);
    assert!(matches!(Fault::of(&error), Some(Fault::Timeout { .. })), "{error:?}");
    let one: i64 = sql!("awake", "select 1").one(&yard.db.read(&yard.ctx)).await.unwrap();
    assert_eq!(one, 1);
    // The caller does not wait for the server to obey.
    let ended = async { while running(&yard, "pg_sleep").await != "0" {} };
    timeout(Duration::from_secs(5), ended).await.expect("the server ends what nobody waits for");
}

#[tokio::test]
async fn a_write_at_its_deadline_is_cancelled_and_known_to_be_undone() {
    let yard = Yard::open().await;
    let on = yard.db.write(&yard.ctx);
    sql!("make_notes", "create table note (id bigint)").execute(&on).await.unwrap();
    let ctx = within(Duration::from_millis(100));
    let error = sql!("slow_note", "insert into note select 1 from pg_sleep(60)")
        .execute(&yard.db.write(&ctx))
        .await
        .unwrap_err();
    assert!(matches!(Fault::of(&error), Some(Fault::Timeout { .. })), "{error:?}");
    let notes: i64 = sql!("count_notes", "select count(*) from note").one(&on).await.unwrap();
    assert_eq!(notes, 0);
}

#[tokio::test]
async fn a_transaction_past_its_deadline_is_rolled_back_and_its_connection_clean() {
    let yard = Yard::open_with(|config| config.postgres.max_connections = 1).await;
    let on = yard.db.write(&yard.ctx);
    sql!("make_notes", "create table note (id bigint)").execute(&on).await.unwrap();
    let ctx = within(Duration::from_millis(150));
    let error = yard
        .db
        .tx(&ctx, async |tx| {
            sql!("add_note", "insert into note values (1)").execute(tx).await?;
            sql!("sleepy_in", "select cast(pg_sleep(60) as text)").one::<String>(tx).await
        })
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Deadline, "{error:?}");
    let notes: i64 = sql!("count_notes", "select count(*) from note").one(&on).await.unwrap();
    assert_eq!(notes, 0);
    assert_eq!(yard.psql("select count(*) from pg_stat_activity where state like 'idle in%' and datname = current_database()").await.trim(), "0");
}

#[tokio::test]
async fn work_past_its_deadline_is_not_started() {
    let Yard { db, .. } = &Yard::open().await;
    let error = sql!("never", "select 1").one::<i64>(&db.read(&within(Duration::ZERO))).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Deadline);
}

#[tokio::test]
async fn a_failed_transaction_cannot_be_committed_by_looking_away() {
    let yard = Yard::open().await;
    let on = yard.db.write(&yard.ctx);
    sql!("make_keyed", "create table keyed (id bigint primary key)").execute(&on).await.unwrap();
    let result = yard
        .db
        .tx(&yard.ctx, async |tx| {
            sql!("add_key", "insert into keyed values (1)").execute(tx).await?;
            let _ = sql!("add_key", "insert into keyed values (1)").execute(tx).await;
            Ok(())
        })
        .await;
    assert!(matches!(Fault::of(&result.unwrap_err()), Some(Fault::TransactionOver { .. })));

    // The statement's future is dropped before its failure is known.
    let result = yard
        .db
        .tx(&yard.ctx, async |tx| {
            sql!("add_key", "insert into keyed values (2)").execute(tx).await?;
            let failing = sql!(
                "fail_later",
                "select 1 / (n - 2), cast(pg_sleep(0.05) as text) from generate_series(1, 2) as n"
            );
            let _ = timeout(Duration::from_millis(40), failing.all::<(i64, String)>(tx)).await;
            Ok(())
        })
        .await;
    assert!(result.is_err(), "a commit that the server turned into a rollback was called a success");
    let keys: i64 = sql!("count_keys", "select count(*) from keyed").one(&on).await.unwrap();
    assert_eq!(keys, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_who_leave_half_way_leave_nothing_behind() {
    let yard = Yard::open_with(|config| {
        config.postgres.max_connections = 4;
        config.acquire_timeout = Duration::from_secs(20);
    })
    .await;
    let on = yard.db.write(&yard.ctx);
    sql!("make_marks", "create table mark (id bigint)").execute(&on).await.unwrap();
    let (db, ctx) = (&yard.db, &yard.ctx);
    let round = |number: i64| async move {
        // Dropped after so many polls, from "only just asked" to "just done": some leave at every await point.
        let patience = (number / 2 % 16) as usize;
        if number % 2 == 0 {
            let read = sql!("echo", "select cast($1 as bigint)", number);
            if let Some(echo) = leave_after(patience, read.one::<i64>(&db.read(ctx))).await {
                assert_eq!(echo.unwrap(), number, "somebody else's row");
            }
        } else {
            let work = db.tx(ctx, async |tx| {
                sql!("mark", "insert into mark values ($1)", number).execute(tx).await?;
                let seen: i64 =
                    sql!("seen", "select max(id) from mark where id = $1", number).one(tx).await?;
                assert_eq!(seen, number, "somebody else's row");
                Err::<(), _>(burgeon_core::Error::conflict("never kept"))
            });
            let _ = leave_after(patience, work).await;
        }
    };
    let mut next = 0;
    while next < 10_000 {
        join_all((next..next + 50).map(round)).await;
        next += 50;
    }
    let marks: i64 = sql!("count_marks", "select count(*) from mark").one(&on).await.unwrap();
    assert_eq!(marks, 0);
    // All four connections can be had at once, so none is lost; and none is in a transaction.
    let all = (0..4).map(|_| {
        db.tx(ctx, async |tx| {
            sql!("pid", "select pg_backend_pid(), cast(pg_sleep(0.05) as text)")
                .one::<(i64, String)>(tx)
                .await
        })
    });
    let pids: Vec<_> = join_all(all).await.into_iter().map(|pid| pid.unwrap().0).collect();
    assert_eq!(pids.iter().collect::<std::collections::BTreeSet<_>>().len(), 4, "{pids:?}");
    assert_eq!(running(&yard, "").await.parse::<i64>().unwrap(), 0);
    assert!(yard.counted("db_statements_abandoned_total") > 1_000, "hardly anybody left half-way");
}

#[tokio::test]
async fn what_is_no_longer_needed_is_closed_and_closing_waits_for_what_is_in_use() {
    let yard = Yard::open().await;
    let (db, ctx) = (yard.db.clone(), yard.ctx.clone());
    let (begun, beginning) = tokio::sync::oneshot::channel();
    let work = async {
        db.tx(&ctx, async |tx| {
            begun.send(()).unwrap();
            sql!("sleep_a_little", "select cast(pg_sleep(0.2) as text)").one::<String>(tx).await
        })
        .await
    };
    let close = async {
        beginning.await.unwrap();
        yard.db.close().await;
    };
    let (done, ()) = tokio::join!(work, close);
    done.unwrap();
    let error = sql!("too_late", "select 1").one::<i64>(&yard.db.read(&yard.ctx)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
}

/// The future's output, unless it needs more polls than that: then it is dropped where it stands.
pub(super) async fn leave_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let mut left = polls;
    std::future::poll_fn(move |cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

/// How many statements with this in them run in the test's database, or wait in a transaction.
async fn running(yard: &Yard, like: &str) -> String {
    let sql = format!(
        "select count(*) from pg_stat_activity where datname = current_database() and state <> 'idle' \
         and pid <> pg_backend_pid() and query like '%{like}%'"
    );
    yard.psql(&sql).await.trim().to_owned()
}
