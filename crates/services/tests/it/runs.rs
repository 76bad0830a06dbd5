//! One server for a run of many processes, and its end.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use burgeon_services::Postgres;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{sleep, timeout};

use crate::abandoned::{directories, scratch, until_clean};
use crate::wire::{PATIENCE, psql};

#[tokio::test]
async fn processes_one_after_the_other_meet_the_same_server_and_it_ends_with_the_run() {
    let scratch = furnished().await;
    // Between two of them, nobody has it.
    let mut run = Run::start(scratch.path(), "\"$0\"; \"$0\"; read -r _; \"$0\"; read -r _");
    let (one, other) = (run.member().await, run.member().await);
    assert_eq!(one.port, other.port);
    assert_ne!(one.url, other.url);
    assert_eq!(psql(&one.url, "select 1").await.unwrap(), "1", "its database outlives it");
    run.next().await;
    assert_eq!(run.member().await.port, one.port);
    assert_eq!(directories(scratch.path()), 1);
    run.next().await;
    until_clean(scratch.path()).await;
    assert!(psql(&one.url, "select 1").await.unwrap_err().to_string().contains("refused"));
}

#[tokio::test]
async fn a_killed_run_takes_nobodys_server_away_and_leaves_nothing_when_the_last_is_killed() {
    let scratch = furnished().await;
    let mut run = Run::start(scratch.path(), "\"$0\" stay & \"$0\" stay & \"$0\" stay & wait");
    let members = [run.member().await, run.member().await, run.member().await];
    run.process.kill().await.unwrap();
    for index in 0..members.len() {
        for left in &members[index..] {
            assert_eq!(psql(&left.url, "select 1").await.unwrap(), "1");
        }
        members[index].kill();
    }
    until_clean(scratch.path()).await;
}

#[tokio::test]
async fn two_runs_have_a_server_each() {
    let scratch = furnished().await;
    let mut runs = [(); 2].map(|()| Run::start(scratch.path(), "\"$0\"; read -r _"));
    let [one, other] = &mut runs;
    assert_ne!(one.member().await.port, other.member().await.port);
    one.next().await;
    other.next().await;
    until_clean(scratch.path()).await;
}

#[tokio::test]
async fn what_the_dead_have_left_is_dropped_and_what_the_living_have_is_not() {
    let scratch = furnished().await;
    let script =
        "\"$0\" stay & stays=$!; for _ in 1 2 3 4 5 6 7 8 9; do \"$0\"; done; read -r _; kill $stays";
    let mut run = Run::start(scratch.path(), script);
    let mut members = Vec::new();
    for _ in 0..10 {
        members.push(run.member().await);
    }
    // The one who stays may have been the last to speak.
    let stays = members.iter().find(|member| member.is_alive()).expect("one of them stays");
    assert_eq!(psql(&stays.url, "select 1").await.unwrap(), "1");
    let postgres = format!("{}/postgres", stays.url.rsplit_once('/').unwrap().0);
    let there = psql(&postgres, "select count(*) from pg_database where datname ~ '^test_'").await.unwrap();
    assert!(there.parse::<usize>().unwrap() < 8, "{there} databases are there");
    run.next().await;
    until_clean(scratch.path()).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_run_whose_server_has_lost_its_shell_gets_another_one() {
    let scratch = furnished().await;
    let mut run = Run::start(scratch.path(), "\"$0\"; read -r _; \"$0\"; read -r _");
    let lost = run.member().await;
    let data = psql(&lost.url, "show data_directory").await.unwrap();
    let directory = data.trim_end_matches("/data");
    let shells = shells(directory);
    assert!(!shells.is_empty());
    shells.iter().for_each(|shell| kill(*shell, Signal::KILL));
    until_deaf(directory).await;
    run.next().await;
    let found = run.member().await;
    assert_ne!(found.port, lost.port);
    // With its shell gone, nobody else ends it.
    let postgres = std::fs::read_to_string(Path::new(directory).join("pid")).unwrap();
    kill(postgres.trim().parse().unwrap(), Signal::QUIT);
    std::fs::remove_dir_all(directory).unwrap();
    run.next().await;
    until_clean(scratch.path()).await;
}

/// A directory in which nothing runs, with the template that this machine has: `initdb` is not what these tests are about.
async fn furnished() -> tempfile::TempDir {
    let scratch = scratch();
    // Whoever starts one leaves its template.
    Postgres::shared().await.unwrap();
    let common = format!("burgeon-services-{}", rustix::process::geteuid().as_raw());
    let (from, to) = (std::env::temp_dir().join(&common), scratch.path().join(&common));
    std::fs::create_dir(&to).unwrap();
    for file in std::fs::read_dir(from).unwrap().map(|file| file.unwrap().path()) {
        if file.extension().is_some_and(|extension| extension == "tar") {
            std::fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
        }
    }
    scratch
}

/// A shell that starts processes, as `cargo nextest` does.
struct Run {
    process: Child,
    orders: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

/// What one of them said.
struct Member {
    id: i32,
    url: String,
    port: u16,
}

impl Run {
    /// `$0` is the process to start.
    fn start(scratch: &Path, script: &str) -> Run {
        let mut process = Command::new("/bin/sh")
            .args(["-c", script, env!("CARGO_BIN_EXE_burgeon-services-member")])
            .env("TMPDIR", scratch)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Run { orders: process.stdin.take().unwrap(), process, lines }
    }

    /// The next that has joined.
    async fn member(&mut self) -> Member {
        let line = timeout(3 * PATIENCE, self.lines.next_line()).await.unwrap().unwrap();
        let line = line.expect("the run ended early");
        let (id, url) = line.split_once(' ').unwrap();
        let port = url.rsplit_once(':').unwrap().1.split('/').next().unwrap();
        Member { id: id.parse().unwrap(), port: port.parse().unwrap(), url: url.to_owned() }
    }

    /// Lets the script go on after its `read`.
    async fn next(&mut self) {
        self.orders.write_all(b"\n").await.unwrap();
    }
}

impl Member {
    fn is_alive(&self) -> bool {
        Path::new("/proc").join(self.id.to_string()).exists()
    }

    fn kill(&self) {
        kill(self.id, Signal::KILL);
    }
}

fn kill(id: i32, signal: Signal) {
    kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
}

/// Waits until nobody listens at the line of this server any more: the kernel takes its time to end who was killed.
async fn until_deaf(directory: &str) {
    let line = Path::new(directory).join("line");
    timeout(PATIENCE, async {
        while pipe::OpenOptions::new().open_sender(&line).is_ok() {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .unwrap();
}

/// The processes of the shell that looks after this server.
fn shells(directory: &str) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = processes.filter_map(|process| process.file_name().to_str()?.parse().ok());
    let looks_after = |id: &i32| {
        let words = std::fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
        words.contains("supervise.sh") && words.split('\0').any(|word| word == directory)
    };
    ids.filter(looks_after).collect()
}
