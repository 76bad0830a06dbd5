//! What visitors share, and what they never do.

use burgeon_test::{Answer, TestApp};

fn how(answer: &Answer) -> &str {
    answer.header("cache-status").unwrap_or("no cache was asked")
}

/// It was, or is now, everybody's on the node that answered; where there is one node, it was.
fn is_shared(app: &TestApp, answer: &Answer) -> bool {
    how(answer).starts_with("burgeon; hit; ttl=")
        || app.nodes() > 1 && how(answer) == "burgeon; fwd=uri-miss; stored"
}

/// The part of the home page that is the same for everybody.
fn shelves(answer: &Answer) -> String {
    let text = answer.text();
    let (_, shelves) = text.split_once("Most loved").expect("the shelves");
    shelves.split_once("<footer>").expect("the footer").0.to_owned()
}

#[burgeon_test::test(shop::app, settings = ["shop.catalog" = "200"])]
async fn two_visitors_share_the_window_and_neither_sees_what_is_the_others(app: TestApp) {
    let (ada, bob) = (app.visitor(), app.visitor());
    let first = ada.get("/").await.ok();
    assert_eq!(how(&first), "burgeon; fwd=uri-miss; stored");
    assert_eq!(first.header("set-cookie"), None);
    assert_eq!(first.header("burgeon-cache-control"), None);
    assert_eq!(first.header("surrogate-key"), None);
    let second = bob.get("/").await.ok();
    assert!(is_shared(&app, &second), "{}", how(&second));
    assert_eq!(first.text(), second.text());

    // Ada puts something into her basket, and is told so on the next page, once.
    ada.get("/products/1").await.ok();
    ada.post_form("/cart", &[("product", "1"), ("quantity", "3")]).await.is(303);
    let hers = ada.get("/").await.ok().contains("role=\"status\"").contains("class=\"count\"");
    assert!(how(&hers).ends_with("; detail=cookie"), "{}", how(&hers));
    assert_eq!(shelves(&hers), shelves(&second), "she sees the same shelves");
    ada.get("/").await.ok().lacks("role=\"status\"").contains("class=\"count\"");

    // Bob has seen nothing of it.
    let his = bob.get("/").await.ok().lacks("class=\"count\"").lacks("role=\"status\"");
    assert!(is_shared(&app, &his), "{}", how(&his));
    // Nor does a stranger see what was made for her a moment ago, at an address nobody has asked for before.
    let hers = ada.get("/?from=mail").await.ok().contains("class=\"count\"");
    assert_eq!(how(&hers), "burgeon; fwd=uri-miss; detail=cookie");
    let stranger = app.visitor().get("/?from=mail").await.ok().lacks("class=\"count\"");
    assert_eq!(how(&stranger), "burgeon; fwd=uri-miss; stored");
}

#[burgeon_test::test(shop::app, engines = [sqlite], settings = ["shop.catalog" = "200"])]
async fn a_list_is_everybodys_whoever_is_signed_in(app: TestApp) {
    let (ada, bob) = (app.visitor(), app.visitor());
    ada.get("/products/1").await.ok();
    ada.post_form("/cart", &[("product", "1"), ("quantity", "3")]).await.is(303);
    let first = ada.get("/api/products?category=bath&limit=5").await.ok();
    assert_eq!(how(&first), "burgeon; fwd=uri-miss; stored");
    let second = bob.get("/api/products?limit=5&category=bath").await.ok();
    assert!(how(&second).starts_with("burgeon; hit; ttl="), "{}", how(&second));
    assert_eq!(first.bytes(), second.bytes());
    assert!(how(&bob.get("/api/departments").await.ok()).starts_with("burgeon; fwd=uri-miss; stored"));
}
