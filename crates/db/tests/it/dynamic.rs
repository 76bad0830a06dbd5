//! Filters and pages that are made at run time, on both engines.

use burgeon_core::{Kind, Money};
use burgeon_db::keyset::Keyset;
use burgeon_db::sea_query::{Alias, Expr, ExprTrait, Query, SelectStatement};
use burgeon_db::{Engine, Row, bulk, dynamic, sql};

use crate::both::{Home, both};

#[derive(Debug, Clone, PartialEq, Row)]
struct Item {
    id: i64,
    price: Money,
    name: String,
}

async fn with_items(count: i64) -> [Home; 2] {
    let homes = both().await;
    for Home { db, ctx, .. } in &homes {
        sql!(
            "make_item",
            "create table item (id bigint primary key, price bigint not null, name text not null)"
        )
        .execute(&db.write(ctx))
        .await
        .unwrap();
        let items = (0..count)
            .map(|id| (id, Money::from_cents(id * 7 % 10).unwrap(), format!("item {:03}", id % 50)));
        db.tx(ctx, async |tx| bulk("put_items", "item", ["id", "price", "name"]).insert(tx, items).await)
            .await
            .unwrap();
    }
    homes
}

fn items() -> SelectStatement {
    let mut list = Query::select();
    list.columns([Alias::new("id"), Alias::new("price"), Alias::new("name")]).from(Alias::new("item"));
    list
}

#[tokio::test]
async fn a_filter_is_a_parameter_and_means_the_same_on_both_engines() {
    for Home { db, ctx, .. } in &with_items(100).await {
        let mut list = items();
        list.and_where(Expr::col(Alias::new("price")).gte(dynamic::param(Money::from_cents(8).unwrap())))
            .and_where(Expr::col(Alias::new("name")).ne("item '; drop table item; --"))
            .and_where(Expr::col(Alias::new("id")).lt(20_i64));
        let found: Vec<Item> =
            dynamic::select("list_items", &list, db.engine()).all(&db.read(ctx)).await.unwrap();
        let mut ids: Vec<_> = found.iter().map(|item| item.id).collect();
        ids.sort_unstable();
        assert_eq!(ids, [4, 7, 14, 17]);
        let mut raise = Query::update();
        raise.table(Alias::new("item")).value(Alias::new("price"), dynamic::param(Money::ZERO));
        let touched = dynamic::write("raise", &raise, db.engine()).execute(&db.write(ctx)).await.unwrap();
        assert_eq!(touched, 100);
    }
}

#[tokio::test]
async fn pages_tile_the_list_in_both_directions_and_on_both_engines_alike() {
    let mut answers = Vec::new();
    for Home { db, ctx, .. } in &with_items(237).await {
        let orders = [
            Keyset::ascending("price").then_descending("id"),
            Keyset::descending("price").then_ascending("name").then_ascending("id"),
        ];
        let mut seen = Vec::new();
        let mut cursor = None;
        loop {
            let page = orders[0]
                .page("by_price", items(), db, &db.read(ctx), cursor.as_deref(), 10, |item: &Item| {
                    (item.price, item.id)
                })
                .await
                .unwrap();
            assert!(page.items.len() == 10 || page.next.is_none());
            seen.extend(page.items);
            // A row that comes in before the cursor moves nothing.
            sql!("early", "insert into item values ((select max(id) + 1 from item), -1, 'early')")
                .execute(&db.write(ctx))
                .await
                .unwrap();
            match page.next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        assert_eq!(seen.len(), 237);
        assert!(seen.windows(2).all(|pair| (pair[0].price, -pair[0].id) < (pair[1].price, -pair[1].id)));
        let page = orders[1]
            .page("by_name", items(), db, &db.read(ctx), None, 7, |item: &Item| {
                (item.price, item.name.clone(), item.id)
            })
            .await
            .unwrap();
        answers.push((seen, page));
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn a_page_has_a_largest_size_and_a_bad_cursor_is_the_clients_fault() {
    for Home { db, ctx, .. } in &with_items(30).await {
        let order = Keyset::ascending("id").largest(20);
        let page = async |cursor: Option<&str>, size| {
            order.page("by_id", items(), db, &db.read(ctx), cursor, size, |item: &Item| (item.id,)).await
        };
        assert_eq!(page(None, usize::MAX).await.unwrap().items.len(), 20);
        assert_eq!(page(None, 0).await.unwrap().items.len(), 1);
        for cursor in ["", "x", "bnVsbA", "WyJhIl0", "WzEsMl0", "💥"] {
            let error = page(Some(cursor), 5).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid, "{cursor}");
        }
    }
}

#[tokio::test]
async fn ten_thousand_shapes_stay_within_the_caps() {
    let [_, home] = with_items(1).await;
    // One connection, so that its own view tells all.
    let mut config = home.config.clone();
    config.postgres.max_connections = 1;
    let meters = burgeon_meter::Meters::new();
    let db = burgeon_db::Db::open(&config, &burgeon_runtime::Tasks::new(&meters), &meters).await.unwrap();
    assert_eq!(db.engine(), Engine::Postgres);
    let shape = |number: u32| {
        let mut list = items();
        for bit in 0..14 {
            if number >> bit & 1 == 1 {
                list.and_where(Expr::col(Alias::new("id")).ne(i64::from(bit) + 1));
            } else {
                list.and_where(Expr::col(Alias::new("price")).ne(i64::from(bit) + 1));
            }
        }
        list
    };
    for number in 0..10_000 {
        let found: Vec<Item> = dynamic::select("many_shapes", &shape(number), db.engine())
            .all(&db.read(&home.ctx))
            .await
            .unwrap();
        assert_eq!(found.len(), 1);
    }
    let prepared: i64 =
        sql!("prepared", sqlite: "select 0", postgres: "select count(*) from pg_prepared_statements")
            .one(&db.read(&home.ctx))
            .await
            .unwrap();
    assert!(prepared <= 260, "{prepared} statements are prepared");
    let series = meters.samples().into_iter().filter(|sample| sample.name == "db_statements_total").count();
    assert!(series <= burgeon_db::STATEMENTS.len() + 1, "{series} series");
}
