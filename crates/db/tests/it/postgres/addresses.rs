//! What a wrong address, a wrong password and a server that is no server say.

use std::time::Duration;

use burgeon_core::{Error, Kind};
use burgeon_db::{Config, Db};
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;
use burgeon_services::{Postgres, Proxy};
use tokio::net::TcpListener;
use tokio::time::Instant;

async fn refused(url: impl Into<String>) -> Error {
    let mut config = Config::at(url.into());
    config.postgres.connect_timeout = Duration::from_millis(400);
    let meters = Meters::new();
    Db::open(&config, &Tasks::new(&meters), &meters).await.unwrap_err()
}

fn says(error: &Error, words: &[&str]) {
    let detail = error.detail();
    for word in words {
        assert!(detail.contains(word), "`{word}` is not in: {detail}");
    }
    assert!(!detail.contains("hunter2"), "{detail}");
}

#[tokio::test]
async fn nobody_there_is_said_at_once_and_in_words() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let error = refused(format!("postgres://ada:hunter2@127.0.0.1:{free}/shop")).await;
    assert_eq!(error.kind(), Kind::Unavailable);
    says(&error, &["nothing answers at 127.0.0.1", "is Postgres running there?"]);

    let error = refused("postgres://ada:hunter2@no-such-host.invalid/shop").await;
    says(&error, &["no-such-host.invalid", "is not known", "check the name"]);
}

#[tokio::test]
async fn a_server_that_is_silent_or_no_postgres_ends_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let started = Instant::now();
    let error = refused(format!("postgres://ada@{}/shop", silent.local_addr().unwrap())).await;
    assert!(started.elapsed() < Duration::from_secs(2));
    says(&error, &["did not answer within"]);

    let proxy = Proxy::start(("127.0.0.1", Postgres::shared().await.unwrap().port())).await.unwrap();
    proxy.black_hole();
    let error = refused(proxy.url_for(&Postgres::shared().await.unwrap().url())).await;
    says(&error, &["did not answer within", "firewall"]);
}

#[tokio::test]
async fn a_wrong_password_a_missing_one_and_a_missing_database_say_so() {
    let server = Postgres::options().password("right").start().await.unwrap();
    let url = server.url();
    let wrong = url.replace(":right@", ":hunter2@");
    assert_ne!(url, wrong);
    let error = refused(wrong).await;
    says(&error, &["refused the password of user", "check user and password"]);
    let error = refused(url.replace(":right@", "@")).await;
    says(&error, &["wants a password", "has none"]);
    let error = refused(server.url_of("nowhere")).await;
    says(&error, &["has no database `nowhere`", "createdb nowhere"]);
}

#[tokio::test]
async fn tls_that_the_server_does_not_offer_is_refused() {
    let server = Postgres::shared().await.unwrap();
    let url = server.create_database().await.unwrap();
    for mode in ["require", "verify-full"] {
        let error = refused(format!("{url}?sslmode={mode}")).await;
        says(&error, &["offers no TLS", "sslmode=disable"]);
    }
    let error = refused(format!("{url}?sslmode=verify-full&sslrootcert=/no/such/ca.pem")).await;
    says(&error, &["/no/such/ca.pem"]);
}

#[tokio::test]
async fn a_server_without_room_says_what_to_lower() {
    let server = Postgres::options().max_connections(6).start().await.unwrap();
    let url = server.create_database().await.unwrap();
    let name = url.rsplit('/').next().unwrap().split('?').next().unwrap().to_owned();
    // A user without the privilege to take the last, reserved connections.
    server.psql(&name, "create role ada login").await.unwrap();
    let plain = format!("postgres://ada{}", &url[url.find('@').unwrap()..]);
    let mut open = Vec::new();
    let error = loop {
        let mut config = Config::at(plain.clone());
        config.postgres.connect_timeout = Duration::from_millis(300);
        let meters = Meters::new();
        match Db::open(&config, &Tasks::new(&meters), &meters).await {
            Ok(db) => open.push(db),
            Err(error) => break error,
        }
        assert!(open.len() < 20);
    };
    says(&error, &["has no connection left", "max_connections"]);
}
