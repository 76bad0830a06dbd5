//! What the engine costs above raw rusqlite behind the same hand-over: point reads and grouped inserts.
//!
//! `cargo run --release -p burgeon-db --example overhead`

use std::time::Duration;

use burgeon_core::Ctx;
use burgeon_db::{Config, Db, sql};
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;

const ROWS: i64 = 10_000;

#[tokio::main(worker_threads = 2)]
async fn main() -> burgeon_core::Result<()> {
    let directory = tempfile::TempDir::new().map_err(burgeon_core::Error::internal)?;
    let url = format!("sqlite:{}", directory.path().join("overhead.db").display());
    let meters = Meters::new();
    let tasks = Tasks::new(&meters);
    let db = Db::open(&Config::at(url), &tasks, &meters).await?;
    let ctx = Ctx::background();
    let on = db.write(&ctx);
    sql!(
        "make",
        "create table item (id integer primary key, name text not null, price integer not null) strict"
    )
    .execute(&on)
    .await?;
    let numbers: Vec<i64> = (0..ROWS).collect();
    sql!(
        "fill",
        sqlite: "insert into item select value, 'item ' || value, value * 100 from rarray($1)",
        postgres: "insert into item select value, 'item ' || value, value * 100 from unnest($1) value",
        numbers
    )
    .execute(&on)
    .await?;
    for in_flight in [1_usize, 8, 64] {
        let each = 60_000 / in_flight as i64;
        let started = tokio::time::Instant::now();
        let mut running = Vec::new();
        for task in 0..in_flight as i64 {
            let (db, ctx) = (db.clone(), ctx.clone());
            running.push(tasks.spawn("read", async move {
                for turn in 0..each {
                    let id = (task * 7919 + turn * 31) % ROWS;
                    let row: (i64, String, i64) =
                        sql!("point", "select id, name, price from item where id = $1", id)
                            .one(&db.read(&ctx))
                            .await?;
                    assert_eq!(row.0, id);
                }
                burgeon_core::Result::Ok(())
            }));
        }
        for task in running {
            task.await??;
        }
        report("reads", in_flight, each as u64 * in_flight as u64, started.elapsed());
    }
    for in_flight in [1_usize, 64, 256] {
        let each = if in_flight == 1 { 2_000 } else { 100_000 / in_flight };
        let started = tokio::time::Instant::now();
        let mut running = Vec::new();
        for task in 0..in_flight {
            let (db, ctx) = (db.clone(), ctx.clone());
            running.push(tasks.spawn("write", async move {
                for turn in 0..each {
                    sql!(
                        "add",
                        "insert into item (name, price) values ($1, $2)",
                        format!("new {task}"),
                        turn as i64
                    )
                    .execute(&db.write(&ctx))
                    .await?;
                }
                burgeon_core::Result::Ok(())
            }));
        }
        for task in running {
            task.await??;
        }
        report("writes", in_flight, (each * in_flight) as u64, started.elapsed());
    }
    for in_flight in [1_usize, 64] {
        let each = if in_flight == 1 { 500 } else { 20_000 / in_flight };
        let started = tokio::time::Instant::now();
        let mut running = Vec::new();
        for task in 0..in_flight {
            let (db, ctx) = (db.clone(), ctx.clone());
            running.push(tasks.spawn("tx", async move {
                for turn in 0..each {
                    db.tx(&ctx, async |tx| {
                        let id = ((task * 131 + turn) as i64) % ROWS;
                        let price: i64 =
                            sql!("tx_price", "select price from item where id = $1", id).one(tx).await?;
                        sql!("tx_set", "update item set price = $2 where id = $1", id, price + 1)
                            .execute(tx)
                            .await?;
                        sql!("tx_add", "insert into item (name, price) values ('tx', $1)", price)
                            .execute(tx)
                            .await
                    })
                    .await?;
                }
                burgeon_core::Result::Ok(())
            }));
        }
        for task in running {
            task.await??;
        }
        report("transactions of 3", in_flight, (each * in_flight) as u64, started.elapsed());
    }
    db.close().await;
    Ok(())
}

fn report(what: &str, in_flight: usize, count: u64, took: Duration) {
    println!(
        "{what:>18}, {in_flight:>3} in flight: {:>9.0}/s  {:>8.2} us each",
        count as f64 / took.as_secs_f64(),
        took.as_secs_f64() * 1e6 / count as f64
    );
}
