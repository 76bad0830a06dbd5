//! Customers: signing up, in and out, and what only they may do.

use burgeon_test::TestApp;

const ADA: [(&str, &str); 3] =
    [("name", "Ada Lovelace"), ("email", "Ada@Example.com"), ("password", "analytical engine")];

#[burgeon_test::test(shop::app, nodes = [1, 3], settings = ["shop.catalog" = "200"])]
async fn who_signs_up_is_known_on_every_page_until_signing_out(app: TestApp) {
    app.post_form("/sign-up", &ADA).await.redirects_to("/");
    for _ in 0..app.nodes() {
        app.get("/cart").await.ok().contains(">Ada<").contains("Sign out");
    }
    app.post_form("/sign-out", &[]).await.redirects_to("/");
    app.get("/").await.ok().contains("Sign in").lacks(">Ada<");

    app.get("/sign-in").await.ok();
    let form = |password| [("email", "ada@example.com"), ("password", password)];
    app.post_form("/sign-in", &form("difference engine")).await.is(422).contains("or the address is wrong");
    app.post_form("/sign-in?to=/orders", &form("analytical engine")).await.redirects_to("/orders");
    app.get("/orders").await.ok().contains("No orders yet");
}

#[burgeon_test::test(shop::app, settings = ["shop.catalog" = "200"])]
async fn one_address_has_one_account(app: TestApp) {
    app.post_form("/sign-up", &ADA).await.redirects_to("/");
    app.visitor().post_form("/sign-up", &ADA).await.is(422).contains("has an account here");
}

#[burgeon_test::test(shop::app, engines = [sqlite], settings = ["shop.catalog" = "200"])]
async fn a_form_comes_back_with_what_was_typed_and_what_is_wrong(app: TestApp) {
    let answer =
        app.post_form("/sign-up", &[("name", "Ada"), ("email", "ada"), ("password", "short")]).await.is(422);
    let page = answer.contains("must be an email address").contains("must have 10 to 200 characters").text();
    assert!(page.contains("value=\"ada\"") && !page.contains("short\""), "{page}");
}

#[burgeon_test::test(shop::app, engines = [sqlite], settings = ["shop.catalog" = "200"])]
async fn nobody_is_sent_to_another_site_after_signing_in(app: TestApp) {
    app.post_form("/sign-up?to=//evil.example", &ADA).await.redirects_to("/");
}

#[burgeon_test::test(shop::app, nodes = [1, 3], settings = ["shop.catalog" = "200"])]
async fn a_customer_reviews_a_product_once_and_the_stars_follow(app: TestApp) {
    let review = [("rating", "5"), ("title", "Sturdy"), ("text", "It has survived two winters outside.")];
    app.post_form("/products/1/reviews", &review).await.is(401);
    app.post_form("/sign-up", &ADA).await.redirects_to("/");

    let before = reviews(&app).await;
    for _ in 0..2 * app.nodes() {
        // Every node keeps the page's reviews, and the list for programs.
        app.get("/products/1").await.ok();
        app.get("/api/products/1/reviews").await.ok().lacks("survived two winters");
    }
    app.post_form("/products/1/reviews", &review[..2]).await.is(422);
    app.post_form("/products/1/reviews", &review).await.redirects_to("/products/1#reviews");
    for _ in 0..app.nodes() {
        app.get("/products/1").await.ok().contains("survived two winters").contains("Ada L.");
        app.get("/api/products/1/reviews").await.ok().contains("survived two winters");
    }
    app.post_form("/products/1/reviews", &review).await.redirects_to("/products/1#reviews");
    app.get("/products/1").await.ok().contains("reviewed this product before");
    assert_eq!(reviews(&app).await, before + 1);
}

async fn reviews(app: &TestApp) -> i64 {
    app.get("/api/products/1").await.ok().json::<serde_json::Value>()["reviews"].as_i64().expect("a number")
}
