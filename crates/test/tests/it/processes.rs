//! The application in processes of its own: killed, stopped, restarted.

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
