//! The writer: groups, foreign locks, deadlines, and what is lost with what.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use burgeon_core::{Ctx, Kind, Result};
use burgeon_db::{Db, Fault, sql};
use futures_util::future::join_all;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::house::{House, within};

async fn ledger() -> House {
    let house = House::sqlite().await;
    make_ledger(&house.db).await;
    house
}

async fn make_ledger(db: &Db) {
    sql!(
        "make_ledger",
        "create table ledger (id integer primary key, who integer not null, n integer not null check (n < 1000),
            unique (who, n)) strict"
    )
    .execute(&db.write(&Ctx::background()))
    .await
    .unwrap();
}

async fn add(db: &Db, ctx: &Ctx, who: i64, n: i64) -> Result<u64> {
    sql!("ledger_add", "insert into ledger (who, n) values ($1, $2)", who, n).execute(&db.write(ctx)).await
}

async fn count(db: &Db) -> i64 {
    sql!("ledger_count", "select count(*) from ledger").one(&db.read(&Ctx::background())).await.unwrap()
}

/// Another process's hold on the file, for as long as the guard lives.
struct ForeignLock(Connection);

impl ForeignLock {
    fn take(house: &House) -> Self {
        let conn = Connection::open(house.file()).unwrap();
        conn.busy_timeout(Duration::from_secs(5)).unwrap();
        conn.execute_batch("begin immediate").unwrap();
        Self(conn)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_sees_that_the_database_is_busy_while_another_process_holds_it_for_a_second() {
    const WRITERS: i64 = 64;
    const EACH: i64 = 30;
    let house = ledger().await;
    let (db, ctx) = (&house.db, within(Duration::from_secs(20)));
    let stop = AtomicBool::new(false);
    let writers = async {
        let all = join_all((0..WRITERS).map(|who| {
            let ctx = &ctx;
            async move {
                for n in 0..EACH {
                    add(db, ctx, who, n).await.unwrap();
                }
            }
        }));
        all.await;
        stop.store(true, Ordering::Release);
    };
    let readers = join_all((0..4).map(|_| async {
        let mut last = 0;
        while !stop.load(Ordering::Acquire) {
            let now = count(db).await;
            assert!(now >= last, "a reader went back from {last} to {now}");
            last = now;
        }
    }));
    let lock = ForeignLock::take(&house);
    let (let_go, told) = std::sync::mpsc::channel::<()>();
    let holder = std::thread::spawn(move || {
        // The second is the experiment itself.
        assert!(told.recv_timeout(Duration::from_secs(1)).is_err());
        lock.0.execute_batch("rollback").unwrap();
    });
    tokio::join!(writers, readers);
    drop(let_go);
    holder.join().unwrap();
    assert_eq!(count(db).await, WRITERS * EACH);
    let commits = house.meters.counter("db_sqlite_commits_total", "", &[]).get();
    assert!(commits < (WRITERS * EACH) as u64 / 4, "{commits} commits: nothing was grouped");
}

#[tokio::test]
async fn a_lock_held_past_the_deadline_is_a_typed_busy_and_nothing_is_done() {
    let house = ledger().await;
    let lock = ForeignLock::take(&house);
    let error = add(&house.db, &within(Duration::from_millis(150)), 1, 1).await.unwrap_err();
    assert!(matches!(Fault::of(&error), Some(Fault::Busy { .. })), "{error:?}");
    assert_eq!(error.kind(), Kind::Overloaded);
    let error = house.db.tx(&within(Duration::from_millis(150)), async |_| Ok(())).await.unwrap_err();
    assert!(matches!(Fault::of(&error), Some(Fault::Busy { .. })), "{error:?}");
    drop(lock);
    assert_eq!(count(&house.db).await, 0);
    add(&house.db, &house.ctx, 1, 1).await.unwrap();
}

#[tokio::test]
async fn a_job_that_fails_takes_nothing_of_its_group_with_it() {
    let house = ledger().await;
    // All of them wait behind a lock, so that they become one group.
    let lock = ForeignLock::take(&house);
    let jobs = join_all((0..100).map(|n| {
        let house = &house;
        // Every tenth breaks the check, every seventh is a double of the one before.
        let n = if n % 10 == 9 { 1000 + n } else { n - i64::from(n % 7 == 6) };
        async move { add(&house.db, &house.ctx, 1, n).await }
    }));
    let release = async {
        tokio::task::yield_now().await;
        drop(lock);
    };
    let (results, ()) = tokio::join!(jobs, release);
    let kept = results.iter().filter(|result| result.is_ok()).count() as i64;
    let refused = |wanted: fn(&Fault) -> bool| {
        results
            .iter()
            .filter_map(|result| result.as_ref().err())
            .filter(|error| Fault::of(error).is_some_and(wanted))
            .count()
    };
    assert_eq!(refused(|fault| matches!(fault, Fault::CheckViolation { .. })), 10);
    assert!(refused(|fault| matches!(fault, Fault::UniqueViolation { .. })) >= 10);
    assert_eq!(count(&house.db).await, kept);
    let commits = house.meters.counter("db_sqlite_commits_total", "", &[]).get();
    assert!(commits <= 4, "{commits} commits for one group");
}

#[tokio::test]
async fn a_row_that_cannot_be_read_undoes_its_insert() {
    let house = ledger().await;
    let on = house.db.write(&house.ctx);
    let error = sql!("ledger_returning", "insert into ledger (who, n) values (1, 1) returning n")
        .one::<String>(&on)
        .await
        .unwrap_err();
    let detail = error.detail();
    assert!(detail.contains("column `n` holds INTEGER, and the field wants String"), "{detail}");
    assert_eq!(count(&house.db).await, 0);
    let id: i64 = sql!("ledger_returning_id", "insert into ledger (who, n) values (1, 1) returning id")
        .one(&on)
        .await
        .unwrap();
    assert_eq!((id, count(&house.db).await), (1, 1));
}

#[tokio::test]
async fn a_statement_interrupted_at_its_deadline_loses_only_itself() {
    let house = ledger().await;
    let lock = ForeignLock::take(&house);
    let endless = async {
        sql!(
            "endless",
            "insert into ledger (who, n) with recursive up(n) as (select 1 union all select n + 1 from up)
                select 0, n % 7 from up where n < 0"
        )
        .execute(&house.db.write(&within(Duration::from_millis(400))))
        .await
    };
    let (before, failed, after, ()) =
        tokio::join!(add(&house.db, &house.ctx, 1, 1), endless, add(&house.db, &house.ctx, 1, 2), async {
            drop(lock)
        });
    assert!(matches!(Fault::of(&failed.unwrap_err()), Some(Fault::Timeout { .. })));
    before.unwrap();
    after.unwrap();
    assert_eq!(count(&house.db).await, 2);
}

#[tokio::test]
async fn a_read_past_its_deadline_is_interrupted_and_says_whose_it_was() {
    let house = ledger().await;
    let error = sql!(
        "endless_read",
        "with recursive up(n) as (select 1 union all select n + 1 from up) select count(*) from up"
    )
    .one::<i64>(&house.db.read(&within(Duration::from_millis(100))))
    .await
    .unwrap_err();
    assert_eq!(error.kind(), Kind::Deadline);
    assert!(error.detail().contains("endless_read"), "{error:?}");
    assert_eq!(count(&house.db).await, 0);
}

#[tokio::test]
async fn a_transaction_left_open_is_rolled_back_at_its_deadline_and_the_writer_lives() {
    let house = ledger().await;
    let error = house
        .db
        .tx(&within(Duration::from_millis(200)), async |tx| {
            sql!("ledger_add_in_tx", "insert into ledger (who, n) values (9, 9)").execute(tx).await?;
            std::future::pending::<Result<()>>().await
        })
        .await
        .unwrap_err();
    assert!(
        matches!(Fault::of(&error), Some(Fault::Timeout { whose, .. }) if whose == "the transaction"),
        "{error:?}"
    );
    assert!(error.detail().contains("writer.rs"), "{}", error.detail());
    add(&house.db, &house.ctx, 1, 1).await.unwrap();
    assert_eq!(count(&house.db).await, 1);
}

#[tokio::test]
async fn a_future_dropped_anywhere_leaves_no_transaction_open() {
    let house = ledger().await;
    for polls in 1..12 {
        let work = house.db.tx(&house.ctx, async |tx| {
            for n in 0..4_i64 {
                sql!("ledger_add_dropped", "insert into ledger (who, n) values ($1, $2)", polls, n)
                    .execute(tx)
                    .await?;
            }
            Ok(())
        });
        let mut work = Box::pin(work);
        for turn in 0..polls {
            let done = std::future::poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx).is_ready())).await;
            if done {
                break;
            }
            // What the writer was asked is answered before the next poll, so each drop is at another await.
            add(&house.db, &within(Duration::from_millis(30)), -polls, turn).await.ok();
        }
        drop(work);
        let rows: i64 = sql!("of_one", "select count(*) from ledger where who = $1", polls)
            .one(&house.db.read(&house.ctx))
            .await
            .unwrap();
        assert!(rows == 0 || rows == 4, "{rows} rows after a drop at poll {polls}");
        // The writer is free at once.
        add(&house.db, &within(Duration::from_secs(1)), 100 + polls, 0).await.unwrap();
    }
}

