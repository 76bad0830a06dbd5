//! A purge that belongs to a transaction.

use burgeon_cache::InvalidateOnCommit;
use burgeon_core::{Ctx, Error, Result};
use burgeon_db::{Db, sql};
use tempfile::TempDir;

use super::table::site;

#[tokio::test]
async fn a_purge_by_tag_waits_for_the_commit_and_does_not_survive_a_rollback() {
    let site = site(|_| {});
    let directory = TempDir::new().unwrap();
    let url = format!("sqlite:{}", directory.path().join("test.db").display());
    let db = Db::open(&burgeon_db::Config::at(url), &site.house.tasks, &site.house.meters).await.unwrap();
    let ctx = Ctx::background();
    sql!("make_shelf", "create table shelf (id bigint primary key)").execute(&db.write(&ctx)).await.unwrap();
    for body in ["one", "two"] {
        let headers = [("cache-control", "max-age=600"), ("surrogate-key", "shelf")];
        site.handler.answers(200, body, &headers);
    }
    let shown = async || site.get("/").await.body;
    assert_eq!(shown().await, "one");

    let rolled_back: Result<()> = db
        .tx(&ctx, async |tx| {
            tx.invalidate_tag(site.responses.cache(), "shelf");
            Err(Error::conflict("not now"))
        })
        .await;
    assert!(rolled_back.is_err());
    assert_eq!(shown().await, "one");

    let seen_before_the_commit = db
        .tx(&ctx, async |tx| {
            sql!("fill_shelf", "insert into shelf (id) values ($1)", 1).execute(tx).await?;
            tx.invalidate_tag(site.responses.cache(), "shelf");
            Ok(site.get("/").await.body)
        })
        .await;
    assert_eq!(seen_before_the_commit.unwrap(), "one");
    assert_eq!(shown().await, "two");
}

#[tokio::test]
async fn one_word_purges_what_everybody_has_made_of_a_thing() {
    let site = site(|_| {});
    let directory = TempDir::new().unwrap();
    let url = format!("sqlite:{}", directory.path().join("test.db").display());
    let db = Db::open(&burgeon_db::Config::at(url), &site.house.tasks, &site.house.meters).await.unwrap();
    let ctx = Ctx::background();
    let names = site.house.caches.named::<u8, String>("names").without_loader();
    let fill = async || {
        names.set_tagged(&ctx, &1, "mug".to_owned(), ["product:1"]);
        site.handler.answers(
            200,
            "page",
            &[("cache-control", "max-age=600"), ("surrogate-key", "product:1")],
        );
        site.get("/").await.cache_status()
    };
    assert_eq!(fill().await, "burgeon; fwd=uri-miss; stored");
    db.tx(&ctx, async |tx| {
        tx.purge(&site.house.caches, "product:1");
        assert!(names.peek(&1).is_some());
        Ok(())
    })
    .await
    .unwrap();
    assert!(names.peek(&1).is_none());
    assert_eq!(fill().await, "burgeon; fwd=uri-miss; stored");
    site.house.caches.purge(&ctx, "product:1");
    assert!(names.peek(&1).is_none());
    assert_eq!(fill().await, "burgeon; fwd=uri-miss; stored");
}
