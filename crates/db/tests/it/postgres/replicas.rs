//! A primary, its replicas, and what befalls them.

use std::time::Duration;

use burgeon_core::{Criticality, Ctx, Kind, Position, Result};
use burgeon_db::{Config, Db, Fault, sql};
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;
use burgeon_services::Postgres;
use futures_util::TryStreamExt;
use tokio::time::{Instant, sleep, timeout};

use super::within;

/// A primary and two replicas under one handle.
pub(super) struct Fleet {
    pub(super) primary: Postgres,
    pub(super) replicas: Vec<Postgres>,
    pub(super) config: Config,
    db: Db,
    meters: Meters,
}

pub(super) const PATIENCE: Duration = Duration::from_secs(20);

impl Fleet {
    pub(super) async fn open(replicas: usize) -> Fleet {
        Self::open_with(replicas, |_| {}).await
    }

    async fn open_with(count: usize, change: impl FnOnce(&mut Config)) -> Fleet {
        let primary = Postgres::start().await.unwrap();
        let memory = "create table burgeon_timeline (timeline bigint primary key, began bigint not null);
                      create table note (id bigint primary key, text text not null)";
        primary.psql("postgres", memory).await.unwrap();
        let mut replicas = Vec::new();
        for _ in 0..count {
            let replica = primary.replica().await.unwrap();
            replica.catch_up(&primary).await.unwrap();
            replicas.push(replica);
        }
        let mut config = Config::at(primary.url());
        config.replicas = replicas.iter().map(|replica| replica.url().into()).collect();
        config.routing.check = Duration::from_millis(100);
        change(&mut config);
        let (db, meters) = Self::handle(&config).await.unwrap();
        Fleet { primary, replicas, config, db, meters }
    }

    /// Another process, as far as the database can tell.
    pub(super) async fn handle(config: &Config) -> Result<(Db, Meters)> {
        let meters = Meters::new();
        // Lives as long as the test.
        let tasks = Box::leak(Box::new(Tasks::new(&meters)));
        Ok((Db::open(config, tasks, &meters).await?, meters))
    }

    fn reads(&self) -> [u64; 3] {
        reads(&self.meters)
    }

    async fn until(&self, what: &str, is_so: impl Fn(&Db) -> bool) {
        until(what, async || is_so(&self.db)).await;
    }

    fn in_rotation(&self) -> usize {
        self.db.servers().iter().filter(|server| server.in_rotation).count()
    }
}

/// Where reads went: replicas, primary because none could answer, primary because it was asked for.
pub(super) fn reads(meters: &Meters) -> [u64; 3] {
    let reads = |target, how| meters.counter("db_reads_total", "", &[("target", target), ("how", how)]).get();
    [
        reads("replica", "known") + reads("replica", "asked") + reads("replica", "waited"),
        reads("primary", "fallback"),
        reads("primary", "chosen"),
    ]
}

