//! Looking around: pages, search, pictures.

use std::collections::BTreeSet;

use burgeon_test::{Engine, TestApp};
use serde_json::Value;

#[burgeon_test::test(shop::app, settings = ["shop.catalog" = "200"])]
async fn the_window_is_full_on_the_first_day(app: TestApp) {
    let home = app.get("/").await.ok().contains("Fewer things").contains("Most loved").contains("Just in");
    assert!(home.text().matches("class=\"card\"").count() >= 16);
    app.get("/products/1").await.ok().contains("Bought together").contains("What others think");
    app.get("/departments/kitchen").await.ok().contains("outlive the stove");
    app.get("/search?q=mug&stars=4&in_stock=true&sort=cheap&from=&to=30&category=")
        .await
        .ok()
        .contains("things");
    app.get("/search?q=nothinglikethis").await.ok().contains("Nothing like that on our shelves");
    assert_eq!(total(&app).await, 200);
}

#[burgeon_test::test(shop::app, engines = [sqlite])]
async fn two_thousand_products_are_there_if_nobody_says_otherwise(app: TestApp) {
    assert_eq!(total(&app).await, 2_000);
}

#[burgeon_test::test(shop::app, settings = ["shop.catalog" = "200"])]
async fn a_list_of_reviews_is_the_json_of_reviews(app: TestApp) {
    let text = app.get("/api/products/1/reviews").await.ok().text();
    let reviews: Vec<shop::reviews::Review> = serde_json::from_str(&text).expect("reviews");
    assert!(!reviews.is_empty());
    // Written row by row, without a `Review` in between, and no byte different.
    assert_eq!(serde_json::to_string(&reviews).expect("they are written"), text);
}

#[burgeon_test::test(shop::app, settings = ["shop.catalog" = "20", "shop.looks" = "100ms"])]
async fn looks_at_a_product_are_counted_and_each_once(app: TestApp) {
    for _ in 0..20 {
        app.get("/products/3").await.ok();
    }
    // Written together, a second later; each look at the answer is one more.
    let mut looks = 20;
    let counted = async {
        loop {
            // Perhaps written before the page is.
            looks += 1;
            let page = app.get("/products/3").await.ok().text();
            let words = page.split("Looked at ").nth(1).and_then(|rest| rest.split(' ').next());
            match words.map(|count| count.parse::<i64>().expect("a number")) {
                Some(count) if count >= 20 => return count,
                _ => {}
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let counted = tokio::time::timeout(std::time::Duration::from_secs(30), counted).await;
    let counted = counted.expect("looks are counted");
    assert!(counted <= looks, "{counted} of {looks} looks were counted");
}

async fn total(app: &TestApp) -> Value {
    app.get("/api/products").await.ok().json::<Value>()["total"].clone()
}

#[burgeon_test::test(shop::app, engines = [sqlite], settings = ["shop.catalog" = "200"])]
async fn what_is_not_there_is_told_in_the_shops_own_look(app: TestApp) {
    app.get("/products/999999").await.is(404);
    app.get("/departments/weapons").await.is(404);
    app.get("/search?stars=many").await.is(422);
    app.get("/search?after=nonsense").await.is(400);
    app.get("/pictures/unicorn-pink-1.svg").await.is(404);
}

#[burgeon_test::test(shop::app, engines = [sqlite], settings = ["shop.catalog" = "200"])]
async fn a_picture_is_drawn_once_and_then_known(app: TestApp) {
    let first = app.get("/pictures/mug-moss-7.svg").await.ok();
    assert_eq!(first.header("content-type"), Some("image/svg+xml"));
    assert!(first.header("cache-control").is_some_and(|value| value.contains("immutable")));
    assert!(first.header("etag").is_some());
    assert_eq!(app.get("/pictures/mug-moss-7.svg").await.ok().bytes(), first.bytes());
}

#[burgeon_test::test(shop::app, settings = ["shop.catalog" = "200"])]
async fn reading_page_after_page_meets_everything_once_and_in_order(app: TestApp) {
    for sort in ["popular", "cheap", "dear", "rated", "new"] {
        let mut seen = BTreeSet::new();
        let mut prices = Vec::new();
        let mut after = String::new();
        loop {
            let path = format!("/api/products?category=bath&limit=7&sort={sort}{after}");
            let page: Value = app.get(&path).await.ok().json();
            for product in page["products"].as_array().expect("products") {
                assert!(seen.insert(product["id"].as_i64()), "{sort}: {product} comes twice");
                prices.push(
                    product["price"].as_str().and_then(|price| price.parse::<f64>().ok()).expect("a price"),
                );
            }
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => {
                    assert_eq!(page["total"], seen.len(), "{sort}");
                    break;
                }
            }
        }
        match sort {
            "cheap" => assert!(prices.is_sorted()),
            "dear" => assert!(prices.is_sorted_by(|a, b| a >= b)),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_engines_find_the_same_in_the_same_order() {
    let sqlite = TestApp::of(shop::app).setting("shop.catalog", "500").engine(Engine::Sqlite).start().await;
    let postgres =
        TestApp::of(shop::app).setting("shop.catalog", "500").engine(Engine::Postgres).start().await;
    let asked = [
        "q=mug",
        "q=MUGS",
        "q=oak+shelf",
        "q=blue",
        "q=throw+in+moss",
        "q=250+g",
        "q=caf%C3%A9",
        "q=%22%27*%3A%26%7C%21",
        "q=the",
        "q=kitchen+kettle&sort=cheap",
        "q=lamp&sort=rated",
        "q=lamp&stars=4&in_stock=true",
        "category=desk&sort=new",
        "from=10&to=12.50&sort=dear",
        "sort=rated",
        "q=copper&category=kitchen&sort=new",
    ];
    for query in asked {
        let [one, other] = [&sqlite, &postgres].map(|app| async move {
            let found: Value = app.get(&format!("/api/products?{query}")).await.ok().json();
            let ids: Vec<_> = found["products"]
                .as_array()
                .expect("products")
                .iter()
                .map(|product| product["id"].clone())
                .collect();
            (found["total"].clone(), ids)
        });
        assert_eq!(one.await, other.await, "{query}");
    }
    sqlite.stop().await;
    postgres.stop().await;
}
