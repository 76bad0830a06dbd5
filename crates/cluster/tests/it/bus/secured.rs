//! NATS over TLS and with a password. Redis is spoken to by `burgeon-redis`, whose tests these are.

use std::path::Path;
use std::time::Duration;

use burgeon_cluster::bus::{Config, Link};
use burgeon_cluster::{Bus, State, nats};
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;
use burgeon_services::Nats;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use super::{Log, within};

/// An authority's certificate, and a server's for `localhost` with its key, as files in `directory`.
fn certificates(directory: &Path) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&ca_key).unwrap();
    let issuer = Issuer::new(params, ca_key);
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    for (file, pem) in [("ca.pem", ca.pem()), ("own.pem", own.pem()), ("own.key", key.serialize_pem())] {
        std::fs::write(directory.join(file), pem).unwrap();
    }
}

fn join(config: &nats::Config) -> (Bus, Tasks) {
    let meters = Meters::new();
    let tasks = Tasks::new(&meters);
    let link = Link::Nats { config: config.clone(), subject: "burgeon_test".to_owned() };
    let config = Config { heartbeat: Duration::from_millis(50), ..Config::default() };
    (Bus::join(link, config, &tasks, &meters).unwrap(), tasks)
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_is_spoken_to_over_tls_under_the_right_authority_with_the_right_password_or_not_at_all() {
    let (home, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    certificates(home.path());
    certificates(other.path());
    let server = Nats::options()
        .user("shop", "secret")
        .tls(home.path().join("own.pem"), home.path().join("own.key"))
        .start()
        .await
        .unwrap();
    let config = |credentials: &str, directory: &Path| nats::Config {
        ca_file: directory.join("ca.pem"),
        ..nats::Config::at(format!("tls://{credentials}localhost:{}", server.port()))
    };
    let ((one, _tasks), (two, _other_tasks)) =
        (join(&config("shop:secret@", home.path())), join(&config("shop:secret@", home.path())));
    for bus in [&one, &two] {
        within(bus.until(|bus| bus.state() == State::Whole && !bus.heard().is_empty())).await;
    }
    let (log, _listening) = Log::listen(&two, "news");
    one.publish("news", "hello").unwrap();
    log.until(|heard| !heard.is_empty()).await;
    assert_eq!(log.messages(), ["hello"]);

    for wrong in
        [config("shop:hunter2@", home.path()), config("", home.path()), config("shop:secret@", other.path())]
    {
        assert!(!format!("{wrong:?}").contains("hunter2"));
        let (bus, _tasks) = join(&wrong);
        // Long enough for several tries.
        let opened = tokio::time::timeout(Duration::from_secs(1), bus.whole()).await;
        assert!(opened.is_err(), "it should not have been let in");
    }
}
