//! A price is changed by the binary beside running nodes, and seen by visitors of all of them; and what is cached is never
//! what is sold.

use std::process::Command;
use std::time::Duration;

use burgeon::db::sql;
use burgeon_test::{Client, Engine, Processes, TestApp};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

const SHOP: &str = env!("CARGO_BIN_EXE_shop");

/// `shop price PRODUCT NEW`, as an operator types it.
fn price(processes: &Processes, product: &str, new: &str) -> String {
    let output = Command::new(SHOP)
        .current_dir(processes.directory())
        .env("DATABASE_URL", processes.database_url())
        .args(["price", product, new])
        .output()
        .expect("the shop runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

async fn costs(client: &Client, product: &str) -> String {
    let product: Value = client.get(&format!("/api/products/{product}")).await.ok().json();
    product["price"].as_str().expect("a price").to_owned()
}

#[tokio::test]
async fn a_new_price_is_seen_on_every_node_within_a_second() {
    for (engine, nodes) in [(Engine::Sqlite, 1), (Engine::Postgres, 3)] {
        let mut shop =
            Processes::of(SHOP).engine(engine).nodes(nodes).setting("shop.catalog", "20").start().await;
        let visitors: Vec<Client> = (0..nodes).map(|node| shop.node(node).client()).collect();
        let before = costs(&visitors[0], "7").await;
        for visitor in &visitors {
            assert_eq!(costs(visitor, "7").await, before);
            visitor.get("/products/7").await.ok().lacks("£4321.99");
        }
        assert!(price(&shop, "7", "4321.99").contains(&format!("£4321.99 now, and cost £{before}")));
        let changed = Instant::now();
        for visitor in &visitors {
            while costs(visitor, "7").await != "4321.99" {
                assert!(changed.elapsed() < Duration::from_secs(1), "{engine:?}: still at {before}");
                sleep(Duration::from_millis(5)).await;
            }
            visitor.get("/products/7").await.ok().contains("£4321.99");
        }
    }
}

#[tokio::test]
async fn a_price_that_is_none_is_refused() {
    let processes = Processes::of(SHOP).setting("shop.catalog", "20").start().await;
    for (product, new, why) in
        [("7", "0", "more than nothing"), ("999", "5", "product"), ("7", "much", "amount of money")]
    {
        let output = Command::new(SHOP)
            .current_dir(processes.directory())
            .env("DATABASE_URL", processes.database_url())
            .args(["price", product, new])
            .output()
            .expect("the shop runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(why), "{said}");
    }
}

#[burgeon_test::test(shop::app, nodes = [1, 3], settings = ["shop.catalog" = "20"])]
async fn what_pages_show_is_cached_and_what_is_sold_is_not(app: TestApp) {
    for node in 0..app.nodes() {
        app.node(node).get("/products/3").await.ok().contains("Add to basket");
    }
    // Behind the caches' back, as no part of the shop does it.
    let ctx = app.ctx();
    let behind = app.db().write(&ctx);
    sql!("test_sell_out", "update inventory_stock set available = 1 where product = 3")
        .execute(&behind)
        .await
        .expect("the row is changed");
    sql!("test_raise", "update catalog_product set price = 990000 where id = 3")
        .execute(&behind)
        .await
        .expect("the row is changed");
    let shown = app.node(0).get("/products/3").await.ok().text();
    assert!(!shown.contains("£99.00"), "the page was not cached, so this test tests nothing");

    let order = |token: u128, quantity: i64| {
        json!({
            "token": uuid::Uuid::from_u128(token), "lines": [{"product": 3, "quantity": quantity}],
            "email": "ada@example.com", "name": "Ada", "street": "1 High Street", "town": "London", "postcode": "N1 1AA",
        })
    };
    app.node(0).post_json("/api/orders", &order(1, 2)).await.is(409);
    let sold: Value = app.node(0).post_json("/api/orders", &order(2, 1)).await.is(201).json();
    assert_eq!(sold["lines"][0]["price"], "99.00", "{sold}");
    // Selling it told the caches.
    app.node(0).get("/products/3").await.ok().contains("Sold out").contains("£99.00");
}
