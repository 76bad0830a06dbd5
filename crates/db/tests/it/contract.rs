//! What a statement may count on: the same on both engines, or a difference that is written down in
//! `docs/portable-sql.md`.

use burgeon_db::{Engine, Fault, sql};
use futures_util::future::join_all;
use jiff::Timestamp;

use crate::house::{House, on_both_engines};

on_both_engines!(
    null_is_sorted_where_the_statement_says,
    like_heeds_case_only_where_both_are_lowered,
    equality_of_text_is_exact,
    a_moment_keeps_its_microsecond,
    of_many_who_take_one_key_one_gets_it,
    returning_tells_what_was_written,
    members_of_a_document_are_found,
    whole_numbers_divide_alike,
    nothing_is_null_in_sums_and_strings,
    a_value_of_another_type_is_refused,
    a_snapshot_does_not_move,
);

/// What each engine answers where they differ, as the document says.
fn differs<T>(house: &House, sqlite: T, postgres: T) -> T {
    match house.db.engine() {
        Engine::Sqlite => sqlite,
        Engine::Postgres => postgres,
    }
}

async fn null_is_sorted_where_the_statement_says(house: House) {
    let on = house.db.read(&house.ctx);
    let said: Vec<Option<i64>> = sql!(
        "null_last",
        "with t (n) as (values (cast(2 as bigint)), (null), (1)) select n from t order by n nulls last"
    )
    .all(&on)
    .await
    .unwrap();
    assert_eq!(said, [Some(1), Some(2), None]);
    let said: Vec<Option<i64>> = sql!(
        "null_first",
        "with t (n) as (values (cast(2 as bigint)), (null), (1)) select n from t order by n desc nulls first"
    )
    .all(&on)
    .await
    .unwrap();
    assert_eq!(said, [None, Some(2), Some(1)]);
    let unsaid: Vec<Option<i64>> = sql!(
        "null_unsaid",
        "with t (n) as (values (cast(2 as bigint)), (null), (1)) select n from t order by n"
    )
    .all(&on)
    .await
    .unwrap();
    assert_eq!(unsaid, differs(&house, [None, Some(1), Some(2)], [Some(1), Some(2), None]));
}

async fn like_heeds_case_only_where_both_are_lowered(house: House) {
    let on = house.db.read(&house.ctx);
    let both: bool = sql!("like_lower", "select lower('Lamp') like lower($1)", "lA%").one(&on).await.unwrap();
    assert!(both);
    let plain: bool = sql!("like_plain", "select 'Lamp' like $1", "lA%").one(&on).await.unwrap();
    assert_eq!(plain, differs(&house, true, false));
    // `lower` itself knows only a to z on SQLite.
    let umlaut: String =
        sql!("lower_umlaut", "select lower(cast($1 as text))", "ÄRGER").one(&on).await.unwrap();
    assert_eq!(umlaut.replace('Ä', "ä"), "ärger");
}

async fn equality_of_text_is_exact(house: House) {
    let on = house.db.read(&house.ctx);
    let (case, space, accent): (bool, bool, bool) = sql!(
        "text_equal",
        "select cast($1 as text) = 'LAMP', cast($2 as text) = 'lamp', cast($3 as text) = 'e'",
        "lamp",
        "lamp ",
        "é"
    )
    .one(&on)
    .await
    .unwrap();
    assert_eq!((case, space, accent), (false, false, false));
}

