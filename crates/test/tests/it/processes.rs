//! The application in processes of its own: killed, stopped, restarted.

use std::process::{Command, Output};

use burgeon::{Ctx, Meters, Tasks};
use burgeon_db::{Config, Db, sql};
use burgeon_test::{Engine, Processes};
use bytes::Bytes;

const HELLO: &str = env!("CARGO_BIN_EXE_burgeon-hello");

#[tokio::test]
async fn a_process_serves_drains_on_sigterm_and_starts_again() {
    let mut processes = Processes::of(HELLO).start().await;
    let node = processes.node(0);
    node.client().get("/").await.ok().contains("The database says it is");
    node.client().get("/readyz").await.ok();
    assert!(node.terminate().await.success());
    node.start().await;
    node.client().get("/").await.ok();
}

#[tokio::test]
async fn a_killed_process_is_gone_and_a_new_one_takes_its_database_over() {
    let mut processes = Processes::of(HELLO).start().await;
    let node = processes.node(0);
    let client = node.client();
    node.kill().await;
    let request = http::Request::get("/").body(Bytes::new()).unwrap();
    client.try_request(request).await.unwrap_err();
    node.start().await;
    node.client().get("/").await.ok();
}

#[tokio::test]
async fn three_processes_share_a_database() {
    let mut processes = Processes::of(HELLO).engine(Engine::Postgres).nodes(3).start().await;
    for index in 0..processes.len() {
        processes.node(index).client().get("/").await.ok();
    }
    processes.node(1).kill().await;
    processes.node(2).client().get("/").await.ok();
}

#[tokio::test]
#[should_panic(expected = "`http.prot` is not a key; did you mean `http.port`?")]
async fn a_process_that_does_not_start_is_shown_with_what_it_said() {
    Processes::of(HELLO).setting("http.prot", "1").start().await;
}

/// A verb beside a running process, on the same database.
fn beside(processes: &Processes, arguments: &[&str]) -> (Output, String) {
    let output = Command::new(HELLO)
        .current_dir(processes.directory())
        .env("DATABASE_URL", processes.database_url())
        .env("PORT", "0")
        .env("BURGEON__ADMIN__PORT", "0")
        .args(arguments)
        .output()
        .unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output, said)
}

#[tokio::test]
async fn a_second_process_on_one_sqlite_file_is_refused_with_the_line_that_allows_it() {
    let mut processes = Processes::of(HELLO).start().await;
    let id = processes.node(0).id().unwrap();
    let (output, said) = beside(&processes, &["serve"]);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for told in [
        "another process serves from this SQLite file",
        &format!("process {id}"),
        "[database.sqlite]",
        "shared = true",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
    // What changes no tables may run beside it.
    let (output, said) = beside(&processes, &["migrate", "--status"]);
    assert!(output.status.success(), "{said}");
    let (output, said) = beside(&processes, &["migrate"]);
    assert!(output.status.success() && said.contains("up to date"), "{said}");
    processes.node(0).client().get("/").await.ok();
    // Behind it the file is free again, and killed or stopped is the same.
    processes.node(0).kill().await;
    processes.node(0).start().await;
    processes.node(0).client().get("/").await.ok();
}

#[tokio::test]
async fn two_processes_share_a_sqlite_file_where_that_is_allowed() {
    let mut first = Processes::of(HELLO).setting("database.sqlite.shared", "true").start().await;
    let url = first.database_url().to_owned();
    let shared = Processes::of(HELLO).setting("database.sqlite.shared", "true").setting("database.url", url);
    let mut second = shared.start().await;
    first.node(0).client().get("/").await.ok();
    second.node(0).client().get("/").await.ok();
}

#[tokio::test]
async fn tables_are_not_changed_under_a_running_process() {
    let processes = Processes::of(HELLO).start().await;
    // As if the program on disk were newer than the one that runs.
    let meters = Meters::new();
    let db = Db::open(&Config::at(processes.database_url()), &Tasks::new(&meters), &meters).await.unwrap();
    let forget = sql!("forget", "delete from burgeon_migration where module = 'http'");
    assert_eq!(forget.execute(&db.write(&Ctx::background())).await.unwrap(), 1);
    let (output, said) = beside(&processes, &["migrate"]);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("behind by 1 migrations") && said.contains("is in use (serve, process"), "{said}");
}
