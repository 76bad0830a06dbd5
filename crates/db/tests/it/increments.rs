//! Additions that are merged.

use std::time::Duration;

use burgeon_core::Kind;
use burgeon_db::{Fault, Increments, sql};
use futures_util::future::{join, join_all};
use tokio::time::timeout;

use crate::house::{House, on_both_engines, within};

on_both_engines!(
    a_thousand_additions_are_a_few_writes_and_none_is_lost,
    a_row_that_refuses_fails_for_its_own_callers_only,
    what_is_only_noted_is_written_too,
    what_waits_for_its_window_is_written_before_the_database_closes,
    flushed_it_is_written_and_there_are_no_windows_any_more,
    tasks_that_stop_do_not_wait_for_a_window,
);

/// Longer than anybody waits for a test.
const WINDOW: Duration = Duration::from_secs(3_600);
/// How long something may take on any machine before it is called hanging.
const HANG: Duration = Duration::from_secs(30);

async fn table(house: &House) {
    let on = house.db.write(&house.ctx);
    sql!(
        "make_tally",
        "create table tally (id integer primary key, count integer not null check (count <= 1000000))"
    )
    .execute(&on)
    .await
    .unwrap();
}

async fn count(house: &House, id: i64) -> Option<i64> {
    sql!("tally_of", "select count from tally where id = $1", id)
        .optional(&house.db.read(&house.ctx))
        .await
        .unwrap()
}

async fn a_thousand_additions_are_a_few_writes_and_none_is_lost(house: House) {
    table(&house).await;
    let tally = Increments::new(&house.db, "add_tally", "tally", "id", "count").or_insert();
    let added =
        join_all((0..1_000).map(|number: i64| tally.add(&house.ctx, number % 10, 1 + number % 3))).await;
    added.into_iter().for_each(|added| added.unwrap());
    let mut sum = 0;
    for id in 0..10 {
        sum += count(&house, id).await.unwrap();
    }
    assert_eq!(sum, (0..1_000).map(|number| 1 + number % 3).sum::<i64>());
    // Statements made at run time share a meter; there were no others.
    let writes = house.meters.counter("db_statements_total", "", &[("statement", "dynamic")]).get();
    assert!(writes <= 10, "{writes} writes for a thousand additions");
}

async fn a_row_that_refuses_fails_for_its_own_callers_only(house: House) {
    table(&house).await;
    let tally = Increments::new(&house.db, "add_tally", "tally", "id", "count").or_insert();
    let (good, bad, other) = tokio::join!(
        tally.add(&house.ctx, 1, 5),
        tally.add(&house.ctx, 2, 2_000_000),
        tally.add(&house.ctx, 3, 7)
    );
    good.unwrap();
    other.unwrap();
    let bad = bad.unwrap_err();
    assert!(matches!(Fault::of(&bad), Some(Fault::CheckViolation { .. })), "{bad:?}");
    assert_eq!(
        (count(&house, 1).await, count(&house, 2).await, count(&house, 3).await),
        (Some(5), None, Some(7))
    );
    assert_eq!(tally.add(&house.ctx, true, 1).await.unwrap_err().kind(), Kind::Invalid);
}

async fn what_is_only_noted_is_written_too(house: House) {
    table(&house).await;
    let tally = Increments::new(&house.db, "add_tally", "tally", "id", "count").or_insert();
    for _ in 0..100 {
        tally.note(1, 1).unwrap();
    }
    // Behind all that was noted before.
    tally.add(&within(Duration::from_secs(10)), 1, 0).await.unwrap();
    assert_eq!(count(&house, 1).await, Some(100));
    // Without `or_insert`, there must be a row.
    let updates = Increments::new(&house.db, "update_tally", "tally", "id", "count");
    updates.add(&house.ctx, 1, 11).await.unwrap();
    updates.add(&house.ctx, 2, 11).await.unwrap();
    assert_eq!((count(&house, 1).await, count(&house, 2).await), (Some(111), None));
}

async fn what_waits_for_its_window_is_written_before_the_database_closes(house: House) {
    table(&house).await;
    let tally = Increments::new(&house.db, "add_tally", "tally", "id", "count").or_insert().every(WINDOW);
    for _ in 0..3 {
        tally.note(1, 5).unwrap();
    }
    let (added, ()) =
        timeout(HANG, join(tally.add(&house.ctx, 2, 7), house.db.close())).await.expect("it waits");
    added.unwrap();
    let again = house.again().await;
    let counts: Vec<i64> = sql!("all_tallies", "select count from tally order by id")
        .all(&again.read(&house.ctx))
        .await
        .unwrap();
    assert_eq!(counts, [15, 7]);
    // What comes now is refused, and nobody waits a window long to hear it.
    let late = timeout(HANG, tally.add(&house.ctx, 1, 1)).await.expect("it waits").unwrap_err();
    assert_eq!(late.kind(), Kind::Unavailable, "{late:?}");
}

async fn flushed_it_is_written_and_there_are_no_windows_any_more(house: House) {
    table(&house).await;
    let tally = Increments::new(&house.db, "add_tally", "tally", "id", "count").or_insert().every(WINDOW);
    tally.note(1, 5).unwrap();
    timeout(HANG, house.db.flush()).await.expect("it waits");
    assert_eq!(count(&house, 1).await, Some(5));
    timeout(HANG, tally.add(&house.ctx, 1, 1)).await.expect("it waits").unwrap();
    assert_eq!(count(&house, 1).await, Some(6));
}

async fn tasks_that_stop_do_not_wait_for_a_window(house: House) {
    table(&house).await;
    let tally = Increments::new(&house.db, "add_tally", "tally", "id", "count").every(WINDOW);
    tally.note(1, 1).unwrap();
    // Else it would be named as one that had to be aborted.
    house.tasks.stop(HANG).await.unwrap();
}