async fn a_moment_keeps_its_microsecond(house: House) {
    let House { db, ctx, .. } = &house;
    let on = db.write(ctx);
    sql!(
        "make_moments",
        sqlite: "create table moments (id integer primary key, at integer not null) strict",
        postgres: "create table moments (id bigint primary key, at timestamptz not null)"
    )
    .execute(&on)
    .await
    .unwrap();
    // Below a microsecond is dropped: towards 1970, on both.
    let nanos = [1_763_737_200_123_456_789_i128, 999, -1, -999, -1_500, -1_999_999_999, 0];
    for (id, nanos) in nanos.iter().enumerate() {
        let moment = Timestamp::from_nanosecond(*nanos).unwrap();
        sql!("add_moment", "insert into moments (id, at) values ($1, $2)", id as i64, moment)
            .execute(&on)
            .await
            .unwrap();
    }
    let read: Vec<Timestamp> =
        sql!("read_moments", "select at from moments order by id").all(&on).await.unwrap();
    let wanted: Vec<_> = nanos.iter().map(|nanos| (*nanos / 1_000) as i64).collect();
    assert_eq!(read.iter().map(|moment| moment.as_microsecond()).collect::<Vec<_>>(), wanted);
    let ordered: Vec<i64> =
        sql!("order_moments", "select id from moments where id < 6 order by at, id").all(&on).await.unwrap();
    assert_eq!(ordered, [5, 4, 1, 2, 3, 0]);
}

async fn of_many_who_take_one_key_one_gets_it(house: House) {
    let House { db, ctx, .. } = &house;
    sql!("make_seats", "create table seats (seat bigint primary key, who bigint not null)")
        .execute(&db.write(ctx))
        .await
        .unwrap();
    let take = async |who: i64| {
        sql!("take_seat", "insert into seats (seat, who) values (1, $1)", who).execute(&db.write(ctx)).await
    };
    let taken = join_all((0..32).map(take)).await;
    let winners: Vec<_> =
        (0_i64..32).zip(&taken).filter(|(_, taken)| taken.is_ok()).map(|(who, _)| who).collect();
    assert_eq!(winners.len(), 1, "{taken:?}");
    let refused = taken.iter().filter_map(|taken| taken.as_ref().err());
    assert!(refused.into_iter().all(|error| matches!(Fault::of(error), Some(Fault::UniqueViolation { .. }))));
    let there: i64 =
        sql!("who_sits", "select who from seats where seat = 1").one(&db.write(ctx)).await.unwrap();
    assert_eq!(there, winners[0]);
}

async fn returning_tells_what_was_written(house: House) {
    let House { db, ctx, .. } = &house;
    let on = db.write(ctx);
    sql!(
        "make_stock",
        "create table stock (id bigint primary key, units bigint not null, note text default 'new')"
    )
    .execute(&on)
    .await
    .unwrap();
    let made: (i64, String) =
        sql!("add_stock", "insert into stock (id, units) values ($1, $2) returning units, note", 1, 5)
            .one(&on)
            .await
            .unwrap();
    assert_eq!(made, (5, "new".to_owned()));
    let upsert = async |units: i64| -> i64 {
        sql!(
            "upsert_stock",
            "insert into stock (id, units) values (1, $1)
                on conflict (id) do update set units = stock.units + excluded.units returning units",
            units
        )
        .one(&on)
        .await
        .unwrap()
    };
    assert_eq!((upsert(2).await, upsert(3).await), (7, 10));
    let none: Option<i64> = sql!(
        "skip_stock",
        "insert into stock (id, units) values (1, 1) on conflict (id) do nothing returning units"
    )
    .optional(&on)
    .await
    .unwrap();
    assert_eq!(none, None, "what was left out is not returned");
    let left: i64 = sql!("sell_stock", "update stock set units = units - $1 where id = 1 returning units", 4)
        .one(&on)
        .await
        .unwrap();
    let gone: i64 =
        sql!("drop_stock", "delete from stock where id = 1 returning units").one(&on).await.unwrap();
    assert_eq!((left, gone), (6, 6));
}

