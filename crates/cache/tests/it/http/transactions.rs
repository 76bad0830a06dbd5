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
