//! Transactions on one node, seen from another: replicas that lag, and a process that dies between its commit and its word.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use burgeon_cache::{Cache, Caches, Config, InvalidateOnCommit, Load};
use burgeon_cluster::bus::{self, Fate, Hub, Link};
use burgeon_cluster::{Bus, NodeId, Stamp};
use burgeon_core::{Ctx, Error, Position, Result};
use burgeon_db::{Db, Migrator, sql};
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;
use burgeon_services::Postgres;
use tokio::time::{sleep, timeout};

struct Node {
    db: Db,
    bus: Bus,
    caches: Caches,
    prices: Cache<i64, i64>,
    meters: Meters,
    // Dropped last: its bus and its database belong to it.
    _tasks: Tasks,
}

const SOON: Duration = Duration::from_secs(20);

impl Node {
    async fn open(
        database: &burgeon_db::Config,
        hub: Option<&Hub>,
        change: impl FnOnce(&mut Config),
    ) -> Node {
        let meters = Meters::new();
        let tasks = Tasks::new(&meters);
        let db = Db::open(database, &tasks, &meters).await.unwrap();
        let link = match hub {
            Some(hub) => Link::InProcess(hub.clone()),
            None => Link::Postgres { db: db.clone(), channel: "burgeon_cache_test".to_owned() },
        };
        let beat = bus::Config { heartbeat: Duration::from_millis(100), ..bus::Config::default() };
        let bus = Bus::join(link, beat, &tasks, &meters).unwrap();
        // So long that only news can be the reason why a value goes.
        let mut config = Config {
            ttl: Duration::from_secs(3600),
            age_unheard: Duration::from_secs(3600),
            eager: 1.0,
            ..Config::default()
        };
        change(&mut config);
        let caches = Caches::new(&config, &tasks, &meters).unwrap().on_bus(&bus);
        let prices = caches.named("price").loader(db.clone(), load_price);
        timeout(SOON, bus.whole()).await.unwrap();
        Node { db, bus, caches, prices, meters, _tasks: tasks }
    }

    async fn price(&self, ctx: &Ctx) -> i64 {
        *self.prices.get(ctx, &1).await.unwrap().unwrap()
    }

    async fn heard(&self, ctx: &Ctx) {
        for mark in ctx.marks().iter() {
            let stamp = Stamp { node: NodeId::from_bits(mark.node), sequence: mark.sequence };
            timeout(SOON, self.bus.until(|bus| bus.has_applied(stamp))).await.unwrap();
        }
    }

    async fn reprice(&self, ctx: &Ctx, units: i64) -> Result<()> {
        self.db
            .tx(ctx, async |tx| {
                sql!("reprice_it", "update price set units = $1 where id = 1", units).execute(tx).await?;
                tx.invalidate(&self.prices, 1);
                Ok(())
            })
            .await
    }
}

async fn load_price(db: Db, load: Load, id: i64) -> Result<Option<i64>> {
    load.tag("prices");
    sql!("find_the_price", "select units from price where id = $1", id).optional(&db.read(&load)).await
}

async fn prepare(url: &str) {
    let meters = Meters::new();
    let db = Db::open(&burgeon_db::Config::at(url.to_owned()), &Tasks::new(&meters), &meters).await.unwrap();
    let ctx = Ctx::background();
    Migrator::new().module("cache", burgeon_cache::migrations()).run(&db, &ctx).await.unwrap();
    for statement in [
        sql!("make_price", "create table price (id bigint primary key, units bigint not null)"),
        sql!("first_price", "insert into price (id, units) values (1, 100), (2, 100)"),
    ] {
        statement.execute(&db.write(&ctx)).await.unwrap();
    }
}