async fn members_of_a_document_are_found(house: House) {
    let House { db, ctx, .. } = &house;
    let on = db.write(ctx);
    sql!(
        "make_documents",
        sqlite: "create table documents (id integer primary key, doc text not null) strict",
        postgres: "create table documents (id bigint primary key, doc jsonb not null)"
    )
    .execute(&on)
    .await
    .unwrap();
    let doc =
        burgeon_db::Json(serde_json::json!({ "name": "Lamp", "size": { "cm": 7 }, "tags": ["a", "b"] }));
    sql!("add_document", "insert into documents (id, doc) values (1, $1)", doc).execute(&on).await.unwrap();
    let (name, size, tag, missing): (String, String, String, Option<String>) = sql!(
        "members",
        "select doc ->> 'name', cast(doc -> 'size' ->> 'cm' as text), doc -> 'tags' ->> 1, doc ->> 'colour'
            from documents where doc ->> 'name' = $1",
        "Lamp"
    )
    .one(&on)
    .await
    .unwrap();
    assert_eq!((name.as_str(), size.as_str(), tag.as_str(), missing), ("Lamp", "7", "b", None));
}

async fn whole_numbers_divide_alike(house: House) {
    let on = house.db.read(&house.ctx);
    let (a, b, c): (i64, i64, i64) =
        sql!("divide", "select cast($1 as bigint) / 2, -cast($1 as bigint) / 2, -cast($1 as bigint) % 2", 7)
            .one(&on)
            .await
            .unwrap();
    assert_eq!((a, b, c), (3, -3, -1));
    let by_zero = sql!("by_zero", "select cast($1 as bigint) / 0", 7).one::<Option<i64>>(&on).await;
    assert_eq!(by_zero.is_ok(), differs(&house, true, false), "SQLite answers NULL, Postgres an error");
}

async fn nothing_is_null_in_sums_and_strings(house: House) {
    let on = house.db.read(&house.ctx);
    let (sum, count, text, either): (Option<i64>, i64, Option<String>, bool) = sql!(
        "nothing",
        "with t (n, s) as (select cast(null as bigint), cast(null as text))
            select cast(sum(n) as bigint), count(n), max(s || 'x'), max(case when n is not distinct from null then 1 else 0 end) = 1 from t"
    )
    .one(&on)
    .await
    .unwrap();
    assert_eq!((sum, count, text, either), (None, 0, None, true));
}

async fn a_value_of_another_type_is_refused(house: House) {
    let House { db, ctx, .. } = &house;
    let on = db.write(ctx);
    sql!(
        "make_strict",
        sqlite: "create table typed (n integer) strict",
        postgres: "create table typed (n bigint)"
    )
    .execute(&on)
    .await
    .unwrap();
    let text =
        sql!("text_in_number", "insert into typed (n) values ($1)", "seven").execute(&on).await.unwrap_err();
    assert!(matches!(Fault::of(&text), Some(Fault::Parameter { .. })), "{text:?}");
}

async fn a_snapshot_does_not_move(house: House) {
    let House { db, ctx, .. } = &house;
    let on = db.write(ctx);
    sql!("make_ticks", "create table ticks (n bigint primary key)").execute(&on).await.unwrap();
    let tick =
        async |n: i64| sql!("tick", "insert into ticks (n) values ($1)", n).execute(&on).await.unwrap();
    tick(1).await;
    let (opened, is_open) = tokio::sync::oneshot::channel();
    let (ticked, has_ticked) = tokio::sync::oneshot::channel();
    let looking = db.tx_read_only(ctx, async |tx| {
        let count = async || sql!("count_ticks", "select count(*) from ticks").one::<i64>(tx).await;
        let before = count().await?;
        opened.send(()).unwrap();
        has_ticked.await.unwrap();
        Ok((before, count().await?))
    });
    let ticking = async {
        is_open.await.unwrap();
        tick(2).await;
        ticked.send(()).unwrap();
    };
    let (seen, ()) = tokio::join!(looking, ticking);
    assert_eq!(seen.unwrap(), (1, 1));
    let now: i64 = sql!("count_ticks_now", "select count(*) from ticks").one(&db.read(ctx)).await.unwrap();
    assert_eq!(now, 2);
}
