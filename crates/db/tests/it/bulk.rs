//! Many rows at once, on both engines.

use burgeon_core::{Kind, Money};
use burgeon_db::{Engine, Fault, bulk, sql};
use tokio::time::Instant;

use crate::both::{Home, both};

async fn with_lines() -> [Home; 2] {
    let homes = both().await;
    for home in &homes {
        let on = home.db.write(&home.ctx);
        sql!("make_invoice", "create table invoice (id bigint primary key)").execute(&on).await.unwrap();
        sql!(
            "make_line",
            "create table line (invoice bigint not null references invoice (id), position bigint not null, name text,
                price bigint not null check (price >= 0), primary key (invoice, position))"
        )
        .execute(&on)
        .await
        .unwrap();
        sql!("put_invoice", "insert into invoice values (1), (2)").execute(&on).await.unwrap();
    }
    homes
}

fn line(position: i64) -> (i64, i64, Option<String>, Money) {
    (
        1 + position % 2,
        position,
        (position % 3 > 0).then(|| format!("line {position}")),
        Money::from_cents(position).unwrap(),
    )
}

const COLUMNS: [&str; 4] = ["invoice", "position", "name", "price"];

#[tokio::test]
async fn all_rows_arrive_and_a_second_time_changes_nothing() {
    for home in &with_lines().await {
        let (db, ctx) = (&home.db, &home.ctx);
        let import = async |from: i64, to: i64| {
            db.tx(ctx, async |tx| {
                bulk("import", "line", COLUMNS)
                    .on_conflict_do_nothing(["invoice", "position"])
                    .insert(tx, (from..to).map(line))
                    .await
            })
            .await
            .unwrap()
        };
        assert_eq!(import(0, 5_000).await, 5_000);
        assert_eq!(import(0, 5_000).await, 0);
        // Two chunks that are there already, and one that is not.
        assert_eq!(import(0, 5_010).await, 10);
        assert_eq!(import(0, 0).await, 0);
        let (rows, sum, names): (i64, Money, i64) =
            sql!("sum_lines", "select count(*), sum(price), count(name) from line")
                .one(&db.read(ctx))
                .await
                .unwrap();
        assert_eq!((rows, names), (5_010, 3_340));
        assert_eq!(sum, Money::from_cents((0..5_010).sum()).unwrap());
    }
}

#[tokio::test]
async fn what_is_there_may_be_overwritten() {
    for home in &with_lines().await {
        let (db, ctx) = (&home.db, &home.ctx);
        let put = async |price: i64| {
            let rows =
                (0..10).map(move |position| (1_i64, position, "new", Money::from_cents(price).unwrap()));
            let put = bulk("put", "line", COLUMNS).on_conflict_update(["invoice", "position"], ["price"]);
            db.tx(ctx, async |tx| put.insert(tx, rows).await).await.unwrap()
        };
        assert_eq!((put(1).await, put(7).await), (10, 10));
        let prices: Vec<Money> =
            sql!("prices", "select distinct price from line").all(&db.read(ctx)).await.unwrap();
        assert_eq!(prices, [Money::from_cents(7).unwrap()]);
    }
}

#[tokio::test]
async fn one_bad_row_takes_all_with_it_and_is_told_by_its_fault() {
    for home in &with_lines().await {
        let (db, ctx) = (&home.db, &home.ctx);
        let fails = async |rows: Vec<(i64, i64, &'static str, Money)>| {
            let error = db
                .tx(ctx, async |tx| bulk("import", "line", COLUMNS).insert(tx, rows).await)
                .await
                .unwrap_err();
            let counted: i64 =
                sql!("count_lines", "select count(*) from line").one(&db.read(ctx)).await.unwrap();
            assert_eq!(counted, 0);
            assert!(error.detail().contains("`import` (crates/db/tests/it/bulk.rs:"), "{}", error.detail());
            Fault::of(&error).unwrap().clone()
        };
        let row = |invoice, price| (invoice, 1, "x", Money::from_cents(price).unwrap());
        assert!(matches!(fails(vec![row(1, 1), row(9, 1)]).await, Fault::ForeignKeyViolation { .. }));
        assert!(matches!(fails(vec![row(1, 1), row(1, 1)]).await, Fault::UniqueViolation { .. }));
        assert!(matches!(fails(vec![row(1, 1), row(2, -1)]).await, Fault::CheckViolation { .. }));
    }
}

#[tokio::test]
async fn a_name_that_is_none_is_refused() {
    for home in &with_lines().await {
        let work =
            async |tx: &burgeon_db::Tx| bulk("bad", "line; drop table line", ["a"]).insert(tx, [(1,)]).await;
        let error = home.db.tx(&home.ctx, work).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Internal);
        assert!(error.detail().contains("is no name of a table"), "{}", error.detail());
        let work = async |tx: &burgeon_db::Tx| bulk("bad", "line", COLUMNS).insert(tx, [(1,)]).await;
        let error = home.db.tx(&home.ctx, work).await.unwrap_err();
        assert!(error.detail().contains("4 columns are named, and the rows have 1"), "{}", error.detail());
    }
}

/// Not an assertion of speed: that is measured in a release build. It prints what this build reaches.
#[tokio::test]
async fn a_hundred_thousand_lines_go_through_in_bounded_chunks() {
    for home in &with_lines().await {
        let started = Instant::now();
        let done = home.db.tx(&home.ctx, async |tx| {
            bulk("import", "line", COLUMNS)
                .on_conflict_do_nothing(["invoice", "position"])
                .insert(tx, (0..100_000).map(line))
                .await
        });
        assert_eq!(done.await.unwrap(), 100_000);
        let rate = 100_000.0 / started.elapsed().as_secs_f64();
        let engine = if home.db.engine() == Engine::Sqlite { "SQLite" } else { "Postgres" };
        println!("{engine}: {rate:.0} lines/s");
    }
}

#[tokio::test]
async fn by_itself_it_is_all_or_nothing_for_one_chunk_and_for_many() {
    for home in &with_lines().await {
        let (db, ctx) = (&home.db, &home.ctx);
        let count = async || -> i64 {
            sql!("count_alone", "select count(*) from line").one(&db.read(ctx)).await.unwrap()
        };
        let import = async |from: i64, to: i64| {
            bulk("alone", "line", COLUMNS).insert(&db.write(ctx), (from..to).map(line)).await
        };
        assert_eq!(import(0, 500).await.unwrap(), 500);
        assert_eq!(import(500, 500).await.unwrap(), 0);
        assert_eq!(import(500, 5_500).await.unwrap(), 5_000);
        assert_eq!(count().await, 5_500);

        // The last row is there already: the ones before it must not stay, in one chunk or in three.
        for from in [5_600, 10_600] {
            let rows = (5_600..from + 100).chain([0]).map(line);
            let error = bulk("alone", "line", COLUMNS).insert(&db.write(ctx), rows).await.unwrap_err();
            assert!(matches!(Fault::of(&error), Some(Fault::UniqueViolation { .. })), "{error:?}");
            assert_eq!(count().await, 5_500);
        }
    }
}
