use burgeon_services::{PgBouncer, PoolMode, Postgres};

use crate::wire::psql;

#[tokio::test]
async fn a_bouncer_reaches_the_database_it_stands_before() {
    let postgres = Postgres::shared().await.unwrap();
    let database = postgres.create_database().await.unwrap();
    psql(&database, "create table here (id int); insert into here values (42)").await.unwrap();
    for mode in [PoolMode::Session, PoolMode::Transaction] {
        let bouncer = PgBouncer::start(postgres, mode).await.unwrap();
        let url = bouncer.url_for(&database);
        assert_eq!(psql(&url, "select id from here").await.unwrap(), "42");
        assert_eq!(psql(&bouncer.url(), "show server_version_num").await.unwrap().len(), 6);
        bouncer.kill().await.unwrap();
        assert!(psql(&url, "select 1").await.is_err());
        bouncer.restart().await.unwrap();
        assert_eq!(psql(&url, "select 1").await.unwrap(), "1");
    }
}

#[tokio::test]
async fn the_pool_mode_is_what_was_asked_for() {
    let postgres = Postgres::shared().await.unwrap();
    for mode in [PoolMode::Session, PoolMode::Transaction] {
        let bouncer = PgBouncer::start(postgres, mode).await.unwrap();
        let console = bouncer.url().replace("/postgres", "/pgbouncer");
        let said = psql(&console, "show config").await.unwrap();
        assert!(said.lines().any(|line| line.starts_with(&format!("pool_mode|{mode}|"))), "{said}");
    }
}
