//! Rows that are their JSON.

use burgeon_core::Money;
use burgeon_db::{Json, bulk, json_array, json_row, sql};
use serde::Serialize;

use crate::house::{House, on_both_engines};

on_both_engines!(a_row_is_the_json_that_serde_would_write, rows_are_copied_in_a_transaction);

#[derive(Debug, Serialize, burgeon_db::Row)]
struct Item {
    id: i64,
    name: String,
    price: Money,
    weight: f64,
    open: bool,
    note: Option<String>,
    tags: Json<Vec<String>>,
}

json_row! {
    ItemJson {
        id: i64, name: String, price: Money, weight: f64, open: bool, note: Option<String>, tags: Json<Vec<String>>
    }
}

async fn a_row_is_the_json_that_serde_would_write(house: House) {
    let on = house.db.write(&house.ctx);
    sql!(
        "make_item",
        sqlite: "create table item (id integer primary key, name text not null, price integer not null,
            weight real not null, open integer not null, note text, tags text not null) strict",
        postgres: "create table item (id bigint primary key, name text not null, price bigint not null,
            weight double precision not null, open boolean not null, note text, tags json not null)"
    )
    .execute(&on)
    .await
    .unwrap();
    let names = ["plain", "a \"quote\" and a \\", "line\nbreak\u{1}", "ünïcödé 💥", ""];
    let rows = names.iter().enumerate().map(|(id, name)| {
        let note = (id % 2 == 0).then(|| (*name).to_owned());
        let tags = Json(vec![(*name).to_owned(); id]);
        (id as i64, (*name).to_owned(), Money::from_raw(12_345), 0.1, id % 2 == 0, note, tags)
    });
    bulk("put_items", "item", ["id", "name", "price", "weight", "open", "note", "tags"])
        .insert(&on, rows)
        .await
        .unwrap();
    let items: Vec<Item> = list().all(&house.db.read(&house.ctx)).await.unwrap();
    let json: Vec<ItemJson> = list().all(&house.db.read(&house.ctx)).await.unwrap();
    // A document goes as it is stored, spaces and all.
    let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let (ours, theirs) = (json_array(&json), serde_json::to_string(&items).unwrap());
    assert_eq!(parsed(&ours), parsed(&theirs));
    assert_eq!(ours.replace("\", \"", "\",\""), theirs);
    assert_eq!(json_array::<ItemJson>(&[]), "[]");
}

fn list() -> burgeon_db::Query<burgeon_db::Reads> {
    sql!("list_items", "select note, tags, id, name, price, weight, open from item order by id")
}

async fn rows_are_copied_in_a_transaction(house: House) {
    let on = house.db.write(&house.ctx);
    sql!("make_copied", "create table copied (id integer primary key, name text, share decimal(9, 2))")
        .execute(&on)
        .await
        .unwrap();
    let copy = bulk("copy_in", "copied", ["id", "name"]);
    let rows = |from: i32| (from..from + 5_000).map(|id| (id, (id % 3 > 0).then(|| format!("name {id}"))));
    let copied = house.db.tx(&house.ctx, async |tx| copy.copy(tx, rows(0)).await).await.unwrap();
    assert_eq!(copied, 5_000);
    // A key that exists fails the whole of it.
    let twice = house.db.tx(&house.ctx, async |tx| copy.copy(tx, rows(4_999)).await).await;
    assert_eq!(twice.unwrap_err().kind(), burgeon_core::Kind::Conflict);
    let counted: (i64, i64) =
        sql!("count_copied", "select count(*), count(name) from copied").one(&on).await.unwrap();
    assert_eq!(counted, (5_000, 3_333));
}
