//! Placing orders: exactly what is there, exactly once, whoever comes at the same time.

use std::collections::BTreeSet;

use burgeon::db::sql;
use burgeon_test::{Client, TestApp};
use futures_util::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

fn order(token: Uuid, lines: &[(i64, i64)]) -> Value {
    let lines: Vec<_> =
        lines.iter().map(|(product, quantity)| json!({"product": product, "quantity": quantity})).collect();
    json!({
        "token": token, "lines": lines,
        "email": "ada@example.com", "name": "Ada", "street": "1 High Street", "town": "London", "postcode": "N1 1AA",
    })
}

fn token(number: u128) -> Uuid {
    Uuid::from_u128(0x6d61_726c_6f77_0000_0000_0000_0000_0000 + number)
}

async fn put_stock(app: &TestApp, product: i64, available: i64) {
    sql!(
        "test_put_stock",
        "update inventory_stock set available = $2 where product = $1",
        product,
        available
    )
    .execute(&app.db().write(&app.ctx()))
    .await
    .expect("stock is put");
}

async fn stock(app: &TestApp, product: i64) -> i64 {
    sql!("test_stock", "select available from inventory_stock where product = $1", product)
        .one(&app.db().write(&app.ctx()))
        .await
        .expect("stock is read")
}

/// Units of a product in all orders' lines.
async fn sold(app: &TestApp, product: i64) -> i64 {
    sql!(
        "test_sold",
        "select coalesce(cast(sum(quantity) as bigint), 0) from orders_line where product = $1",
        product
    )
    .one(&app.db().write(&app.ctx()))
    .await
    .expect("lines are read")
}

async fn orders_without_lines(app: &TestApp) -> i64 {
    sql!(
        "test_half_orders",
        "select count(*) from orders_order where not exists (select 1 from orders_line where order_id = orders_order.id)"
    )
    .one(&app.db().write(&app.ctx()))
    .await
    .expect("orders are read")
}

#[burgeon_test::test(shop::app, nodes = [1, 3], settings = ["shop.catalog" = "200"])]
async fn a_hundred_buyers_of_ten_things_make_exactly_ten_orders(app: TestApp) {
    put_stock(&app, 1, 10).await;
    let buyers = (0..100).map(|number| {
        let (visitor, order) = (app.visitor(), order(token(number), &[(1, 1)]));
        async move { visitor.post_json("/api/orders", &order).await.status().as_u16() }
    });
    let answers = join_all(buyers).await;
    let of = |status| answers.iter().filter(|answer| **answer == status).count();
    assert_eq!((of(201), of(409)), (10, 90), "{answers:?}");
    assert_eq!((stock(&app, 1).await, sold(&app, 1).await), (0, 10));
    assert_eq!(orders_without_lines(&app).await, 0);
    // The shelf knows it as well.
    app.get("/api/products/1").await.ok().contains("\"in_stock\":false");
}

#[burgeon_test::test(shop::app, nodes = [1, 3], settings = ["shop.catalog" = "200"])]
async fn one_form_sent_by_many_hands_is_one_order(app: TestApp) {
    put_stock(&app, 2, 50).await;
    let sendings = (0..20).map(|_| {
        let (visitor, order) = (app.visitor(), order(token(7), &[(2, 3)]));
        async move { visitor.post_json("/api/orders", &order).await.is(201).json::<Value>()["number"].clone() }
    });
    let numbers: BTreeSet<String> = join_all(sendings).await.iter().map(Value::to_string).collect();
    assert_eq!(numbers.len(), 1, "{numbers:?}");
    assert_eq!((stock(&app, 2).await, sold(&app, 2).await), (47, 3));
}

#[burgeon_test::test(shop::app, settings = ["shop.catalog" = "200"])]
async fn orders_that_want_the_same_things_in_another_order_do_not_stop_each_other(app: TestApp) {
    put_stock(&app, 3, 100).await;
    put_stock(&app, 4, 100).await;
    let buyers = (0..40).map(|number| {
        let lines = if number % 2 == 0 { [(3, 1), (4, 1)] } else { [(4, 1), (3, 1)] };
        let (visitor, order) = (app.visitor(), order(token(number), &lines));
        async move { visitor.post_json("/api/orders", &order).await.is(201) }
    });
    join_all(buyers).await;
    assert_eq!((stock(&app, 3).await, stock(&app, 4).await), (60, 60));
}

#[burgeon_test::test(shop::app, settings = ["shop.catalog" = "200"])]
async fn an_order_of_which_one_thing_is_gone_takes_nothing(app: TestApp) {
    put_stock(&app, 5, 10).await;
    put_stock(&app, 6, 1).await;
    app.post_json("/api/orders", &order(token(1), &[(5, 2), (6, 2)])).await.is(409);
    assert_eq!((stock(&app, 5).await, stock(&app, 6).await), (10, 1));
    assert_eq!(sold(&app, 5).await, 0);
    // The same form may be sent again when there is enough.
    put_stock(&app, 6, 2).await;
    app.post_json("/api/orders", &order(token(1), &[(5, 2), (6, 2)])).await.is(201);
}