#[tokio::test]
async fn a_panic_in_the_closure_rolls_back() {
    let house = ledger().await;
    let (db, ctx) = (house.db.clone(), house.ctx.clone());
    let task = house.tasks.spawn("panicking", async move {
        db.tx(&ctx, async |tx| {
            sql!("ledger_add_panic", "insert into ledger (who, n) values (1, 1)").execute(tx).await?;
            let none: Option<()> = None;
            none.expect("the point of the test");
            Ok(())
        })
        .await
    });
    task.await.unwrap_err();
    add(&house.db, &within(Duration::from_secs(1)), 2, 2).await.unwrap();
    assert_eq!(count(&house.db).await, 1);
}

#[tokio::test]
async fn a_failed_statement_spoils_its_transaction_even_when_the_error_is_swallowed() {
    let house = ledger().await;
    let error = house
        .db
        .tx(&house.ctx, async |tx| {
            sql!("spoil_first", "insert into ledger (who, n) values (1, 1)").execute(tx).await?;
            sql!("spoil_again", "insert into ledger (who, n) values (1, 1)").execute(tx).await.unwrap_err();
            let refused =
                sql!("spoil_after", "select count(*) from ledger").one::<i64>(tx).await.unwrap_err();
            assert!(matches!(Fault::of(&refused), Some(Fault::TransactionOver { .. })));
            Ok(())
        })
        .await
        .unwrap_err();
    assert!(error.detail().contains("spoil_again"), "{}", error.detail());
    assert_eq!(count(&house.db).await, 0);
}

