//! What a client has written travels with it, to whichever node it asks next.

use burgeon::prelude::*;
use burgeon_test::{Engine, TestApp};

fn app() -> App {
    App::new("positions").module(|db: Db| {
        Module::new("positions").first_start("table", make_table).routes(Routes::new(db).routes([
            post("/write", write),
            post("/fail", fail),
            get("/position", position),
        ]))
    })
}

async fn make_table(ctx: Ctx, db: Db) -> Result<()> {
    sql!("make_places", "create table place (n bigint not null)").execute(&db.write(&ctx)).await.map(drop)
}

async fn write(ctx: Ctx, State(db): State<Db>) -> Result<()> {
    sql!("add_place", "insert into place (n) values (1)").execute(&db.write(&ctx)).await.map(drop)
}

async fn fail(ctx: Ctx, state: State<Db>) -> Result<()> {
    write(ctx, state).await?;
    Err(Error::conflict("It was written all the same."))
}

async fn position(ctx: Ctx) -> String {
    ctx.position().to_string()
}

#[tokio::test]
async fn a_position_goes_from_node_to_node_with_its_client_and_with_nobody_else() {
    let app = TestApp::of(app)
        .engine(Engine::Postgres)
        .nodes(3)
        .setting("database.postgres.causal_position", "true");
    let app = app.start().await;
    app.node(0).get("/position").await.ok().contains("0:0/0");
    let written = app.node(0).post_json("/write", &()).await.ok();
    assert!(written.header("burgeon-position").is_some());
    let here = app.node(0).get("/position").await.ok();
    assert!(here.text().starts_with("1:"), "{}", here.text());
    assert_eq!(here.header("burgeon-position"), None, "nothing new was written");
    assert_eq!(app.node(2).get("/position").await.ok().text(), here.text());
    app.visitor().get("/position").await.ok().contains("0:0/0");

    // What was written before a failure was written.
    app.node(1).post_json("/fail", &()).await.is(409);
    assert_ne!(app.node(2).get("/position").await.ok().text(), here.text());
}

#[tokio::test]
async fn where_nothing_can_be_behind_nothing_travels() {
    let app = TestApp::of(app).engine(Engine::Sqlite).start().await;
    let written = app.post_json("/write", &()).await.ok();
    assert_eq!((written.header("burgeon-position"), written.header("set-cookie")), (None, None));
}
