//! One body on every engine and number of nodes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use burgeon::prelude::*;
use burgeon_test::{Engine, TestApp};

/// Keeps one number in the database and one in its own memory.
#[derive(Clone)]
struct Counter {
    db: Db,
    own: Arc<AtomicU64>,
}

fn app() -> App {
    App::new("counter").module(|db: Db| {
        let counter = Counter { db, own: Arc::default() };
        Module::new("counter").first_start("table", make_table).routes(Routes::new(counter).routes([
            post("/count", count),
            get("/count", read),
            post("/own", own),
        ]))
    })
}

async fn make_table(ctx: Ctx, db: Db) -> Result<()> {
    sql!("make", "create table if not exists counter (n bigint not null)").execute(&db.write(&ctx)).await?;
    sql!("begin", "insert into counter (n) values (0)").execute(&db.write(&ctx)).await?;
    Ok(())
}

async fn count(ctx: Ctx, State(counter): State<Counter>) -> Result<()> {
    sql!("count_up", "update counter set n = n + 1").execute(&counter.db.write(&ctx)).await.map(drop)
}

async fn read(ctx: Ctx, State(counter): State<Counter>) -> Result<Json<i64>> {
    Ok(Json(sql!("read_count", "select n from counter").one(&counter.db.read(&ctx)).await?))
}

async fn own(State(counter): State<Counter>) -> Result<Json<u64>> {
    Ok(Json(counter.own.fetch_add(1, Ordering::Relaxed)))
}

#[burgeon_test::test(app)]
async fn what_is_in_the_database_is_the_same_on_every_node(app: TestApp) {
    for _ in 0..6 {
        app.post_json("/count", &()).await.ok();
    }
    for _ in 0..app.nodes() {
        assert_eq!(app.get("/count").await.ok().json::<i64>(), 6);
    }
}

#[burgeon_test::test(app)]
async fn requests_go_from_node_to_node(app: TestApp) {
    let nodes = app.nodes() as u64;
    for turn in 0..2 * nodes {
        // Each node counts for itself, so the answer shows whose turn it was.
        assert_eq!(app.post_json("/own", &()).await.ok().json::<u64>(), turn / nodes);
    }
    assert_eq!(app.node(0).post_json("/own", &()).await.ok().json::<u64>(), 2);
}

#[burgeon_test::test(app)]
async fn a_socket_and_no_socket_give_the_same_answer(app: TestApp) {
    app.post_json("/count", &()).await.ok();
    let (inside, through) = (app.get("/count").await.ok(), app.through_sockets().get("/count").await.ok());
    assert_eq!(inside.text(), through.text());
    assert_eq!(inside.header("content-type"), through.header("content-type"));
}

#[burgeon_test::test(app)]
async fn a_first_start_runs_once_whatever_the_number_of_nodes(app: TestApp) {
    let rows: i64 =
        sql!("rows", "select count(*) from counter").one(&app.db().read(&app.ctx())).await.unwrap();
    assert_eq!(rows, 1);
}

#[burgeon_test::test(app, engines = [postgres], nodes = [3])]
async fn a_node_that_stops_leaves_the_others_serving(app: TestApp) {
    app.stop_node(1).await;
    app.node(0).post_json("/count", &()).await.ok();
    assert_eq!(app.node(2).get("/count").await.ok().json::<i64>(), 1);
}

#[burgeon_test::test(app, engines = [postgres], nodes = [1])]
async fn nodes_that_start_at_once_fill_the_database_once(app: TestApp) {
    let (one, two) = tokio::join!(app.another_node(), app.another_node());
    let rows: i64 =
        sql!("rows", "select count(*) from counter").one(&app.db().read(&app.ctx())).await.unwrap();
    assert_eq!(rows, 1);
    one.stop().await.unwrap();
    two.stop().await.unwrap();
}

#[burgeon_test::test(app, engines = [sqlite])]
async fn a_test_may_return_an_error(app: TestApp) -> Result<()> {
    let one: i64 = sql!("one", "select 1").one(&app.db().read(&app.ctx())).await?;
    assert_eq!((one, app.engine()), (1, Engine::Sqlite));
    Ok(())
}

#[burgeon_test::test(app, engines = [sqlite])]
#[should_panic(expected = "expected status 418")]
async fn a_wrong_expectation_fails_with_what_came_instead(app: TestApp) {
    app.get("/count").await.is(418);
}

#[tokio::test]
async fn a_setting_reaches_the_application() {
    let app = TestApp::of(app).setting("app.first_start", "false").start().await;
    app.get("/count").await.is(500);
    app.stop().await;
}
