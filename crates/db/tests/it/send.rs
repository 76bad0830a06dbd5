//! What a handler does with a transaction can be awaited on any thread.

use burgeon_core::{Ctx, Result};
use burgeon_db::sea_query::{self, ExprTrait};
use burgeon_db::{Db, Tx, dynamic, retry, sql};
use futures_util::TryStreamExt;

use crate::house::House;

/// What an HTTP server or `tasks.spawn` asks of a handler's future.
fn spawnable<F: Future + Send + 'static>(future: F) -> F {
    future
}

async fn checkout(ctx: Ctx, db: Db, lines: Vec<(i64, i64)>, note: String) -> Result<u64> {
    let total = db
        .tx(&ctx, async |tx| {
            let mut total = 0;
            for (id, units) in &lines {
                let left: Option<i64> =
                    sql!("left", "select units from stock where id = $1", *id).optional(tx).await?;
                if left.unwrap_or(0) >= *units {
                    total += take(tx, *id, *units, &note).await?;
                }
            }
            Ok(total)
        })
        .await?;
    // A closure in a closure's task, borrowing from outside, and a loop around the whole.
    retry!(
        2,
        db.tx(&ctx, async |tx| {
            let inner = async |id: i64| {
                sql!("put_back", "update stock set units = units + 1, note = $2 where id = $1", id, &note)
                    .execute(tx)
                    .await
            };
            inner(1).await?;
            inner(2).await
        })
        .await
    )?;
    Ok(total)
}

/// A builder lives across the await, as one writes it without thinking.
async fn listed(ctx: Ctx, db: Db, above: i64) -> Result<Vec<i64>> {
    let mut list = sea_query::Query::select();
    list.column(sea_query::Alias::new("id")).from(sea_query::Alias::new("stock"));
    let ids = dynamic::select("ids", &list, db.engine()).all(&db.read(&ctx)).await?;
    list.and_where(sea_query::Expr::col(sea_query::Alias::new("units")).gt(above));
    let more: Vec<i64> = dynamic::select("ids", &list, db.engine()).all(&db.read(&ctx)).await?;
    Ok(if more.is_empty() { ids } else { more })
}

async fn take(tx: &Tx, id: i64, units: i64, note: &str) -> Result<u64> {
    let note = note.to_owned();
    tx.after_commit("say", async move {
        drop(note);
        Ok(())
    });
    tx.before_commit(|tx| {
        Box::pin(async move {
            sql!("touch", "update stock set note = 'checked' where units < 0").execute(tx).await.map(drop)
        })
    });
    sql!("take", "update stock set units = units - $2 where id = $1", id, units).execute(tx).await
}

async fn export(ctx: Ctx, db: Db) -> Result<Vec<i64>> {
    db.tx_read_only(&ctx, async |tx| sql!("ids", "select id from stock").all::<i64>(tx).await).await?;
    sql!("ids_streamed", "select id from stock order by id").stream::<i64>(&db.read(&ctx)).try_collect().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_with_captures_loops_and_nesting_runs_on_any_thread() {
    let House { db, ctx, .. } = &House::sqlite().await;
    let on = db.write(ctx);
    sql!(
        "make_stock",
        "create table stock (id integer primary key, units integer not null, note text) strict"
    )
    .execute(&on)
    .await
    .unwrap();
    sql!("fill_stock", "insert into stock (id, units) values (1, 5), (2, 5)").execute(&on).await.unwrap();
    let tasks = burgeon_runtime::Tasks::new(&burgeon_meter::Meters::new());
    let order = checkout(ctx.clone(), db.clone(), vec![(1, 2), (2, 9)], "hi".to_owned());
    assert_eq!(tasks.spawn("checkout", spawnable(order)).await.unwrap().unwrap(), 1);
    let ids = tasks.spawn("export", spawnable(export(ctx.clone(), db.clone()))).await.unwrap().unwrap();
    assert_eq!(ids, [1, 2]);
    let ids = tasks.spawn("list", spawnable(listed(ctx.clone(), db.clone(), 5))).await.unwrap().unwrap();
    assert_eq!(ids, [2]);
    let units: Vec<i64> =
        sql!("units", "select units from stock order by id").all(&db.read(ctx)).await.unwrap();
    assert_eq!(units, [4, 6]);
}
