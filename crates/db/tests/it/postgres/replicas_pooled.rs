//! A primary and its replicas, each behind a PgBouncer of its own, and the way past them.

use std::time::Duration;

use burgeon_core::Ctx;
use burgeon_db::{Config, Db, Heard, sql};
use burgeon_services::{PgBouncer, PoolMode, Postgres};
use futures_util::TryStreamExt;
use tokio::time::timeout;

use super::replicas::{Fleet, PATIENCE, is_there, reads, until, write};
use super::{Yard, within};

/// A fleet's servers, reached through poolers only.
struct Pooled {
    fleet: Fleet,
    _bouncers: Vec<PgBouncer>,
    db: Db,
    meters: burgeon_meter::Meters,
}

impl Pooled {
    async fn open(replicas: usize, change: impl FnOnce(&mut Config, &Fleet)) -> Pooled {
        let fleet = Fleet::open(replicas).await;
        let mut bouncers = Vec::new();
        for server in std::iter::once(&fleet.primary).chain(&fleet.replicas) {
            bouncers.push(PgBouncer::start(server, PoolMode::Transaction).await.unwrap());
        }
        let mut config = fleet.config.clone();
        config.url = bouncers[0].url().into();
        config.replicas = bouncers[1..].iter().map(|bouncer| bouncer.url().into()).collect();
        change(&mut config, &fleet);
        let (db, meters) = Fleet::handle(&config).await.unwrap();
        Pooled { fleet, _bouncers: bouncers, db, meters }
    }
}

#[tokio::test]
async fn own_writes_are_seen_behind_poolers_also_on_a_replica_that_comes_back_behind() {
    let pooled = Pooled::open(1, |config, _| {
        // Nobody looks while it is gone, and it is to be asked however far behind it is.
        config.routing.check = Duration::from_secs(60);
        config.routing.max_lag = Duration::from_secs(3_600);
        config.routing.wait = Duration::from_millis(500);
    })
    .await;
    let (db, replica) = (&pooled.db, &pooled.fleet.replicas[0]);
    for id in 0..50 {
        let ctx = Ctx::background();
        write(db, &ctx, id).await.unwrap();
        assert!(is_there(db, &ctx, id).await.unwrap(), "its own write {id}");
    }
    let [answered, ..] = reads(&pooled.meters);
    assert!(answered > 25, "a healthy replica answers: it did so {answered} times of 50");

    // The replica is waited for until it has it, and so is known to have it; then it comes back without it, behind a
    // pooler that hides that it was gone.
    let ctx = Ctx::background();
    let waited_for = async {
        for id in 100.. {
            let [before, ..] = reads(&pooled.meters);
            replica.pause_replay().await.unwrap();
            write(db, &ctx, id).await.unwrap();
            let (found, resumed) = tokio::join!(is_there(db, &ctx, id), replica.resume_replay());
            resumed.unwrap();
            assert!(found.unwrap());
            if reads(&pooled.meters)[0] > before {
                return id;
            }
        }
        unreachable!()
    };
    let id: i64 = timeout(PATIENCE, waited_for).await.expect("the replica is waited for");
    replica.set("recovery_min_apply_delay", "1h").await.unwrap();
    replica.kill().await.unwrap();
    replica.restart().await.unwrap();
    let count = format!("select count(*) from note where id = {id}");
    assert_eq!(replica.psql("postgres", &count).await.unwrap(), "0");
    // Who has written nothing has nothing to miss, and is answered by it.
    until("it is asked again", async || !is_there(db, &Ctx::background(), id).await.unwrap()).await;
    for _ in 0..3 {
        assert!(is_there(db, &ctx, id).await.unwrap(), "its own write, from a replica that has lost it");
        let count = async |tx: &burgeon_db::Tx| {
            sql!("pooled_count", "select count(*) from note where id = $1", id).one::<i64>(tx).await
        };
        assert_eq!(db.tx_read_only(&ctx, count).await.unwrap(), 1);
        let streamed = sql!("pooled_stream", "select id from note where id = $1", id);
        let streamed: Vec<i64> = streamed.stream::<i64>(&db.read(&ctx)).try_collect().await.unwrap();
        assert_eq!(streamed, [id]);
    }
    assert!(!is_there(db, &Ctx::background(), id).await.unwrap(), "the replica was not asked at all");
}

#[tokio::test]
async fn the_way_past_the_poolers_follows_a_promotion_and_never_leads_to_the_former_primary() {
    let pooled = Pooled::open(1, |config, fleet| {
        let ports = [fleet.primary.port(), fleet.replicas[0].port()];
        let [one, other] = ports.map(|port| format!("127.0.0.1:{port}"));
        config.postgres.direct_url = format!("postgres://postgres@{one},{other}/postgres").into();
    })
    .await;
    let (db, old, new) = (&pooled.db, &pooled.fleet.primary, &pooled.fleet.replicas[0]);
    let hears_from = async |server: &Postgres| {
        let (mut listener, _notifier) = db.listen(&within(PATIENCE), "news").await.unwrap();
        server.psql("postgres", "notify news, 'there'").await.unwrap();
        let heard = timeout(PATIENCE, listener.hear()).await.expect("another server is listened to");
        assert_eq!(heard.unwrap(), Heard::Said("there".to_owned()));
    };
    hears_from(old).await;
    old.kill().await.unwrap();
    new.promote().await.unwrap();
    // It comes back, believes itself, and is the first that `direct_url` names.
    old.restart().await.unwrap();
    until("the promoted one is seen", async || db.servers()[1].is_primary).await;
    for _ in 0..5 {
        hears_from(new).await;
    }
}

#[tokio::test]
async fn of_several_servers_the_way_past_a_pooler_takes_the_one_that_the_pooler_leads_to() {
    let (server, stranger) = (Postgres::shared().await.unwrap(), Postgres::start().await.unwrap());
    let url = server.create_database().await.unwrap();
    let bouncer = PgBouncer::start(server, PoolMode::Transaction).await.unwrap();
    let name = url.rsplit('/').next().unwrap();
    stranger.psql("postgres", &format!("create database {name}")).await.unwrap();
    let open = async |direct: String| {
        Yard::at(bouncer.url_for(&url), |config| {
            config.postgres.direct_url = direct.into();
            config.postgres.connect_timeout = Duration::from_secs(5);
        })
        .await
    };
    let [strange, ours] = [stranger.port(), server.port()].map(|port| format!("127.0.0.1:{port}"));
    let yard = open(format!("postgres://postgres@{strange},{ours}/{name}")).await;
    for _ in 0..10 {
        let (mut listener, _notifier) = yard.db.listen(&yard.ctx, "news").await.unwrap();
        yard.psql("notify news, 'there'").await;
        let heard = timeout(PATIENCE, listener.hear()).await.expect("the stranger is listened to");
        assert_eq!(heard.unwrap(), Heard::Said("there".to_owned()));
    }
    let yard = open(format!("postgres://postgres@{strange}/{name}")).await;
    let refused = yard.db.listen(&yard.ctx, "news").await.err().unwrap();
    let detail = refused.detail();
    assert!(detail.contains(&strange) && detail.contains("`database.postgres.direct_url`"), "{detail}");
}
