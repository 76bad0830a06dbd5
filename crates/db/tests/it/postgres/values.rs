//! Values there and back, whatever type the server has.

use burgeon_core::Money;
use burgeon_db::{Fault, Json, sql};
use futures_util::TryStreamExt;
use jiff::Timestamp;
use jiff::civil::date;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::Yard;

#[tokio::test]
async fn every_portable_value_comes_back_as_it_went() {
    let Yard { db, ctx, .. } = &Yard::open().await;
    let on = db.write(ctx);
    sql!(
        "make_all",
        "create table everything (a boolean, b smallint, c integer, d bigint, e double precision, f text, g bytea,
            h uuid, i timestamptz, j date, k jsonb, l numeric, m bigint, n json)"
    )
    .execute(&on)
    .await
    .unwrap();
    let uuid = Uuid::from_u128(7);
    let moment: Timestamp = "1969-07-20T20:17:40.123456Z".parse().unwrap();
    let day = date(1912, 6, 23);
    let json = serde_json::json!({"a": [1, null, "ü"]});
    let decimal: Decimal = "-12345678901234567890.0001".parse().unwrap();
    let money = Money::from_cents(-950).unwrap();
    sql!(
        "put_all",
        "insert into everything values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        true,
        -3_i16,
        70_000,
        i64::MIN,
        0.1_f64,
        "a'b",
        vec![0_u8, 255],
        uuid,
        moment,
        day,
        Json(json.clone()),
        decimal,
        money,
        Json(json.clone())
    )
    .execute(&on)
    .await
    .unwrap();
    type First = (bool, i16, i32, i64, f64, String, Vec<u8>);
    let first: First = sql!("first", "select a, b, c, d, e, f, g from everything").one(&on).await.unwrap();
    assert_eq!(first, (true, -3, 70_000, i64::MIN, 0.1, "a'b".to_owned(), vec![0, 255]));
    type Second = (
        Uuid,
        Timestamp,
        jiff::civil::Date,
        Json<serde_json::Value>,
        Decimal,
        Money,
        Json<serde_json::Value>,
    );
    let second: Second = sql!("second", "select h, i, j, k, l, m, n from everything").one(&on).await.unwrap();
    assert_eq!(second, (uuid, moment, day, Json(json.clone()), decimal, money, Json(json)));
}

#[tokio::test]
async fn nulls_of_every_type_go_in_and_come_out() {
    let Yard { db, ctx, .. } = &Yard::open().await;
    let on = db.write(ctx);
    sql!(
        "make_nulls",
        "create table nulls (a boolean, b bigint, c text, d uuid, e timestamptz, f jsonb, g numeric)"
    )
    .execute(&on)
    .await
    .unwrap();
    sql!(
        "put_nulls",
        "insert into nulls values ($1, $2, $3, $4, $5, $6, $7)",
        None::<bool>,
        None::<i64>,
        None::<String>,
        None::<Uuid>,
        None::<Timestamp>,
        None::<Json<i32>>,
        None::<Decimal>
    )
    .execute(&on)
    .await
    .unwrap();
    type All = (
        Option<bool>,
        Option<i64>,
        Option<String>,
        Option<Uuid>,
        Option<Timestamp>,
        Option<Json<i32>>,
        Option<Decimal>,
    );
    let all: All = sql!("get_nulls", "select * from nulls").one(&on).await.unwrap();
    assert_eq!(all, (None, None, None, None, None, None, None));
}

