//! What a wrong address, a wrong password and a server that is no server say.

use std::time::Duration;

use burgeon_core::{Error, Kind};
use burgeon_db::{Config, Db};
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;
use burgeon_services::{Postgres, Proxy};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
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

#[tokio::test]
async fn a_certificate_must_be_trusted_and_name_the_host() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let authority = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let file = write(name, params.self_signed(&key).unwrap().pem());
        (file, Issuer::new(params, key))
    };
    let (trusted, issuer) = authority("ca.pem");
    let (stranger, _) = authority("stranger.pem");
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let (certificate, key) =
        (write("server.pem", certificate.pem()), write("server.key", key.serialize_pem()));
    let server = Postgres::options().tls(certificate, key).start().await.unwrap();
    let at = |host: &str, query: String| {
        let url = server.url().replace("127.0.0.1", host);
        let url = url.split('?').next().unwrap().to_owned();
        format!("{url}?{query}")
    };
    let verified = format!("sslmode=verify-full&sslrootcert={}", trusted.display());
    for (query, encrypted) in [
        (verified.clone(), true),
        ("sslmode=require".to_owned(), true),
        ("sslmode=prefer".to_owned(), true),
        ("sslmode=disable".to_owned(), false),
    ] {
        let yard = super::Yard::at(at("localhost", query.clone()), |_| {}).await;
        let on = yard.db.read(&yard.ctx);
        let ssl: bool = burgeon_db::sql!(
            "is_encrypted",
            sqlite: "select false",
            postgres: "select ssl from pg_stat_ssl where pid = pg_backend_pid()"
        )
        .one(&on)
        .await
        .unwrap();
        assert_eq!(ssl, encrypted, "{query}");
        // A cancel request goes the same way.
        let error = burgeon_db::sql!("sleepy_tls", "select cast(pg_sleep(60) as text)")
            .one::<String>(&yard.db.read(&super::within(Duration::from_millis(50))))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Deadline);
        yard.db.health(&yard.ctx).await.unwrap();
    }
    let error =
        refused(at("localhost", format!("sslmode=verify-full&sslrootcert={}", stranger.display()))).await;
    says(&error, &["is not trusted", "sslrootcert"]);
    let error = refused(at("127.0.0.1", verified)).await;
    says(&error, &["is not trusted", "as the certificate does"]);
}
