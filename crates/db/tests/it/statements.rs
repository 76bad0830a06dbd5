//! Statements, rows and transactions, simply.

use burgeon_core::{Error, Kind, Money, Result};
use burgeon_db::{Engine, Fault, Row, STATEMENTS, sql};

use crate::house::{House, on_both_engines};

on_both_engines!(
    a_row_is_read_by_names_a_tuple_by_position,
    parameters_out_of_order_reach_their_own_place,
    a_transaction_is_kept_whole_or_not_at_all,
    a_fault_is_told_by_its_sort,
    a_statement_is_a_known_value_with_meters,
);

#[derive(Debug, PartialEq, Row)]
struct Product {
    price: Money,
    id: i64,
    #[row(rename = "title")]
    name: String,
    note: Option<String>,
}

async fn make_products(house: &House) {
    let on = house.db.write(&house.ctx);
    sql!(
        "make_product",
        sqlite: "create table product (id integer primary key, title text not null constraint title unique,
            price integer not null constraint price_positive check (price >= 0), note text) strict",
        postgres: "create table product (id bigint primary key, title text not null constraint title unique,
            price bigint not null constraint price_positive check (price >= 0), note text)"
    )
    .execute(&on)
    .await
    .unwrap();
    for (id, title, price) in [(1, "Lamp", 9_50), (2, "Mug", 4_00)] {
        sql!(
            "add_product",
            "insert into product (id, title, price) values ($1, $2, $3)",
            id,
            title,
            Money::from_cents(price)
        )
        .execute(&on)
        .await
        .unwrap();
    }
}

async fn a_row_is_read_by_names_a_tuple_by_position(house: House) {
    make_products(&house).await;
    let on = house.db.read(&house.ctx);
    let lamp: Product =
        sql!("find", "select id, title, price, note from product where id = $1", 1).one(&on).await.unwrap();
    assert_eq!(
        lamp,
        Product { id: 1, name: "Lamp".to_owned(), price: Money::from_cents(950).unwrap(), note: None }
    );
    let all: Vec<(i64, String)> =
        sql!("list", "select id, title from product order by id").all(&on).await.unwrap();
    assert_eq!(all, [(1, "Lamp".to_owned()), (2, "Mug".to_owned())]);
    let some: Vec<i64> =
        sql!("some", "select id from product where id = any($1) order by id", vec![2_i64, 7])
            .all(&on)
            .await
            .unwrap();
    assert_eq!(some, [2]);
    let none: Option<i64> =
        sql!("none", "select id from product where id = $1", 9).optional(&on).await.unwrap();
    assert_eq!(none, None);
    let error = sql!("none", "select id from product where id = $1", 9).one::<i64>(&on).await.unwrap_err();
    assert_eq!((error.kind(), Fault::of(&error)), (Kind::NotFound, Some(&Fault::NoRow)));
}

async fn parameters_out_of_order_reach_their_own_place(house: House) {
    make_products(&house).await;
    let on = house.db.write(&house.ctx);
    let price = Money::from_cents(1).unwrap();
    let touched = sql!(
        "reprice",
        "update product set price = $2, note = $3 where id = $1 and price <> $2",
        2,
        price,
        "sale"
    )
    .execute(&on)
    .await
    .unwrap();
    assert_eq!(touched, 1);
    let rows: Vec<(i64, Money, Option<String>)> =
        sql!("prices", "select id, price, note from product order by id").all(&on).await.unwrap();
    assert_eq!(rows[0], (1, Money::from_cents(950).unwrap(), None));
    assert_eq!(rows[1], (2, price, Some("sale".to_owned())));
}

async fn a_transaction_is_kept_whole_or_not_at_all(house: House) {
    make_products(&house).await;
    let House { db, ctx, .. } = &house;
    let result: Result<()> = db
        .tx(ctx, async |tx| {
            sql!("raise", "update product set price = price + 1").execute(tx).await?;
            Err(Error::conflict("no"))
        })
        .await;
    assert_eq!(result.unwrap_err().kind(), Kind::Conflict);
    let sum = async || {
        sql!("sum", "select sum(price) from product").one::<Money>(&db.read(ctx)).await.unwrap().raw()
    };
    assert_eq!(sum().await, 135_000);
    let inside = db
        .tx(ctx, async |tx| {
            sql!("raise", "update product set price = price + 1").execute(tx).await?;
            sql!("sum_inside", "select sum(price) from product").one::<Money>(tx).await
        })
        .await
        .unwrap();
    assert_eq!((inside.raw(), sum().await), (135_002, 135_002));
}

async fn a_fault_is_told_by_its_sort(house: House) {
    make_products(&house).await;
    let House { db, ctx, .. } = &house;
    let on = db.write(ctx);
    let error = sql!("again", "insert into product (id, title, price) values (3, 'Mug', 1)")
        .execute(&on)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    // SQLite names the columns, Postgres the constraint.
    let constraint = match db.engine() {
        Engine::Sqlite => "product.title",
        Engine::Postgres => "title",
    };
    assert_eq!(Fault::of(&error), Some(&Fault::UniqueViolation { constraint: constraint.to_owned() }));
    assert!(error.detail().contains("`again` (crates/db/tests/it/statements.rs:"), "{}", error.detail());
    let error = sql!("below", "update product set price = -1 where id = 1").execute(&on).await.unwrap_err();
    assert!(matches!(Fault::of(&error), Some(Fault::CheckViolation { .. })), "{error:?}");
    let error = sql!("wrong", "select nothing from nowhere").one::<i64>(&on).await.unwrap_err();
    assert!(matches!(Fault::of(&error), Some(Fault::Statement { .. })), "{error:?}");
}

async fn a_statement_is_a_known_value_with_meters(house: House) {
    make_products(&house).await;
    let add = STATEMENTS.iter().find(|stmt| stmt.name() == "add_product").unwrap();
    assert_eq!((add.params(), add.id().is_some()), (3, true));
    assert!(add.place().file.ends_with("statements.rs"));
    let calls = house.meters.counter("db_statements_total", "", &[("statement", "add_product")]);
    assert_eq!(calls.get(), 2);
}
