//! TLS and passwords.

use std::path::Path;
use std::time::Duration;

use burgeon_core::{Ctx, Kind};
use burgeon_redis::{Command, Config, State};
use burgeon_services::Redis as Server;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::yard::{handle, is_away, within};

/// An authority's certificate, and a server's for `name` with its key, as files in `directory`.
fn certificates(directory: &Path, name: &str) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&ca_key).unwrap();
    let issuer = Issuer::new(params, ca_key);
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    for (file, pem) in [("ca.pem", ca.pem()), ("own.pem", own.pem()), ("own.key", key.serialize_pem())] {
        std::fs::write(directory.join(file), pem).unwrap();
    }
}

async fn encrypted(directory: &Path, name: &str) -> Server {
    certificates(directory, name);
    Server::options().tls(directory.join("own.pem"), directory.join("own.key")).start().await.unwrap()
}

/// Why it does not connect.
async fn refusal(config: &Config) -> String {
    let (redis, _tasks, _meters) = handle(config);
    let error = within(redis.call(&Ctx::background(), &Command::read("PING"))).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error:?}");
    assert!(matches!(redis.state(), State::Away { .. }));
    error.detail()
}

fn patient(url: impl Into<burgeon_core::Secret>) -> Config {
    Config { response_timeout: Duration::from_secs(5), ..Config::at(url) }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_only_the_right_server_under_the_right_authority_is_spoken_to() {
    let (home, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = encrypted(home.path(), "localhost").await;
    certificates(other.path(), "localhost");
    let url = format!("rediss://localhost:{}", server.tls_port().unwrap());
    let trusting = |ca: &Path| Config { ca_file: ca.join("ca.pem"), ..patient(url.as_str()) };

    let (redis, _tasks, _meters) = handle(&trusting(home.path()));
    within(redis.connected()).await;
    let ctx = Ctx::background();
    redis.call(&ctx, &Command::write("SET").arg("x").arg("1")).await.unwrap();
    // What is published goes the same way.
    let (mut listener, publisher) = redis.listen(&ctx, "news").await.unwrap();
    publisher.say(b"hello").await.unwrap();
    assert_eq!(within(listener.hear()).await.unwrap(), burgeon_redis::Heard::Said("hello".into()));

    let why = refusal(&trusting(other.path())).await;
    assert!(why.contains("certificate"), "{why}");
    let by_address = url.replace("localhost", "127.0.0.1");
    let why = refusal(&Config { ca_file: home.path().join("ca.pem"), ..patient(by_address) }).await;
    assert!(why.contains("certificate"), "{why}");
    // In the clear where it wants TLS, and the other way round.
    refusal(&patient(url.replace("rediss", "redis"))).await;
    refusal(&Config {
        ca_file: home.path().join("ca.pem"),
        ..patient(server.url().replace("redis:", "rediss:"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_file_that_is_not_there_is_refused_at_the_start() {
    let meters = burgeon_meter::Meters::new();
    let tasks = burgeon_runtime::Tasks::new(&meters);
    let config = Config { ca_file: "/nowhere/ca.pem".into(), ..Config::at("rediss://localhost") };
    let error = burgeon_redis::Redis::connect(&config, &tasks, &meters).unwrap_err();
    assert!(error.kind() == Kind::Invalid && error.public().contains("/nowhere/ca.pem"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_named_and_not_shown() {
    let server = Server::options().password("right horse").start().await.unwrap();
    let with =
        |credentials: &str| patient(server.url().replace("redis://", &format!("redis://{credentials}")));
    let (redis, _tasks, _meters) = handle(&with(":right%20horse@"));
    within(redis.connected()).await;
    redis.call(&Ctx::background(), &Command::read("GET").arg("x")).await.unwrap();
    for wrong in ["", ":hunter2@", "nobody:hunter2@"] {
        let why = refusal(&with(wrong)).await;
        assert!(why.contains("`redis.url`") && !why.contains("hunter2"), "{why}");
    }
    let shown = format!("{:?} {:?} {redis:?}", with(":hunter2@"), redis.state());
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_not_ask_who_answers_works_and_every_connection_counts_as_another_server() {
    let server = Server::start().await.unwrap();
    let (admin, _tasks, _meters) = handle(&patient(server.url()));
    let ctx = Ctx::background();
    let rights =
        ["SETUSER", "shop", "on", ">pass", "~shop:*", "&*", "+get", "+set", "+ping", "+hello", "+client"];
    let user = rights.iter().fold(Command::write("ACL"), |command, right| command.arg(right));
    admin.call(&ctx, &user).await.unwrap();

    let proxy = burgeon_services::Proxy::start(("127.0.0.1", server.port())).await.unwrap();
    let url = proxy.url_for(&server.url()).replace("redis://", "redis://shop:pass@");
    let (redis, _tasks, _meters) = handle(&patient(url));
    within(redis.connected()).await;
    assert_eq!((redis.state(), redis.generation()), (State::Connected(None), 1));
    redis.call(&ctx, &Command::write("SET").arg("shop:x").arg("1")).await.unwrap();
    let refused = redis.call(&ctx, &Command::write("SET").arg("x").arg("1")).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Internal);
    proxy.cut();
    is_away(&redis).await;
    proxy.heal();
    assert_eq!(within(redis.generation_changed(1)).await, 2);
}