#[tokio::test]
async fn a_second_transaction_inside_the_first_is_refused_at_once() {
    let house = ledger().await;
    let House { db, ctx, .. } = &house;
    db.tx(ctx, async |_| {
        let error = db.tx(ctx, async |_| Ok(())).await.unwrap_err();
        assert!(matches!(Fault::of(&error), Some(Fault::Nested { .. })), "{error:?}");
        let error = add(db, ctx, 1, 1).await.unwrap_err();
        assert!(matches!(Fault::of(&error), Some(Fault::Nested { .. })), "{error:?}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn transactions_of_many_tasks_share_their_commits() {
    let house = ledger().await;
    let House { db, ctx, .. } = &house;
    for who in 0..3 {
        // The writer learns that they are brief.
        one_brief(db, ctx, who, 999).await.unwrap();
    }
    let commits = house.meters.counter("db_sqlite_commits_total", "", &[]);
    let before = commits.get();
    join_all((0..50).map(|who| one_brief(db, ctx, who, 1)))
        .await
        .into_iter()
        .for_each(|result| result.unwrap());
    assert!(commits.get() - before < 40, "{} commits for 50 brief transactions", commits.get() - before);
    assert_eq!(count(db).await, 53);
}

async fn one_brief(db: &Db, ctx: &Ctx, who: i64, n: i64) -> Result<()> {
    db.tx(ctx, async |tx| {
        sql!("brief_add", "insert into ledger (who, n) values ($1, $2)", who, n).execute(tx).await?;
        sql!("brief_look", "select count(*) from ledger where who = $1", who).one::<i64>(tx).await.map(drop)
    })
    .await
}

#[tokio::test]
async fn what_is_tied_to_the_commit_runs_after_it_and_only_after_it() {
    let house = ledger().await;
    let House { db, ctx, .. } = &house;
    let (said, heard) = oneshot::channel();
    let after = db.clone();
    db.tx(ctx, async |tx| {
        tx.before_commit(|tx| {
            Box::pin(async move {
                sql!("before_add", "insert into ledger (who, n) values (7, 7)").execute(tx).await.map(drop)
            })
        });
        let seen = async move {
            let _ = said.send(count(&after).await);
            Ok(())
        };
        tx.after_commit("a failing one", async { Err(burgeon_core::Error::unavailable("gone")) });
        tx.after_commit("count", seen);
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(heard.await.unwrap(), 1);

    let (said, heard) = oneshot::channel::<()>();
    let error = db
        .tx(ctx, async |tx| {
            tx.after_commit("never", async move { Ok(drop(said)) });
            tx.before_commit(|_| {
                Box::pin(async { Err(burgeon_core::Error::conflict("the total is wrong")) })
            });
            Ok(())
        })
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    // Dropped unsent: it was never run.
    heard.await.unwrap_err();
}

#[tokio::test]
async fn a_signal_is_given_once_per_key() {
    let house = ledger().await;
    let (ring, mut rung) = tokio::sync::mpsc::unbounded_channel();
    house
        .db
        .tx(&house.ctx, async |tx| {
            for queue in ["mail", "mail", "index", "mail"] {
                let ring = ring.clone();
                tx.signal(queue, async move { Ok(ring.send(queue).unwrap()) });
            }
            Ok(())
        })
        .await
        .unwrap();
    drop(ring);
    let mut all = Vec::new();
    while let Some(queue) = rung.recv().await {
        all.push(queue);
    }
    assert_eq!(all, ["mail", "index"]);
}

#[tokio::test]
async fn work_past_its_deadline_is_not_started() {
    let house = ledger().await;
    let late = within(Duration::ZERO);
    for error in [
        add(&house.db, &late, 1, 1).await.unwrap_err(),
        house.db.tx(&late, async |_| Ok(())).await.unwrap_err(),
        sql!("late_read", "select 1").one::<i64>(&house.db.read(&late)).await.unwrap_err(),
    ] {
        assert!(matches!(error.kind(), Kind::Deadline | Kind::Overloaded), "{error:?}");
    }
    assert_eq!(count(&house.db).await, 0);
}

#[tokio::test]
async fn closing_finishes_what_is_queued_and_refuses_what_comes() {
    let house = ledger().await;
    let House { db, ctx, .. } = &house;
    let (results, ()) = tokio::join!(join_all((0..50).map(|n| add(db, ctx, 1, n))), db.close());
    let kept = results.iter().filter(|result| result.is_ok()).count() as i64;
    let error = add(db, ctx, 2, 1).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    let conn = Connection::open(house.file()).unwrap();
    let rows: i64 = conn.query_row("select count(*) from ledger", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, kept);
    // The log was brought into the file.
    let wal = house.file().with_extension("db-wal");
    assert!(!wal.exists() || wal.metadata().unwrap().len() == 0);
}
