//! Leases: one holder at a time, and no write after its term.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use burgeon_cluster::NodeId;
use burgeon_cluster::lease::Leases;
use burgeon_core::{Ctx, Error, Kind};
use burgeon_db::{Db, sql};
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;
use burgeon_services::Postgres;
use tokio::sync::Notify;

use crate::yard::{Yard, open, within};

const LONG: Duration = Duration::from_secs(60);

fn leases(db: &Db) -> Leases {
    Leases::new(db.clone(), NodeId::draw().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_all_who_ask_one_gets_the_lease_and_every_holder_a_higher_term() {
    for yard in Yard::all().await {
        let ctx = Ctx::background();
        let nodes: Vec<_> = yard.dbs().await.iter().map(leases).collect();
        for term in 1..=5 {
            let asked = nodes.iter().flat_map(|node| (0..4).map(|_| node.acquire(&ctx, "cron", LONG)));
            let granted = futures_util::future::join_all(asked).await;
            let mut granted: Vec<_> = granted.into_iter().filter_map(|lease| lease.unwrap()).collect();
            assert_eq!(granted.len(), 1);
            let lease = granted.remove(0);
            assert_eq!(lease.term(), term);
            assert!(lease.is_running());
            // Whoever tries to release what is not theirs changes nothing, so it is enough that all try.
            let holder = nodes.iter().map(|node| node.acquire(&ctx, "cron", LONG));
            assert!(
                futures_util::future::join_all(holder)
                    .await
                    .into_iter()
                    .all(|lease| lease.unwrap().is_none())
            );
            release(&yard.url).await;
        }
    }
}

/// As if its holder had given it back.
async fn release(url: &str) {
    let db = open(url).await;
    sql!("test_release", "update burgeon_lease set expires = 0")
        .execute(&db.write(&Ctx::background()))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_expired_is_lost_for_good_and_fences_what_its_holder_writes() {
    for yard in Yard::all().await {
        let ctx = Ctx::background();
        let dbs = yard.dbs().await;
        let (first, second) = (leases(&dbs[0]), leases(&dbs[dbs.len() - 1]));
        let mut old = first.acquire(&ctx, "cron", LONG).await.unwrap().unwrap();
        first.renew(&ctx, &mut old).await.unwrap();
        dbs[0].tx(&ctx, async |tx| old.fence(tx).await).await.unwrap();

        release(&yard.url).await;
        let new = second.acquire(&ctx, "cron", LONG).await.unwrap().unwrap();
        assert_eq!(new.term(), 2);
        assert!(old.is_running(), "its holder does not know yet");
        assert_eq!(first.renew(&ctx, &mut old).await.unwrap_err().kind(), Kind::Conflict);
        let refused = dbs[0].tx(&ctx, async |tx| old.fence(tx).await).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Conflict);
        assert!(refused.public().contains("term 1"), "{}", refused.public());

        // Nor does the old holder's good-bye end the new one's lease.
        first.release(&ctx, old).await.unwrap();
        dbs[0].tx(&ctx, async |tx| new.fence(tx).await).await.unwrap();
        second.release(&ctx, new).await.unwrap();
        assert_eq!(first.acquire(&ctx, "cron", LONG).await.unwrap().unwrap().term(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_the_lease_before_a_fenced_transaction_has_ended() {
    let yard = Yard::postgres(2).await;
    let ctx = Ctx::background();
    let dbs = yard.dbs().await;
    let (first, second) = (leases(&dbs[0]), leases(&dbs[1]));
    let lease = first.acquire(&ctx, "cron", Duration::from_millis(300)).await.unwrap().unwrap();
    let (fenced, done) = (Notify::new(), AtomicUsize::new(0));
    let writing = dbs[0].tx(&ctx, async |tx| {
        lease.fence(tx).await?;
        fenced.notify_one();
        // Beyond its life, which is what a slow writer does.
        tokio::time::sleep_until((lease.deadline().instant() + Duration::from_millis(500)).into()).await;
        done.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    let taking = async {
        fenced.notified().await;
        loop {
            if let Some(taken) = second.acquire(&ctx, "cron", LONG).await.unwrap() {
                return (taken.term(), done.load(Ordering::SeqCst));
            }
        }
    };
    let (written, taken) = within(futures_util::future::join(Box::pin(writing), taking)).await;
    written.unwrap();
    assert_eq!(taken, (2, 1), "the next holder came before the last one's commit");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_leads_and_another_takes_over_when_it_vanishes_fails_or_stops() {
    for yard in Yard::all().await {
        let life = Duration::from_millis(600);
        let working = Arc::new(AtomicUsize::new(0));
        let fail = Arc::new(Notify::new());
        let meters = Meters::new();
        let mut leaders = Vec::new();
        // Three contenders also on SQLite and on one node: then they are of one process.
        for index in 0..3 {
            let dbs = yard.dbs().await;
            let tasks = Tasks::new(&meters);
            let (working, fail) = (working.clone(), fail.clone());
            let leader = leases(&dbs[index % dbs.len()]).lead(&tasks, "cron", life, move |leading| {
                let (working, fail) = (working.clone(), fail.clone());
                async move {
                    assert_eq!(working.fetch_add(1, Ordering::SeqCst), 0, "two lead at once");
                    let _counted = scopeguard(move || {
                        working.fetch_sub(1, Ordering::SeqCst);
                    });
                    let over = leading.over();
                    tokio::select! {
                        () = over.cancelled() => Ok(()),
                        () = fail.notified() => Err(Error::unavailable("on purpose")),
                    }
                }
            });
            leaders.push((leader, tasks));
        }
        let first = leading(&mut leaders).await;
        assert_eq!(leaders[first].0.term(), Some(1));
        // It keeps the lease for longer than its life.
        tokio::time::sleep(2 * life).await;
        assert_eq!(leaders[first].0.term(), Some(1));

        // It vanishes.
        let (vanished, _tasks) = leaders.remove(first);
        vanished.abort();
        drop(vanished);
        let second = leading(&mut leaders).await;
        assert_eq!(leaders[second].0.term(), Some(2));
        // It fails: given back, and taken again by whoever is first.
        fail.notify_one();
        within(async {
            while leaders.iter().filter_map(|(leader, _)| leader.term()).max() != Some(3) {
                leading(&mut leaders).await;
                tokio::task::yield_now().await;
            }
        })
        .await;
        // It stops.
        let third = leading(&mut leaders).await;
        let (_, tasks) = leaders.remove(third);
        within(tasks.stop(Duration::from_secs(5))).await.unwrap();
        leading(&mut leaders).await;
        assert_eq!(leaders[0].0.term(), Some(4));
    }
}

async fn leading(leaders: &mut [(burgeon_cluster::lease::Leader, Tasks)]) -> usize {
    let waiting = leaders.iter_mut().map(|(leader, _)| Box::pin(leader.leads()));
    let (_, index, _) = within(futures_util::future::select_all(waiting)).await;
    index
}

fn scopeguard(end: impl FnMut()) -> impl Drop {
    struct Guard<F: FnMut()>(F);
    impl<F: FnMut()> Drop for Guard<F> {
        fn drop(&mut self) {
            (self.0)();
        }
    }
    Guard(end)
}

/// Tells the child half where the database is, and whether to fence.
const DATABASE: &str = "BURGEON_CLUSTER_TEST_LEASE";
const UNFENCED: &str = "BURGEON_CLUSTER_TEST_UNFENCED";

/// Not a test of its own: the half that is paused. It holds the lease and writes its term as fast as it can, looking
/// neither at the clock nor at anything else.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the only way to tell a child test process what to do")]
async fn the_half_that_is_paused() {
    let Some(url) = std::env::var(DATABASE).ok() else { return };
    let is_fenced = std::env::var_os(UNFENCED).is_none();
    let (db, ctx) = (open(&url).await, Ctx::background());
    let leases = leases(&db);
    loop {
        let Some(mut lease) = leases.acquire(&ctx, "cron", Duration::from_secs(1)).await.unwrap() else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        for turn in 0.. {
            let written = db
                .tx(&ctx, async |tx| {
                    if is_fenced {
                        lease.fence(tx).await?;
                    }
                    sql!("write_term", "insert into ledger (term) values ($1)", lease.term())
                        .execute(tx)
                        .await
                })
                .await;
            if written.is_err() {
                break;
            }
            if turn == 10 {
                println!("leads {}", lease.term());
            }
            // Unfenced, it would never learn that it has lost; a few writes are enough to see it.
            if turn % 20 == 19 && leases.renew(&ctx, &mut lease).await.is_err() {
                println!("lost {}", lease.term());
                break;
            }
        }
    }
}

/// For how long the holder is paused at least: `BURGEON_TEST_PAUSE=60` is the long form, for people. Without it, until another has
/// taken over.
#[expect(clippy::disallowed_methods, reason = "how long a person wants to wait is known to nobody else")]
fn pause() -> Duration {
    match std::env::var("BURGEON_TEST_PAUSE") {
        Ok(seconds) => {
            Duration::from_secs(seconds.parse().expect("BURGEON_TEST_PAUSE is a number of seconds"))
        }
        Err(_) => Duration::ZERO,
    }
}

fn start_half(url: &str, is_fenced: bool) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "lease::the_half_that_is_paused", "--nocapture"]).env(DATABASE, url);
    if !is_fenced {
        command.env(UNFENCED, "1");
    }
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    (child, output)
}

fn until(output: &mut BufReader<std::process::ChildStdout>, wanted: &str) {
    let mut line = String::new();
    while output.read_line(&mut line).unwrap() > 0 {
        if line.contains(wanted) {
            return;
        }
        line.clear();
    }
    panic!("it ended without saying `{wanted}`");
}

fn signal(child: &Child, signal: &str) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Pauses the holder until another has taken over, wakes it up, and answers the terms in the order of the commits.
#[expect(clippy::disallowed_methods, reason = "reading a child's output blocks, and the test awaits it")]
async fn paused(is_fenced: bool) -> Vec<i64> {
    let yard = Yard::postgres(2).await;
    let db = yard.db().await;
    let ctx = Ctx::background();
    sql!(
        "make_ledger",
        "create table ledger (id bigint generated always as identity primary key, term bigint not null)"
    )
    .execute(&db.write(&ctx))
    .await
    .unwrap();
    let url = yard.url.clone();
    tokio::task::spawn_blocking(move || {
        let (mut first, mut first_says) = start_half(&url, is_fenced);
        until(&mut first_says, "leads 1");
        let (mut second, mut second_says) = start_half(&url, is_fenced);
        signal(&first, "-STOP");
        let paused = std::time::Instant::now();
        until(&mut second_says, "leads 2");
        std::thread::sleep(pause().saturating_sub(paused.elapsed()));
        signal(&first, "-CONT");
        if !is_fenced {
            until(&mut first_says, "lost 1");
        }
        // The second goes on for as long as the first could still do harm.
        std::thread::sleep(Duration::from_millis(500));
        for child in [&mut first, &mut second] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    })
    .await
    .unwrap();
    sql!("read_ledger", "select term from ledger order by id").all(&db.read(&ctx)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_paused_while_it_holds_a_lease_never_writes_after_its_term() {
    let terms = paused(true).await;
    assert!(terms.contains(&1) && terms.contains(&2), "both have led");
    assert!(terms.is_sorted(), "term 1 wrote after term 2 had begun");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_fence_it_does() {
    let _ = Postgres::shared().await.unwrap();
    assert!(!paused(false).await.is_sorted(), "the test above could not have failed");
}
