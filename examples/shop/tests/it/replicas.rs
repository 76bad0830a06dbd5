//! The shop on three nodes with replicas, one of them late: customers see what they have just written.

use burgeon::db::{Engine, sql};
use burgeon_services::Postgres;
use burgeon_test::TestApp;

const ADA: [(&str, &str); 3] =
    [("name", "Ada Lovelace"), ("email", "ada@example.com"), ("password", "analytical engine")];

#[tokio::test]
async fn a_customer_always_sees_the_review_just_written() {
    let primary = Postgres::start().await.unwrap();
    let url = primary.create_database().await.unwrap();
    let replicas = [primary.replica().await.unwrap(), primary.replica().await.unwrap()];
    let database = url.rsplit('/').next().unwrap();
    let urls = replicas.each_ref().map(|replica| replica.url_of(database));
    for replica in &replicas {
        replica.catch_up(&primary).await.unwrap();
    }
    let app = TestApp::of(shop::app)
        .engine(Engine::Postgres)
        .nodes(3)
        .setting("database.url", &*url)
        .setting("database.replicas", urls.join(","))
        .setting("shop.catalog", "200")
        .start()
        .await;
    for replica in &replicas {
        replica.catch_up(&primary).await.unwrap();
    }
    replicas[0].set("recovery_min_apply_delay", "5s").await.unwrap();

    app.post_form("/sign-up", &ADA).await.redirects_to("/");
    for product in 1..=6 {
        let text = format!("Review number {product}, which has survived two winters outside.");
        let review = [("rating", "5"), ("title", "Sturdy"), ("text", text.as_str())];
        let page = format!("/products/{product}");
        app.post_form(&format!("{page}/reviews"), &review).await.redirects_to(&format!("{page}#reviews"));
        for node in 0..app.nodes() {
            app.node(node).get(&page).await.ok().contains(&text).contains(">Ada<");
        }
    }

    // Nor does anybody else see a page without it: what the write invalidated is filled again only from where the write is.
    for replica in &replicas {
        replica.pause_replay().await.unwrap();
    }
    app.visitor().get("/products/7").await.ok();
    let text = "It holds more tea than one would think.";
    let review = [("rating", "4"), ("title", "Roomy"), ("text", text)];
    app.post_form("/products/7/reviews", &review).await.redirects_to("/products/7#reviews");
    app.get("/products/7").await.ok().contains(text);
    // And it was replicas who could not know: a read that knows of no write gets nothing.
    let ctx = app.ctx();
    let known: i64 = sql!("test_roomy", "select count(*) from reviews_review where title = 'Roomy'")
        .one(&app.db().read(&ctx))
        .await
        .unwrap();
    assert_eq!(known, 0);
    app.visitor().get("/products/7").await.ok().contains(text);
    for replica in &replicas {
        replica.resume_replay().await.unwrap();
    }
}
