//! Through PgBouncer in transaction mode.

use burgeon_core::Kind;
use burgeon_db::{Fault, Pooler, sql};
use burgeon_services::{PgBouncer, PoolMode, Postgres};
use futures_util::future::join_all;

use super::Yard;

#[tokio::test]
async fn a_transaction_pooler_is_found_out_and_nothing_is_prepared_or_set_behind_it() {
    let server = Postgres::shared().await.unwrap();
    let url = server.create_database().await.unwrap();
    let bouncer = PgBouncer::start(server, PoolMode::Transaction).await.unwrap();
    let yard = Yard::at(bouncer.url_for(&url), |_| {}).await;
    let on = yard.db.write(&yard.ctx);
    sql!("make_pooled", "create table pooled (id bigint primary key, name text not null)")
        .execute(&on)
        .await
        .unwrap();
    // Many at once, so that connections of the pooler change hands.
    for round in 0..20 {
        let writes = (0..50).map(|number| {
            let id = round * 50 + number;
            sql!("put_pooled", "insert into pooled values ($1, $2)", id, format!("name {id}")).execute(&on)
        });
        join_all(writes).await.into_iter().for_each(|written| assert_eq!(written.unwrap(), 1));
        let reads = (0..50).map(|number| {
            let id = round * 50 + number;
            sql!("get_pooled", "select name from pooled where id = $1", id).one::<String>(&on)
        });
        for (number, name) in join_all(reads).await.into_iter().enumerate() {
            assert_eq!(name.unwrap(), format!("name {}", round * 50 + number as i64));
        }
    }
    // Whoever gets the pooler's connections next finds them as they were.
    let left: String = sql!(
        "left_behind",
        "select current_setting('statement_timeout') || ' ' || current_setting('lock_timeout')"
    )
    .one(&on)
    .await
    .unwrap();
    assert_eq!(left, "0 0");
    let prepared: i64 =
        sql!("prepared", "select count(*) from pg_prepared_statements").one(&on).await.unwrap();
    assert_eq!(prepared, 0);
}

#[tokio::test]
async fn a_direct_connection_and_a_pooler_in_session_mode_are_not_taken_for_one() {
    let server = Postgres::shared().await.unwrap();
    let url = server.create_database().await.unwrap();
    let bouncer = PgBouncer::start(server, PoolMode::Session).await.unwrap();
    for url in [url.clone(), bouncer.url_for(&url)] {
        let yard = Yard::at(url, |_| {}).await;
        let on = yard.db.write(&yard.ctx);
        for _ in 0..20 {
            sql!("one_more", "select 1").one::<i64>(&on).await.unwrap();
        }
        let prepared: i64 =
            sql!("prepared", "select count(*) from pg_prepared_statements").one(&on).await.unwrap();
        assert!(prepared > 0, "nothing was prepared, where it could be");
    }
}

#[tokio::test]
async fn what_needs_a_session_says_so_and_goes_past_the_pooler_where_it_may() {
    let server = Postgres::shared().await.unwrap();
    let url = server.create_database().await.unwrap();
    let bouncer = PgBouncer::start(server, PoolMode::Transaction).await.unwrap();
    let yard = Yard::at(bouncer.url_for(&url), |_| {}).await;
    let error = yard.db.listen(&yard.ctx, "news").await.err().unwrap();
    assert!(error.detail().contains("database.postgres.direct_url"), "{}", error.detail());
    let yard = Yard::at(bouncer.url_for(&url), |config| {
        config.postgres.pooler = Pooler::Transaction;
        config.postgres.direct_url = url.clone().into();
    })
    .await;
    drop(yard.db.listen(&yard.ctx, "news").await.unwrap());
}

#[tokio::test]
async fn parameters_find_their_types_where_nothing_can_be_prepared() {
    let server = Postgres::shared().await.unwrap();
    let bouncer = PgBouncer::start(server, PoolMode::Transaction).await.unwrap();
    let url = server.create_database().await.unwrap();
    let yard = Yard::at(bouncer.url_for(&url), |_| {}).await;
    let on = yard.db.write(&yard.ctx);
    sql!("make_mood", "create type mood as enum ('good', 'bad')").execute(&on).await.unwrap();
    sql!(
        "make_odd",
        "create table odd (small smallint, whole integer, mood mood, net inet, span interval, share numeric)"
    )
    .execute(&on)
    .await
    .unwrap();
    let put = |mood: &str| {
        let put = sql!(
            "put_odd",
            "insert into odd values ($1, $2, $3, $4, $5, $6)",
            7_i64,
            8_i64,
            mood,
            "10.0.0.1",
            "3 days",
            1.5
        );
        put.execute(&on)
    };
    assert_eq!(put("good").await.unwrap(), 1);
    assert!(put("ugly").await.is_err());
    let moods = sql!(
        "find_odd",
        "select small from odd where mood = any($1) and whole = any($2)",
        vec!["good", "bad"],
        vec![8_i64]
    );
    assert_eq!(moods.one::<i64>(&on).await.unwrap(), 7);
    let sum: i64 = sql!("sum_of", "select $1 + $2", 3_i64, 4_i64).one(&on).await.unwrap();
    assert_eq!(sum, 7);
    let text: String = sql!("text_of", "select $1", "word").one(&on).await.unwrap();
    assert_eq!(text, "word");
    let broken = sql!("broken_of", "select nothing($1)", 1_i64).one::<i64>(&on).await.unwrap_err();
    assert!(matches!(Fault::of(&broken), Some(Fault::Statement { .. })), "{broken:?}");
    assert_eq!(broken.kind(), Kind::Internal);
}
