use std::path::Path;
use std::time::Duration;

use burgeon_services::Postgres;
use tokio::time::{Instant, timeout};

use crate::wire::{PATIENCE, psql};

#[tokio::test]
async fn databases_of_the_shared_server_know_nothing_of_each_other() {
    let postgres = Postgres::shared().await.unwrap();
    let (one, other) = (postgres.create_database().await.unwrap(), postgres.create_database().await.unwrap());
    assert_ne!(one, other);
    psql(&one, "create table only_here (id int)").await.unwrap();
    assert_eq!(psql(&one, "select count(*) from only_here").await.unwrap(), "0");
    let missing = psql(&other, "select count(*) from only_here").await.unwrap_err().to_string();
    assert!(missing.contains("only_here"), "{missing}");
    assert!(std::ptr::eq(postgres, Postgres::shared().await.unwrap()));
}

#[test]
fn a_shared_server_outlives_the_runtime_of_the_test_that_started_it() {
    for _ in 0..2 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { Postgres::shared().await.unwrap().create_database().await.unwrap() });
    }
}

#[tokio::test]
async fn what_was_committed_survives_stop_and_kill_on_the_same_port() {
    let postgres = Postgres::options().fsync(true).start().await.unwrap();
    let url = postgres.create_database().await.unwrap();
    psql(&url, "create table kept (id int); insert into kept values (1)").await.unwrap();

    postgres.stop().await.unwrap();
    assert!(psql(&url, "select 1").await.unwrap_err().to_string().contains("refused"));
    assert!(postgres.stop().await.unwrap_err().to_string().contains("not running"));
    postgres.restart().await.unwrap();
    psql(&url, "insert into kept values (2)").await.unwrap();

    for id in 3..6 {
        postgres.kill().await.unwrap();
        postgres.restart().await.unwrap();
        psql(&url, &format!("insert into kept values ({id})")).await.unwrap();
    }
    assert_eq!(psql(&url, "select count(*) from kept").await.unwrap(), "5");
    assert!(postgres.log().await.contains("recovery"), "a killed server recovers");
}

#[tokio::test]
async fn a_paused_server_answers_after_it_was_resumed_and_not_before() {
    let postgres = Postgres::start().await.unwrap();
    let url = postgres.url();
    assert_eq!(psql(&url, "select 1").await.unwrap(), "1");
    postgres.pause().await.unwrap();
    let asked = timeout(Duration::from_millis(500), postgres.psql("postgres", "select 2")).await;
    assert!(asked.is_err(), "a paused server answered");
    postgres.resume().await.unwrap();
    assert_eq!(psql(&url, "select 3").await.unwrap(), "3");
}

#[tokio::test]
async fn options_reach_the_server() {
    let postgres = Postgres::options()
        .fsync(true)
        .max_connections(17)
        .password("it's a secret")
        .setting("work_mem", "7MB")
        .start()
        .await
        .unwrap();
    let shown =
        postgres.psql("postgres", "select current_setting('fsync'), current_setting('work_mem')").await;
    assert_eq!(shown.unwrap(), "on|7MB");
    assert_eq!(postgres.psql("postgres", "show max_connections").await.unwrap(), "17");
    let shown = postgres.psql("postgres", "select current_setting('listen_addresses')").await.unwrap();
    assert_eq!(shown, "127.0.0.1", "nobody else's machine may connect");

    let with = format!("host=127.0.0.1 port={} user=postgres password='it\\'s a secret'", postgres.port());
    assert_eq!(psql(&with, "select 1").await.unwrap(), "1");
    let without = format!("host=127.0.0.1 port={} user=postgres password=guess", postgres.port());
    assert!(psql(&without, "select 1").await.unwrap_err().to_string().contains("password"));
}

#[tokio::test]
async fn a_verifying_client_accepts_the_certificate_it_was_given_and_no_other() {
    let directory = Files::new();
    let (certificate, key) = directory.certificate("server");
    let (stranger, _) = directory.certificate("stranger");
    let postgres = Postgres::options().tls(&certificate, &key).start().await.unwrap();
    let url = |root: &Path| {
        format!(
            "host=localhost hostaddr=127.0.0.1 port={} user=postgres sslmode=verify-full sslrootcert={}",
            postgres.port(),
            root.display()
        )
    };
    let used = psql(&url(&certificate), "select ssl from pg_stat_ssl where pid = pg_backend_pid()").await;
    assert_eq!(used.unwrap(), "t");
    let refused = psql(&url(&stranger), "select 1").await.unwrap_err().to_string();
    assert!(refused.contains("certificate verify failed"), "{refused}");
    assert_eq!(psql(&postgres.url(), "select 1").await.unwrap(), "1");
}

#[tokio::test]
async fn a_server_that_cannot_start_shows_its_log() {
    let started = Instant::now();
    let refused = Postgres::options().setting("work_mem", "a lot").start().await.unwrap_err().to_string();
    assert!(refused.contains("Postgres exited with"), "{refused}");
    assert!(refused.contains("work_mem"), "{refused}");
    assert!(started.elapsed() < PATIENCE);
}

#[tokio::test]
async fn sql_that_fails_says_why() {
    let postgres = Postgres::shared().await.unwrap();
    let refused = timeout(PATIENCE, postgres.psql("postgres", "select 1 / 0")).await.unwrap().unwrap_err();
    assert!(refused.to_string().contains("division by zero"), "{refused}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_killed_server_leaves_no_shared_memory_when_it_is_dropped() {
    let postgres = Postgres::start().await.unwrap();
    let status = std::fs::read_to_string(postgres.socket_directory().join("data/postmaster.pid")).unwrap();
    let id = status.lines().nth(6).unwrap().split_whitespace().nth(1).unwrap().to_owned();
    let exists = || {
        let segments = std::fs::read_to_string("/proc/sysvipc/shm").unwrap();
        segments.lines().skip(1).any(|line| line.split_whitespace().nth(1) == Some(id.as_str()))
    };
    assert!(exists());
    assert_eq!(postgres.psql("postgres", "show dynamic_shared_memory_type").await.unwrap(), "mmap");
    postgres.kill().await.unwrap();
    assert!(exists(), "SIGKILL lets nobody clean up");
    drop(postgres);
    assert!(!exists());
}

/// A directory of certificates, removed by the test that made it.
struct Files(std::path::PathBuf);

impl Files {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("burgeon-certificates-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn certificate(&self, name: &str) -> (std::path::PathBuf, std::path::PathBuf) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (self.0.join(format!("{name}.crt")), self.0.join(format!("{name}.key")));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        (certificate, key)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}
