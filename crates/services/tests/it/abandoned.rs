//! What is left when the process that started servers is killed: nothing.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::wire::PATIENCE;

#[tokio::test]
async fn a_killed_process_leaves_no_server_and_no_directory() {
    let scratch = scratch();
    let mut owner = Owner::start(scratch.path(), &[]).await;
    assert_eq!(owner.ports.len(), 3);
    assert_eq!(directories(scratch.path()), 3);
    for port in &owner.ports {
        TcpStream::connect(("127.0.0.1", *port)).await.unwrap();
    }

    owner.process.kill().await.unwrap();

    until_clean(scratch.path()).await;
    for port in owner.ports {
        assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err(), "a server still listens on {port}");
    }
}

#[tokio::test]
async fn many_may_want_the_first_template_and_a_broken_one_is_made_anew() {
    let scratch = scratch();
    let path = scratch.path();
    for _ in 0..2 {
        let (one, other) = tokio::join!(Owner::start(path, &["postgres"]), Owner::start(path, &["postgres"]));
        assert_ne!(one.ports, other.ports);
        let template = template(path);
        assert!(std::fs::metadata(&template).unwrap().len() > 1_000_000);
        std::fs::write(&template, "no archive").unwrap();
    }
    until_clean(path).await;
}

#[tokio::test]
async fn an_unknown_service_is_refused_with_the_known_ones() {
    let refused = Command::new(env!("CARGO_BIN_EXE_burgeon-services")).arg("oracle").output().await.unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("`oracle`") && said.contains("postgres, redis, nats"), "{said}");
}

#[tokio::test]
async fn a_missing_binary_says_what_to_install() {
    // Redis lives in /usr/bin, which is looked into as a part of PATH only.
    let refused = Command::new(env!("CARGO_BIN_EXE_burgeon-services"))
        .arg("redis")
        .env("PATH", "/nowhere")
        .output()
        .await
        .unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("Redis is not installed: `apt-get install redis-server`"), "{said}");
}

/// A process that starts servers and waits.
struct Owner {
    process: Child,
    ports: Vec<u16>,
}

impl Owner {
    async fn start(scratch: &Path, services: &[&str]) -> Owner {
        let mut process = Command::new(env!("CARGO_BIN_EXE_burgeon-services"))
            .args(services)
            .env("TMPDIR", scratch)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut ports = Vec::new();
        loop {
            let line = timeout(3 * PATIENCE, lines.next_line()).await.unwrap().unwrap();
            let line = line.expect("the process ended before it was ready");
            if line.starts_with("ready") {
                return Owner { process, ports };
            }
            let port = line.rsplit(':').next().unwrap().split('/').next().unwrap();
            ports.push(port.parse().unwrap());
        }
    }
}

/// As any temporary directory: servers run under another user when we are root, and remove what is theirs.
pub(crate) fn scratch() -> tempfile::TempDir {
    let scratch = tempfile::tempdir().unwrap();
    std::fs::set_permissions(scratch.path(), std::os::unix::fs::PermissionsExt::from_mode(0o1777)).unwrap();
    scratch
}

/// Waits until every server's directory is gone: it goes last.
pub(crate) async fn until_clean(scratch: &Path) {
    let deadline = Instant::now() + PATIENCE;
    while directories(scratch) > 0 {
        assert!(Instant::now() < deadline, "directories were left behind");
        sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// How many servers still have a directory.
pub(crate) fn directories(scratch: &Path) -> usize {
    names(scratch).iter().filter(|name| !name.starts_with("burgeon-services-")).count()
}

/// The one template there is.
fn template(scratch: &Path) -> PathBuf {
    let common = names(scratch).into_iter().find(|name| name.starts_with("burgeon-services-")).unwrap();
    let common = scratch.join(common);
    let mut archives = names(&common).into_iter().filter(|name| name.ends_with(".tar"));
    let archive = archives.next().unwrap();
    assert_eq!(archives.next(), None);
    common.join(archive)
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
