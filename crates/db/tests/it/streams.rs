//! Results read while they are being read, on both engines.

use std::time::Duration;

use burgeon_core::Kind;
use burgeon_db::sql;
use futures_util::{StreamExt, TryStreamExt};

use crate::house::{House, on_both_engines, within};
use crate::transactions::{count, make_ledger};

on_both_engines!(
    every_row_comes_in_order,
    a_stream_that_is_dropped_leaves_nothing_behind,
    a_stream_past_its_deadline_ends_with_an_error,
    a_row_in_the_middle_that_cannot_be_read_ends_the_stream,
);

async fn fill(house: &House) {
    make_ledger(&house.db).await;
    sql!(
        "fill_ledger",
        "insert into ledger (who, n)
            with recursive up(n) as (select 1 union all select n + 1 from up where n < 5000) select n, n % 7 from up"
    )
    .execute(&house.db.write(&house.ctx))
    .await
    .unwrap();
}

async fn every_row_comes_in_order(house: House) {
    fill(&house).await;
    let rows: Vec<i64> = sql!("stream_all", "select who from ledger order by who")
        .stream::<i64>(&house.db.read(&house.ctx))
        .try_collect()
        .await
        .unwrap();
    assert_eq!(rows, (1..=5000).collect::<Vec<_>>());
}

async fn a_stream_that_is_dropped_leaves_nothing_behind(house: House) {
    fill(&house).await;
    // More than may be open at once: each must have given its place back.
    for _ in 0..40 {
        let mut stream = sql!("stream_some", "select who from ledger order by who")
            .stream::<i64>(&house.db.read(&house.ctx));
        assert_eq!(stream.next().await.unwrap().unwrap(), 1);
    }
    assert_eq!(count(&house.db).await, 5000);
}

async fn a_stream_past_its_deadline_ends_with_an_error(house: House) {
    let ctx = within(Duration::from_millis(300));
    let result: Result<Vec<i64>, _> = sql!(
        "stream_endless",
        "with recursive up(n) as (select cast(1 as bigint) union all select n + 1 from up) select n from up where n < 0"
    )
    .stream::<i64>(&house.db.read(&ctx))
    .try_collect()
    .await;
    let error = result.unwrap_err();
    assert!(matches!(error.kind(), Kind::Deadline | Kind::Overloaded), "{error:?}");
    assert!(error.detail().contains("stream_endless"), "{}", error.detail());
}

async fn a_row_in_the_middle_that_cannot_be_read_ends_the_stream(house: House) {
    fill(&house).await;
    let mut stream = sql!(
        "stream_holed",
        "select case when who = 3000 then null else who end as holed from ledger order by who"
    )
    .stream::<i64>(&house.db.read(&house.ctx));
    let mut good = 0;
    let error = loop {
        match stream.next().await.unwrap() {
            Ok(_) => good += 1,
            Err(error) => break error,
        }
    };
    assert!(good <= 2999, "{good} rows before the bad one");
    assert!(error.detail().contains("is NULL"), "{}", error.detail());
    assert!(stream.next().await.is_none_or(|row| row.is_ok()));
}