pub(super) async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let started = Instant::now();
    while !is_so().await {
        assert!(started.elapsed() < PATIENCE, "waited in vain until {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

pub(super) async fn write(db: &Db, ctx: &Ctx, id: i64) -> Result<u64> {
    sql!("note", "insert into note (id, text) values ($1, 'written')", id).execute(&db.write(ctx)).await
}

pub(super) async fn is_there(db: &Db, ctx: &Ctx, id: i64) -> Result<bool> {
    let found: Option<i64> =
        sql!("find", "select id from note where id = $1", id).optional(&db.read(ctx)).await?;
    Ok(found.is_some())
}

async fn port(db: &Db, ctx: &Ctx) -> i32 {
    sql!("port", "select inet_server_port()").one(&db.read(ctx)).await.unwrap()
}

#[tokio::test]
async fn reads_go_to_replicas_and_see_what_their_caller_has_written() {
    let fleet = Fleet::open(2).await;
    assert_eq!(fleet.in_rotation(), 2);
    for id in 0..200 {
        let ctx = Ctx::background();
        write(&fleet.db, &ctx, id).await.unwrap();
        assert!(ctx.position() > Position::START);
        assert!(is_there(&fleet.db, &ctx, id).await.unwrap(), "its own write {id}");
    }
    let [replica, fallback, _] = fleet.reads();
    assert_eq!(replica + fallback, 200);
    assert!(fallback < 20, "healthy replicas answer: {fallback} of 200 went to the primary");

    // Both have their share, the primary none but where it is asked for.
    let ctx = Ctx::background();
    let mut ports = std::collections::HashMap::new();
    for _ in 0..40 {
        *ports.entry(port(&fleet.db, &ctx).await).or_insert(0) += 1;
    }
    for replica in &fleet.replicas {
        assert!(ports[&i32::from(replica.port())] >= 10, "{ports:?}");
    }
    let on_primary = sql!("port_of_primary", "select inet_server_port()");
    let asked: i32 = on_primary.one(&fleet.db.read(&ctx).primary()).await.unwrap();
    assert_eq!(asked, i32::from(fleet.primary.port()));
}

#[tokio::test]
async fn a_healthy_fleet_is_opened_without_a_warning() {
    let warnings = super::Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let fleet = Fleet::open(2).await;
    // One statement on every server, so that all have been connected to.
    let ctx = Ctx::background();
    write(&fleet.db, &ctx, 1).await.unwrap();
    for _ in 0..40 {
        is_there(&fleet.db, &ctx, 1).await.unwrap();
    }
    assert_eq!(warnings.told(), Vec::<String>::new());
}

#[tokio::test]
async fn with_all_replicas_paused_own_reads_go_to_the_primary_and_others_stay() {
    let fleet = Fleet::open(2).await;
    for replica in &fleet.replicas {
        replica.pause_replay().await.unwrap();
    }
    let writer = Ctx::background();
    write(&fleet.db, &writer, 1).await.unwrap();
    let started = Instant::now();
    assert!(is_there(&fleet.db, &writer, 1).await.unwrap());
    assert!(started.elapsed() >= fleet.config.routing.wait, "a replica was given its time first");
    assert!(
        !is_there(&fleet.db, &Ctx::background(), 1).await.unwrap(),
        "who has written nothing reads a replica"
    );

    let read_only = fleet.db.tx_read_only(&writer, async |tx| {
        sql!("count_in_tx", "select count(*) from note").one::<i64>(tx).await
    });
    assert_eq!(read_only.await.unwrap(), 1);
    let streamed: Vec<i64> = sql!("stream_ids", "select id from note")
        .stream::<i64>(&fleet.db.read(&writer))
        .try_collect()
        .await
        .unwrap();
    assert_eq!(streamed, [1]);

    // A replica that goes on within the wait answers after all.
    let before = fleet.reads();
    write(&fleet.db, &writer, 2).await.unwrap();
    let resumes = async {
        sleep(Duration::from_millis(5)).await;
        fleet.replicas[0].resume_replay().await.unwrap();
    };
    let fleet_reads = async {
        until("a replica answers", async || {
            assert!(is_there(&fleet.db, &writer, 2).await.unwrap());
            fleet.reads()[0] > before[0]
        })
        .await;
    };
    tokio::join!(resumes, fleet_reads);
}

#[tokio::test]
async fn a_position_is_good_on_another_node_whose_replica_is_restarted_behind_it() {
    let fleet = Fleet::open(1).await;
    let (other, _) = Fleet::handle(&fleet.config).await.unwrap();
    for id in 0..40 {
        let ctx = Ctx::background();
        write(&fleet.db, &ctx, id).await.unwrap();
        let elsewhere = Ctx::background();
        elsewhere.advance(ctx.position());
        assert!(is_there(&other, &elsewhere, id).await.unwrap(), "{id}");
        if id % 10 == 5 {
            // It loses what it had replayed since its last restart point, and may say so only when it is back.
            fleet.replicas[0].kill().await.unwrap();
            fleet.replicas[0].restart().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_killed_replica_costs_nobody_an_answer_and_comes_back() {
    let fleet = Fleet::open(2).await;
    let db = fleet.db.clone();
    let reading = async {
        for _ in 0..600 {
            is_there(&db, &Ctx::background(), 1).await.unwrap();
            sleep(Duration::from_millis(1)).await;
        }
    };
    let killing = async {
        sleep(Duration::from_millis(100)).await;
        fleet.replicas[0].kill().await.unwrap();
    };
    tokio::join!(reading, killing);
    fleet.until("it is out", |db| !db.servers()[1].in_rotation).await;
    assert!(fleet.db.condition().unwrap_err().contains(&fleet.replicas[0].port().to_string()));
    assert!(fleet.db.health(&Ctx::background()).await.is_ok(), "degraded is not down");
    fleet.replicas[0].restart().await.unwrap();
    fleet.until("it is back", |db| db.condition().is_ok()).await;
}

#[tokio::test]
async fn a_frozen_replica_holds_nobody_up_for_long() {
    let fleet = Fleet::open(2).await;
    fleet.replicas[0].pause().await.unwrap();
    let started = Instant::now();
    let reads = (0..20).map(|_| async { is_there(&fleet.db, &within(Duration::from_secs(10)), 1).await });
    for answer in futures_util::future::join_all(reads).await {
        answer.unwrap();
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    fleet.replicas[0].resume().await.unwrap();
    fleet.until("it is back", |db| db.condition().is_ok()).await;
}

#[tokio::test]
async fn what_lagging_replicas_cannot_answer_is_capped_and_the_critical_are_served_first() {
    let fleet = Fleet::open_with(1, |config| config.routing.fallback = 2).await;
    fleet.replicas[0].pause_replay().await.unwrap();
    let writer = Ctx::background();
    write(&fleet.db, &writer, 1).await.unwrap();
    let slow = async |criticality: Criticality| {
        let ctx = writer.with_criticality(criticality);
        let slept = sql!("slow", "select cast(pg_sleep(0.2) as text), id from note where id = 1");
        let answer: Result<(String, i64)> = slept.one(&fleet.db.read(&ctx)).await;
        answer.map(drop)
    };
    let load = (0..60).map(|number| {
        let criticality = if number % 10 == 9 { Criticality::CriticalPlus } else { Criticality::Sheddable };
        let slow = &slow;
        async move { (criticality, slow(criticality).await) }
    });
    let watching = async {
        let mut most = 0;
        for _ in 0..10 {
            let running = "select count(*) from pg_stat_activity where query like '%pg_sleep(0.2)%' and state = 'active'
                           and pid <> pg_backend_pid()";
            let running: u32 = fleet.primary.psql("postgres", running).await.unwrap().parse().unwrap();
            most = most.max(running);
        }
        most
    };
    let (answers, most) = tokio::join!(futures_util::future::join_all(load), watching);
    assert!((1..=2).contains(&most), "{most} at once on the primary");
    let served = |of: Criticality| answers.iter().filter(|(at, answer)| *at == of && answer.is_ok()).count();
    assert!(served(Criticality::CriticalPlus) >= 5, "{}", served(Criticality::CriticalPlus));
    assert!(served(Criticality::Sheddable) < 54, "some had to go");
    for (_, answer) in answers {
        if let Err(error) = answer {
            assert_eq!(error.kind(), Kind::Overloaded, "{}", error.detail());
        }
    }
}

#[tokio::test]
async fn after_a_promotion_writes_go_to_the_new_primary_and_never_to_the_old() {
    let mut fleet = Fleet::open(2).await;
    let ctx = Ctx::background();
    write(&fleet.db, &ctx, 1).await.unwrap();
    fleet.replicas[0].catch_up(&fleet.primary).await.unwrap();
    fleet.primary.kill().await.unwrap();
    fleet.until("the loss is seen", |db| !db.servers().iter().any(|server| server.is_primary)).await;
    assert!(is_there(&fleet.db, &ctx, 1).await.unwrap(), "reads go on");
    let refused = write(&fleet.db, &within(Duration::from_millis(300)), 2).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Unavailable, "{}", refused.detail());
    assert!(refused.detail().contains("no server takes writes on timeline 1"), "{}", refused.detail());

    let new = fleet.replicas.remove(0);
    new.promote().await.unwrap();
    fleet.replicas[0].follow(&new).await.unwrap();
    timeout(Duration::from_secs(5), async {
        while write(&fleet.db, &ctx, 2).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("writes go to the promoted one");
    assert_eq!(ctx.position().timeline, 2);
    assert!(is_there(&fleet.db, &ctx, 2).await.unwrap());

    // The old one comes back, believes itself, and is not believed: not by those who saw its successor ...
    fleet.primary.restart().await.unwrap();
    for id in 10..60 {
        write(&fleet.db, &ctx, id).await.unwrap();
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(fleet.primary.psql("postgres", "select max(id) from note").await.unwrap(), "1");
    fleet.until("the follower is proven", |_| fleet.in_rotation() == 1).await;
    assert!(is_there(&fleet.db, &ctx, 59).await.unwrap());
    // ... nor by a newcomer who can reach both.
    let (newcomer, _) = Fleet::handle(&fleet.config).await.unwrap();
    write(&newcomer, &Ctx::background(), 100).await.unwrap();
    assert_eq!(new.psql("postgres", "select max(id) from note").await.unwrap(), "100");

    // A newcomer who sees only the old one writes until somebody tells him, and then no more.
    let mut alone = fleet.config.clone();
    alone.replicas = vec![fleet.replicas[0].url().into()];
    fleet.replicas[0].kill().await.unwrap();
    let (misled, _) = Fleet::handle(&alone).await.unwrap();
    assert!(misled.cluster().is_some());
    misled.saw(ctx.position());
    let refused = write(&misled, &within(Duration::from_millis(500)), 200).await.unwrap_err();
    assert!(refused.detail().contains("left behind"), "{}", refused.detail());
}

#[tokio::test]
async fn a_transaction_that_outlives_its_primary_is_not_committed() {
    let fleet = Fleet::open(1).await;
    let ctx = Ctx::background();
    let committed = fleet
        .db
        .tx(&ctx, async |tx| {
            sql!("late_note", "insert into note (id, text) values (1, 'late')").execute(tx).await?;
            // The network parts: the old primary lives on, and another is promoted.
            fleet.replicas[0].promote().await.unwrap();
            fleet.until("the promoted one is seen", |db| db.servers()[1].is_primary).await;
            Ok(())
        })
        .await;
    let refused = committed.unwrap_err();
    assert!(refused.detail().contains("not the primary any more"), "{}", refused.detail());
    assert_eq!(fleet.primary.psql("postgres", "select count(*) from note").await.unwrap(), "0");
}

#[tokio::test]
async fn what_waiting_cannot_mend_is_told_at_start() {
    let (one, other) = (Postgres::start().await.unwrap(), Postgres::start().await.unwrap());
    let refused = async |replica: String| {
        let mut config = Config::at(one.url());
        config.replicas = vec![replica.into()];
        let error = Fleet::handle(&config).await.map(drop).unwrap_err();
        error.detail()
    };
    // It takes writes, as the other does: which of them has the data?
    let independent = refused(other.url()).await;
    assert!(independent.contains("a second primary"), "{independent}");
    let twice = refused(one.url()).await;
    assert!(twice.contains("a second time"), "{twice}");
    let elsewhere = refused(other.url_of("template1")).await;
    assert!(elsewhere.contains("template1"), "{elsewhere}");
    // One that is merely away is no reason not to start.
    let mut config = Config::at(one.url());
    let gone = other.url();
    drop(other);
    config.replicas = vec![gone.into()];
    let (db, _) = Fleet::handle(&config).await.unwrap();
    assert!(db.condition().is_err() && db.health(&Ctx::background()).await.is_ok());

    let mut file = Config::at("sqlite:x.db");
    file.replicas = vec!["postgres://a@b/c".into()];
    assert!(file.validate().unwrap_err().contains("no replicas"));
}

#[tokio::test]
async fn a_fault_of_the_statement_is_told_and_not_tried_elsewhere() {
    let fleet = Fleet::open(1).await;
    let wrong = sql!("divide", "select 1 / (id - id) from note");
    write(&fleet.db, &Ctx::background(), 1).await.unwrap();
    fleet.replicas[0].catch_up(&fleet.primary).await.unwrap();
    let error = wrong.one::<i64>(&fleet.db.read(&Ctx::background())).await.unwrap_err();
    assert!(!matches!(Fault::of(&error), Some(Fault::Unavailable { .. })), "{}", error.detail());
    assert_eq!(fleet.reads()[1], 0);
}
