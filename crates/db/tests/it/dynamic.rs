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

fn by_price() -> Keyset<Item> {
    Keyset::ascending("price", |item: &Item| item.price).then_ascending("id", |item| item.id)
}

fn by_price_and_name() -> Keyset<Item> {
    Keyset::descending("price", |item: &Item| item.price)
        .then_ascending("name", |item| item.name.clone())
        .then_descending("id", |item| item.id)
}

#[tokio::test]
async fn pages_tile_the_list_in_every_direction_and_on_both_engines_alike() {
    for order in [by_price, by_price_and_name] {
        let mut answers = Vec::new();
        for Home { db, ctx, .. } in &with_items(237).await {
            let whole =
                order().largest(1_000).page("whole", items(), &db.read(ctx), None, 1_000).await.unwrap();
            assert_eq!((whole.items.len(), whole.next), (237, None));
            let mut seen = Vec::new();
            let mut cursor = None;
            loop {
                let page = order().page("tile", items(), &db.read(ctx), cursor.as_deref(), 10).await.unwrap();
                assert!(page.items.len() == 10 || page.next.is_none());
                seen.extend(page.items);
                // A row that comes in before the cursor moves nothing.
                let first = &whole.items[0];
                sql!(
                    "early",
                    "insert into item values ($1, $2, $3)",
                    if first.price == Money::ZERO {
                        -(seen.len() as i64)
                    } else {
                        1_000_000 + seen.len() as i64
                    },
                    first.price,
                    first.name.as_str()
                )
                .execute(&db.write(ctx))
                .await
                .unwrap();
                match page.next {
                    Some(next) => cursor = Some(next),
                    None => break,
                }
            }
            assert_eq!(seen, whole.items);
            answers.push(seen);
        }
        assert_eq!(answers[0], answers[1]);
    }
}

#[tokio::test]
async fn a_page_has_a_largest_size_and_a_bad_cursor_is_the_clients_fault() {
    for Home { db, ctx, .. } in &with_items(30).await {
        let order = Keyset::ascending("id", |item: &Item| item.id).largest(20);
        let page = async |cursor: Option<&str>, size| {
            order.page("by_id", items(), &db.read(ctx), cursor, size).await
        };
        assert_eq!(page(None, usize::MAX).await.unwrap().items.len(), 20);
        assert_eq!(page(None, 0).await.unwrap().items.len(), 1);
        let other = Keyset::descending("id", |item: &Item| item.id);
        let other = other.page("down", items(), &db.read(ctx), None, 5).await.unwrap().next.unwrap();
        for cursor in ["", "x", "bnVsbA", "WyJhIl0", "WzEsMl0", "💥", &other] {
            let error = page(Some(cursor), 5).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid, "{cursor}");
        }
    }
}

#[tokio::test]
async fn a_page_begins_where_the_index_says_whatever_the_directions() {
    for Home { db, ctx, .. } in &with_items(20_000).await {
        let write = db.write(ctx);
        sql!("up", "create index up on item (price, id)").execute(&write).await.unwrap();
        sql!("mixed", "create index mixed on item (price desc, name, id desc)")
            .execute(&write)
            .await
            .unwrap();
        sql!("analyze", "analyze item").execute(&write).await.unwrap();
        for order in [by_price(), by_price_and_name()] {
            let first = order.page("first", items(), &db.read(ctx), None, 20).await.unwrap().next.unwrap();
            let plan = order
                .query("later", items(), db.engine(), Some(&first), 20)
                .unwrap()
                .plan(&db.read(ctx))
                .await
                .unwrap();
            assert!(!plan.scans("item") && !plan.sorts(), "{plan}");
            let begins = match db.engine() {
                Engine::Sqlite => "SEARCH item USING",
                Engine::Postgres => "Index Cond:",
            };
            assert!(plan.to_string().contains(begins), "{plan}");
        }
    }
}

#[tokio::test]
async fn a_plan_names_a_table_that_is_read_whole_and_a_sort() {
    for Home { db, ctx, .. } in &with_items(20).await {
        let plan = sql!("by_no_index", "select id from item where name = $1 order by price", "item 001");
        let plan = plan.plan(&db.read(ctx)).await.unwrap();
        assert!(plan.scans("item") && plan.sorts() && !plan.scans("ite"), "{plan}");
        let plan = sql!("raise_one", "update item set price = $2 where id = $1", 1_i64, Money::ZERO);
        let plan = plan.plan(&db.write(ctx)).await.unwrap();
        assert!(!plan.scans("item") || db.engine() == Engine::Postgres, "twenty rows are one page: {plan}");
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