#[tokio::test]
async fn a_commit_on_one_node_is_read_on_the_other_and_a_rollback_is_not() {
    let url = Postgres::shared().await.unwrap().create_database().await.unwrap();
    prepare(&url).await;
    let hub = Hub::new();
    let database = burgeon_db::Config::at(url);
    let here = Node::open(&database, Some(&hub), |_| {}).await;
    let there = Node::open(&database, Some(&hub), |_| {}).await;
    let stranger = Ctx::background();
    assert_eq!(there.price(&stranger).await, 100);

    let writer = Ctx::background();
    let rolled_back: Result<()> = here
        .db
        .tx(&writer, async |tx| {
            tx.invalidate(&here.prices, 1);
            tx.set(&here.prices, 1, 7);
            Err(Error::conflict("No."))
        })
        .await;
    assert!(rolled_back.is_err() && !writer.is_marked() && here.prices.peek(&1).is_none());

    here.reprice(&writer, 200).await.unwrap();
    assert!(writer.is_marked());
    there.heard(&writer).await;
    assert_eq!(there.price(&stranger).await, 200);

    // Written through here, gone there.
    here.db
        .tx(&writer, async |tx| {
            sql!("reprice_it", "update price set units = 300 where id = 1").execute(tx).await?;
            tx.set(&here.prices, 1, 300);
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(here.prices.peek(&1).as_deref(), Some(&300));
    there.heard(&writer).await;
    assert_eq!(there.price(&stranger).await, 300);
}

#[tokio::test]
async fn of_two_writers_through_about_the_same_time_the_one_that_ends_last_keeps_nothing() {
    let url = Postgres::shared().await.unwrap().create_database().await.unwrap();
    prepare(&url).await;
    let node = Node::open(&burgeon_db::Config::at(url), Some(&Hub::new()), |_| {}).await;
    let (ctx, other) = (Ctx::background(), Ctx::background());
    let (ready, is_ready) = tokio::sync::oneshot::channel();
    let (go, may_go) = tokio::sync::oneshot::channel::<()>();
    // Held between its last word in the transaction and its commit.
    let slow = node.db.tx(&ctx, async |tx| {
        sql!("reprice_it", "update price set units = 200 where id = 1").execute(tx).await?;
        tx.set(&node.prices, 1, 200);
        tx.before_commit(move |_| {
            Box::pin(async move {
                ready.send(()).unwrap();
                may_go.await.unwrap();
                Ok(())
            })
        });
        Ok(())
    });
    // It writes another row of what the value is made of, so nothing in the database keeps the two apart.
    let fast = async {
        is_ready.await.unwrap();
        node.db
            .tx(&other, async |tx| {
                sql!("reprice_two", "update price set units = 300 where id = 2").execute(tx).await?;
                tx.set(&node.prices, 1, 300);
                Ok(())
            })
            .await
            .unwrap();
        assert_eq!(node.prices.peek(&1).as_deref(), Some(&300));
        go.send(()).unwrap();
    };
    let (slow, ()) = tokio::join!(slow, fast);
    slow.unwrap();
    assert_eq!(node.prices.peek(&1), None);
}

#[tokio::test]
async fn a_replica_that_lags_brings_nothing_back_to_any_node() {
    let primary = Postgres::start().await.unwrap();
    let url = primary.url();
    prepare(&url).await;
    let replica = primary.replica().await.unwrap();
    let mut database = burgeon_db::Config::at(url);
    database.replicas = vec![replica.url().into()];
    let hub = Hub::new();
    let here = Node::open(&database, Some(&hub), |_| {}).await;
    let there = Node::open(&database, Some(&hub), |_| {}).await;
    let stranger = Ctx::background();
    assert_eq!(there.price(&stranger).await, 100);
    replica.pause_replay().await.unwrap();

    let writer = Ctx::background();
    here.reprice(&writer, 200).await.unwrap();
    assert!(writer.position() > Position::START);
    there.heard(&writer).await;
    // The replica would answer, and wrongly: this is what could be seen here.
    let lagging: i64 = sql!("find_the_price", "select units from price where id = $1", 1_i64)
        .one(&there.db.read(&stranger))
        .await
        .unwrap();
    assert_eq!(lagging, 100, "the replica does not lag: this proves nothing");
    for node in [&here, &there] {
        assert_eq!(node.price(&stranger).await, 200);
        assert_eq!(node.price(&stranger).await, 200);
    }

    // The same for a tag, and for a message that is not heard in time.
    hub.set_weather(|| Fate::Lose);
    here.db
        .tx(&writer, async |tx| {
            sql!("reprice_it", "update price set units = 300 where id = 1").execute(tx).await?;
            tx.invalidate_tag(&here.prices, "prices");
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(there.price(&writer).await, 300);
    // And whoever comes after the writer gets what the writer got.
    assert_eq!(there.price(&stranger).await, 300);
    replica.resume_replay().await.unwrap();
}

/// Tells the child half where the database is, and whether what it invalidates outlives it.
const DATABASE: &str = "BURGEON_CACHE_TEST_DATABASE";
const DURABLE: &str = "BURGEON_CACHE_TEST_DURABLE";

/// Not a test of its own: the half that dies, after its commit and before anybody is told.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the only way to tell a child test process what to do")]
async fn the_half_that_dies() {
    let Some(url) = std::env::var(DATABASE).ok() else { return };
    let durable = std::env::var_os(DURABLE).is_some();
    let node = Node::open(&burgeon_db::Config::at(url), None, |config| config.durable = durable).await;
    // The others know it, and so notice its silence.
    timeout(SOON, node.bus.until(|bus| !bus.heard().is_empty())).await.unwrap();
    println!("knows the others");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    node.db
        .tx(&Ctx::background(), async |tx| {
            sql!("reprice_it", "update price set units = 200 where id = 1").execute(tx).await?;
            // Runs after the commit and before what the cache does then.
            tx.after_commit("die", async { std::process::abort() });
            tx.invalidate(&node.prices, 1);
            Ok(())
        })
        .await
        .unwrap();
    unreachable!("it has died");
}

/// Another process commits a new price and dies before it tells; answers how long this node served the old one.
#[expect(clippy::disallowed_methods, reason = "reading a child's output blocks, and the test awaits it")]
async fn after_a_death(durable: bool, change: impl FnOnce(&mut Config)) -> (Node, Duration) {
    let url = Postgres::shared().await.unwrap().create_database().await.unwrap();
    prepare(&url).await;
    let node = Node::open(&burgeon_db::Config::at(url.clone()), None, |config| {
        config.durable = durable;
        change(config);
    })
    .await;
    node.caches.mend(&node.db);
    assert_eq!(node.price(&Ctx::background()).await, 100);
    tokio::task::spawn_blocking(move || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "commits::the_half_that_dies", "--nocapture"]).env(DATABASE, url);
        if durable {
            command.env(DURABLE, "1");
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("knows the others") {
            line.clear();
            assert!(output.read_line(&mut line).unwrap() > 0, "it ended early");
        }
        // The end of its input lets it go on.
        drop(child.stdin.take());
        assert!(!child.wait().unwrap().success(), "it did not die");
    })
    .await
    .unwrap();
    let died = tokio::time::Instant::now();
    let wait = async {
        while node.price(&Ctx::background()).await != 200 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, wait).await.expect("the new price is never seen");
    (node, died.elapsed())
}

#[tokio::test]
async fn what_a_dead_process_has_committed_and_not_told_is_told_by_another() {
    let (node, after) = after_a_death(true, |_| {}).await;
    assert!(after < Duration::from_secs(6), "it took {after:?}");
    // Nothing is left, and what this node says itself it clears away itself.
    node.reprice(&Ctx::background(), 300).await.unwrap();
    let left = async {
        loop {
            let rows: i64 = sql!("count_outbox", "select count(*) from burgeon_cache_outbox")
                .one(&node.db.read(&Ctx::background()))
                .await
                .unwrap();
            if rows == 0 {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, left).await.expect("the outbox is cleared");
    assert_eq!(node.caches.mend_once(&node.db).await.unwrap(), 0);
}

#[tokio::test]
async fn without_the_row_the_silence_of_the_dead_makes_values_age() {
    let (node, after) = after_a_death(false, |config| config.age_unheard = Duration::from_millis(300)).await;
    assert!(after < Duration::from_secs(3), "it took {after:?}");
    assert_eq!(node.caches.news(), burgeon_cache::News::Aging);
    let said = node.meters.counter("cache_news_total", "", &[("what", "heard")]).get();
    assert_eq!(said, 0, "nobody has told it");
}
