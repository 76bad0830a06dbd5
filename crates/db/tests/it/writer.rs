//! The writer: groups, foreign locks, deadlines, and what is lost with what.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use burgeon_core::{Ctx, Kind, Result};
use burgeon_db::{Db, Fault, sql};
use futures_util::future::join_all;
use rusqlite::Connection;

use crate::house::{House, within};
use crate::transactions::{add, count, make_ledger};

async fn ledger() -> House {
    let house = House::sqlite().await;
    make_ledger(&house.db).await;
    house
}

/// Tells the child half which file to hold.
const HELD: &str = "BURGEON_DB_TEST_HELD_FILE";

/// Another process's hold on the file, for as long as the guard lives.
struct ForeignLock(Child, BufReader<ChildStdout>);

impl ForeignLock {
    fn take(house: &House) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer::the_process_that_holds_the_lock", "--nocapture"])
            .env(HELD, house.file())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let held = output.by_ref().lines().map_while(Result::ok).any(|line| line.ends_with("held"));
        assert!(held, "the other process holds nothing");
        Self(child, output)
    }
}

impl Drop for ForeignLock {
    fn drop(&mut self) {
        // The end of its input is the sign to let go.
        drop(self.0.stdin.take());
        // Read to its end, so that it never writes to nobody.
        std::io::copy(&mut self.1, &mut std::io::sink()).unwrap();
        assert!(self.0.wait().unwrap().success());
    }
}

/// Not a test of its own: the half that holds the lock until its input ends.
#[test]
#[expect(clippy::disallowed_methods, reason = "the only way to tell a child test process what to do")]
fn the_process_that_holds_the_lock() {
    let Some(file) = std::env::var_os(HELD) else { return };
    let conn = Connection::open(file).unwrap();
    conn.busy_timeout(Duration::from_secs(5)).unwrap();
    conn.execute_batch("begin immediate").unwrap();
    std::io::stdout().lock().write_all(b"held\n").unwrap();
    std::io::stdin().read_line(&mut String::new()).unwrap();
    conn.execute_batch("rollback").unwrap();
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
        drop(lock);
    });
    tokio::join!(writers, readers);
    drop(let_go);
    holder.join().unwrap();
    assert_eq!(count(db).await, WRITERS * EACH);
    let commits = house.meters.counter("db_sqlite_commits_total", "", &[]).get();
    assert!(commits < (WRITERS * EACH) as u64 / 4, "{commits} commits: nothing was grouped");
}

#[tokio::test]
async fn how_long_a_statement_waited_and_worked_is_told_by_its_name() {
    const HELD_FOR: Duration = Duration::from_millis(100);
    let house = ledger().await;
    let of = |name| house.meters.histogram(name, "", &[("statement", "ledger_add")]).value();
    let lock = ForeignLock::take(&house);
    let lets_go = async {
        tokio::time::sleep(HELD_FOR).await;
        drop(lock);
    };
    let (added, ()) = tokio::join!(add(&house.db, &house.ctx, 1, 1), lets_go);
    added.unwrap();
    let (queued, worked) = (of("db_statement_queue_seconds"), of("db_statement_server_seconds"));
    assert_eq!((queued.count(), queued.at_most(HELD_FOR / 2)), (1, 0), "it waited for the lock");
    assert_eq!(worked.count(), 1);
    count(&house.db).await;
    let of_reads = |name| house.meters.histogram(name, "", &[("statement", "ledger_count")]).value();
    assert!(of_reads("db_statement_server_seconds").count() > 0);
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

// Postgres has committed by the time the row is read here: there such an insert stands.
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
async fn brief_statements_inside_a_transaction_are_its_own_and_end_with_it() {
    let house = ledger().await;
    let House { db, ctx, .. } = &house;
    // By now both statements are brief by habit and run where they are called.
    for n in 0..60 {
        one_brief(db, ctx, 1, n).await.unwrap();
    }
    let error = db
        .tx(ctx, async |tx| {
            sql!("brief_add", "insert into ledger (who, n) values ($1, $2)", 2, 1).execute(tx).await?;
            Err::<(), _>(burgeon_core::Error::conflict("no"))
        })
        .await
        .unwrap_err();
    assert_eq!((error.kind(), count(db).await), (Kind::Conflict, 60));
    // The reader thread and the caller's own connection see what was committed, at once.
    for n in 60..120 {
        add(db, ctx, 1, n).await.unwrap();
        assert_eq!(count(db).await, n + 1);
    }
}

#[tokio::test]
async fn a_full_disk_in_a_transaction_ends_it_and_what_shared_its_commit_is_done_again() {
    let house = ledger().await;
    let House { db, ctx, .. } = &house;
    sql!("make_heap_in_tx", "create table heap (x blob) strict").execute(&db.write(ctx)).await.unwrap();
    sql!("cap_in_tx", "pragma max_page_count = 40").all::<i64>(&db.write(ctx)).await.unwrap();
    let lock = ForeignLock::take(&house);
    let fills = db.tx(ctx, async |tx| {
        let big = vec![7_u8; 1 << 20];
        sql!("fill_in_tx", "insert into heap values ($1)", big).execute(tx).await.unwrap_err();
        // Swallowed on purpose: nothing after it may run, least of all outside the transaction.
        sql!("sneak", "insert into ledger (who, n) values (66, 6)").execute(tx).await.unwrap_err();
        Ok(())
    });
    let (first, filled, last, ()) =
        tokio::join!(add(db, ctx, 1, 1), fills, add(db, ctx, 1, 2), async { drop(lock) });
    first.unwrap();
    last.unwrap();
    assert!(matches!(Fault::of(&filled.unwrap_err()), Some(Fault::TransactionOver { .. })));
    assert_eq!(count(db).await, 2);
}