#[tokio::test]
async fn an_i64_fits_where_its_value_does_and_text_into_what_is_read_from_text() {
    let Yard { db, ctx, .. } = &Yard::open().await;
    let on = db.write(ctx);
    sql!("make_mood", "create type mood as enum ('glad', 'sad')").execute(&on).await.unwrap();
    sql!("make_short", "create domain short as varchar(5)").execute(&on).await.unwrap();
    sql!(
        "make_odd",
        "create table odd (a smallint, b integer, c numeric, d real, e varchar(9), f char(3), g mood, h short, i interval,
            j inet, k timestamp)"
    )
    .execute(&on)
    .await
    .unwrap();
    let moment: Timestamp = "2026-11-21T08:00:00Z".parse().unwrap();
    sql!(
        "put_odd",
        "insert into odd values ($1, $1, $1, $1, $2, $3, $4, $5, $6, $7, $8)",
        7_i64,
        "abc",
        "abc",
        "sad",
        "abc",
        "3 days",
        "10.0.0.1",
        moment
    )
    .execute(&on)
    .await
    .unwrap();
    let back: (i64, i64, String, String, String) = sql!(
        "get_odd",
        "select a, b, cast(c as text), e, cast(j as text) from odd where g = $1 and h = any($2)",
        "sad",
        ["abc"]
    )
    .one(&on)
    .await
    .unwrap();
    assert_eq!(back, (7, 7, "7".to_owned(), "abc".to_owned(), "10.0.0.1/32".to_owned()));
    let moods: (String, String) = sql!("get_mood", "select g, h from odd").one(&on).await.unwrap();
    assert_eq!(moods, ("sad".to_owned(), "abc".to_owned()));

    let error = sql!("too_large", "update odd set a = $1", 40_000_i64).execute(&on).await.unwrap_err();
    let Some(Fault::Parameter { why }) = Fault::of(&error) else { panic!("{error:?}") };
    assert!(why.contains("$1") && why.contains("40000 does not fit into int2"), "{why}");
}

#[tokio::test]
async fn a_parameter_the_server_knows_nothing_of_keeps_its_own_type() {
    let Yard { db, ctx, .. } = &Yard::open().await;
    let on = db.read(ctx);
    let same: (i64, bool, String) =
        sql!("same", "select $1, $2, $3", 5_i64, true, "x").one(&on).await.unwrap();
    assert_eq!(same, (5, true, "x".to_owned()));
    let built: Json<serde_json::Value> =
        sql!("built", "select jsonb_build_object('n', $1, 's', $2)", 5_i64, "x").one(&on).await.unwrap();
    assert_eq!(built.0, serde_json::json!({"n": 5, "s": "x"}));
}

#[tokio::test]
async fn lists_may_be_empty_and_of_any_type() {
    let Yard { db, ctx, .. } = &Yard::open().await;
    let on = db.read(ctx);
    let none: Vec<i64> =
        sql!("any_of", "select n from generate_series(1, 9) as n where n = any($1)", Vec::<i64>::new())
            .all(&on)
            .await
            .unwrap();
    assert_eq!(none, [0_i64; 0]);
    let some: Vec<i32> = sql!(
        "any_of_ints",
        "select n from generate_series(1, 9) as n where n = any($1) order by n",
        vec![9_i64, 2]
    )
    .all(&on)
    .await
    .unwrap();
    assert_eq!(some, [2, 9]);
    let texts: Vec<String> =
        sql!("any_text", "select t from unnest(array['a', 'b']) as t where t = any($1)", ["b", "c"])
            .all(&on)
            .await
            .unwrap();
    assert_eq!(texts, ["b"]);
}

#[tokio::test]
async fn a_large_result_is_streamed_and_an_abandoned_one_leaves_nothing_behind() {
    let Yard { db, ctx, .. } = &Yard::open_with(|config| config.postgres.max_connections = 1).await;
    let mut stream =
        sql!("count_up", "select generate_series(1, 200000) as n, repeat('x', 100)")
            .stream::<(i64, String)>(&db.read(ctx));
    let mut sum = 0;
    while let Some((n, _)) = stream.try_next().await.unwrap() {
        sum += n;
    }
    assert_eq!(sum, 200_000 * 200_001 / 2);

    let mut stream =
        sql!("endless", "select generate_series(1, 1000000000) as n").stream::<i64>(&db.read(ctx));
    assert_eq!(stream.try_next().await.unwrap(), Some(1));
    drop(stream);
    let one: i64 = sql!("after", "select 1").one(&db.read(ctx)).await.unwrap();
    assert_eq!(one, 1);
}
