use std::time::Duration;

use burgeon_services::Postgres;
use tokio::time::timeout;

const COUNT: &str = "select count(*) from kept";

#[tokio::test]
async fn a_replica_follows_waits_and_is_promoted() {
    let primary = Postgres::start().await.unwrap();
    let (one, other) = (primary.replica().await.unwrap(), primary.replica().await.unwrap());
    primary.psql("postgres", "create table kept (id int)").await.unwrap();
    one.catch_up(&primary).await.unwrap();
    assert_eq!(one.psql("postgres", COUNT).await.unwrap(), "0");
    assert!(one.psql("postgres", "insert into kept values (1)").await.is_err(), "a replica takes no writes");

    one.pause_replay().await.unwrap();
    primary.psql("postgres", "insert into kept values (1)").await.unwrap();
    other.catch_up(&primary).await.unwrap();
    assert_eq!(other.psql("postgres", COUNT).await.unwrap(), "1");
    assert_eq!(one.psql("postgres", COUNT).await.unwrap(), "0", "replay is paused");
    one.resume_replay().await.unwrap();
    one.catch_up(&primary).await.unwrap();
    assert_eq!(one.psql("postgres", COUNT).await.unwrap(), "1");

    // It was killed with its replicas connected, one takes over, the other follows, and the old one comes back alone.
    primary.kill().await.unwrap();
    one.promote().await.unwrap();
    other.follow(&one).await.unwrap();
    one.psql("postgres", "insert into kept values (2)").await.unwrap();
    other.catch_up(&one).await.unwrap();
    assert_eq!(other.psql("postgres", COUNT).await.unwrap(), "2");
    primary.restart().await.unwrap();
    primary.psql("postgres", "insert into kept values (3), (4)").await.unwrap();
    assert_eq!(other.psql("postgres", COUNT).await.unwrap(), "2", "two timelines");
}

#[tokio::test]
async fn a_delayed_replica_is_behind_by_that_much_and_a_killed_one_catches_up() {
    let primary = Postgres::options().password("it's \\ secret").start().await.unwrap();
    let replica = primary.replica().await.unwrap();
    replica.set("recovery_min_apply_delay", "1h").await.unwrap();
    primary.psql("postgres", "create table kept (id int)").await.unwrap();
    let caught_up = timeout(Duration::from_millis(300), replica.catch_up(&primary)).await;
    assert!(caught_up.is_err(), "it was told to wait an hour");
    replica.set("recovery_min_apply_delay", "0").await.unwrap();
    replica.catch_up(&primary).await.unwrap();

    replica.kill().await.unwrap();
    primary.psql("postgres", "insert into kept values (1)").await.unwrap();
    replica.restart().await.unwrap();
    replica.catch_up(&primary).await.unwrap();
    assert_eq!(replica.psql("postgres", COUNT).await.unwrap(), "1");
}

#[tokio::test]
async fn a_synchronous_replica_that_is_away_holds_commits_up() {
    let primary = Postgres::start().await.unwrap();
    let replica = primary.replica().await.unwrap();
    primary.set("synchronous_standby_names", "ANY 1 (*)").await.unwrap();
    primary.psql("postgres", "create table kept (id int)").await.unwrap();
    replica.pause().await.unwrap();
    let written = primary.psql("postgres", "insert into kept values (1)");
    assert!(timeout(Duration::from_millis(300), written).await.is_err(), "nobody has confirmed it");
    replica.resume().await.unwrap();
    primary.psql("postgres", "insert into kept values (2)").await.unwrap();
}