#[burgeon_test::test(shop::app, nodes = [1, 3], settings = ["shop.catalog" = "200"])]
async fn what_is_bought_together_is_learnt_from_every_order_once(app: TestApp) {
    for product in [11, 12, 13] {
        put_stock(&app, product, 1_000).await;
    }
    let pairs = async |one: i64, other: i64| -> i64 {
        sql!(
            "test_pairs",
            "select coalesce(cast(sum(orders) as bigint), 0) from recommendations_pair where product = $1 and other = $2",
            one,
            other
        )
        .one(&app.db().write(&app.ctx()))
        .await
        .expect("pairs are read")
    };
    let before = [pairs(11, 12).await, pairs(12, 11).await, pairs(11, 13).await];
    // At once, in either order, and each form sent twice.
    let buyers = (0..60).map(|number| {
        let lines = if number % 2 == 0 { [(11, 1), (12, 2)] } else { [(12, 1), (11, 3)] };
        let (visitor, order) = (app.visitor(), order(token(number / 2), &lines));
        async move { visitor.post_json("/api/orders", &order).await.is(201) }
    });
    join_all(buyers).await;
    app.post_json("/api/orders", &order(token(99), &[(13, 1)])).await.is(201);
    let after = [pairs(11, 12).await, pairs(12, 11).await, pairs(11, 13).await];
    assert_eq!([0, 1, 2].map(|pair| after[pair] - before[pair]), [30, 30, 0]);
    let together: Value = app.get("/api/products/11/bought-together").await.ok().json();
    assert_eq!(together[0]["id"], 12, "{together}");
}

#[burgeon_test::test(shop::app, engines = [sqlite], settings = ["shop.catalog" = "200"])]
async fn an_order_that_makes_no_sense_is_refused_by_field(app: TestApp) {
    let mut wrong = order(token(1), &[(1, 0), (1, 99)]);
    wrong["email"] = json!("nobody");
    let told: Value = app.post_json("/api/orders", &wrong).await.is(422).json();
    let fields: Vec<_> =
        told["errors"].as_array().expect("errors").iter().map(|error| &error["field"]).collect();
    let expected = ["email", "lines[0].quantity", "lines[1].quantity", "lines[1].product"];
    assert_eq!(fields, expected.map(|field| json!(field)).iter().collect::<Vec<_>>());
    app.post_json("/api/orders", &order(token(1), &[(999_999, 1)])).await.is(404);
}

#[burgeon_test::test(shop::app, nodes = [1, 3], settings = ["shop.catalog" = "200"])]
async fn a_visitor_buys_from_the_first_page_to_the_last(app: TestApp) {
    put_stock(&app, 8, 5).await;
    app.get("/products/8").await.ok().contains("Add to basket").contains("Only 5 left");
    app.post_form("/cart", &[("product", "8"), ("quantity", "2")]).await.redirects_to("/cart");
    app.get("/cart").await.ok().contains("is in your basket").contains("To the checkout");

    let token = hidden(&app.get("/checkout").await.ok().text(), "token");
    let address = [
        ("name", "Ada"),
        ("street", "1 High Street"),
        ("town", "London"),
        ("postcode", "N1 1AA"),
        ("token", token.as_str()),
    ];
    let with_email = |email| [&address[..], &[("email", email)]].concat();
    app.post_form("/checkout", &with_email("nonsense")).await.is(422).contains("must be an email address");

    let page = format!("/orders/{token}");
    app.post_form("/checkout", &with_email("ada@example.com")).await.redirects_to(&page);
    // Sent twice, as impatient people do.
    app.post_form("/checkout", &with_email("ada@example.com")).await.redirects_to(&page);
    app.get(&page).await.ok().contains("Thank you").contains("ada@example.com");
    app.get("/cart").await.ok().contains("Nothing in it yet");
    assert_eq!((stock(&app, 8).await, sold(&app, 8).await), (3, 2));
}

#[burgeon_test::test(shop::app, engines = [sqlite], settings = ["shop.catalog" = "200"])]
async fn who_is_too_late_is_sent_back_to_the_basket(app: TestApp) {
    put_stock(&app, 9, 1).await;
    let (first, second) = (app.visitor(), app.visitor());
    for visitor in [&first, &second] {
        visitor.post_form("/cart", &[("product", "9"), ("quantity", "1")]).await.redirects_to("/cart");
    }
    check_out(&first).await;
    let token = hidden(&second.get("/checkout").await.ok().text(), "token");
    second.post_form("/checkout", &filled_in(&token)).await.redirects_to("/cart");
    second.get("/cart").await.ok().contains("Somebody was faster").contains("Sold out");
}

async fn check_out(visitor: &Client) {
    let token = hidden(&visitor.get("/checkout").await.ok().text(), "token");
    visitor.post_form("/checkout", &filled_in(&token)).await.redirects_to(&format!("/orders/{token}"));
}

fn filled_in(token: &str) -> [(&str, &str); 6] {
    [
        ("token", token),
        ("email", "ada@example.com"),
        ("name", "Ada"),
        ("street", "1 High Street"),
        ("town", "London"),
        ("postcode", "N1 1AA"),
    ]
}

/// The value of a hidden field.
fn hidden(page: &str, name: &str) -> String {
    let field = format!("name=\"{name}\" value=\"");
    let (_, rest) = page.split_once(&field).expect("the page has the hidden field");
    rest.split('"').next().unwrap_or_default().to_owned()
}
