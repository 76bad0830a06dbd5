//! What is left when the process that started servers is killed: nothing.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

use crate::wire::PATIENCE;

#[tokio::test]
async fn a_killed_process_leaves_no_server_and_no_directory() {
    let scratch = tempfile::tempdir().unwrap();
    // As any temporary directory: servers run under another user when we are root, and remove what is theirs.
    std::fs::set_permissions(scratch.path(), std::os::unix::fs::PermissionsExt::from_mode(0o1777)).unwrap();
    let mut owner = Command::new(env!("CARGO_BIN_EXE_burgeon-services"))
        .env("TMPDIR", scratch.path())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let mut ports = Vec::new();
    while let Some(line) = timeout(3 * PATIENCE, lines.next_line()).await.unwrap().unwrap() {
        if line.starts_with("ready") {
            break;
        }
        let port = line.rsplit(':').next().unwrap().split('/').next().unwrap();
        ports.push(port.parse::<u16>().unwrap());
    }
    assert_eq!(ports.len(), 3);
    assert_eq!(directories(scratch.path()), 3);
    for port in &ports {
        TcpStream::connect(("127.0.0.1", *port)).await.unwrap();
    }

    owner.kill().await.unwrap();

    let deadline = Instant::now() + PATIENCE;
    while directories(scratch.path()) > 0 {
        assert!(Instant::now() < deadline, "directories were left behind");
        sleep(std::time::Duration::from_millis(20)).await;
    }
    for port in ports {
        assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err(), "a server still listens on {port}");
    }
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
    // Only what is looked for outside PATH could be found; PgBouncer lives in /usr/sbin, so hide a program that does not.
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

/// How many servers still have a directory.
fn directories(scratch: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(scratch).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !name.starts_with("burgeon-services-")).count()
}
