//! Invalidation that belongs to a transaction, on both engines.

use burgeon_cache::{Cache, Caches, Config, InvalidateOnCommit, Load};
use burgeon_core::{Ctx, Error, Result};
use burgeon_db::{Db, Engine, sql};
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;
use burgeon_services::Postgres;
use tempfile::TempDir;

struct Shop {
    db: Db,
    url: String,
    prices: Cache<i64, i64>,
    ctx: Ctx,
    tasks: Tasks,
    _directory: Option<TempDir>,
}

macro_rules! on_both_engines {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[tokio::test]
            async fn sqlite() {
                super::$name(super::Shop::sqlite().await).await;
            }

            #[tokio::test]
            async fn postgres() {
                super::$name(super::Shop::postgres().await).await;
            }
        }
    )+};
}

on_both_engines!(
    after_the_commit_the_new_value_is_read_and_not_before,
    after_a_rollback_nothing_has_happened,
    a_load_that_began_before_the_commit_is_not_kept,
    a_tag_and_everything_go_with_the_commit_too,
);

impl Shop {
    async fn sqlite() -> Shop {
        let directory = TempDir::new().unwrap();
        let url = format!("sqlite:{}", directory.path().join("test.db").display());
        Self::at(url, Some(directory)).await
    }

    async fn postgres() -> Shop {
        Self::at(Postgres::shared().await.unwrap().create_database().await.unwrap(), None).await
    }

    async fn at(url: String, directory: Option<TempDir>) -> Shop {
        let meters = Meters::new();
        let tasks = Tasks::new(&meters);
        let db = Db::open(&burgeon_db::Config::at(url.clone()), &tasks, &meters).await.unwrap();
        let ctx = Ctx::background();
        sql!("make_prices", "create table price (id bigint primary key, units bigint not null)")
            .execute(&db.write(&ctx))
            .await
            .unwrap();
        sql!("first_prices", "insert into price (id, units) values (1, 100), (2, 100)")
            .execute(&db.write(&ctx))
            .await
            .unwrap();
        let caches = Caches::new(&Config::default(), &tasks, &meters).unwrap();
        let prices = caches.named("price").loader(db.clone(), load_price);
        Shop { db, url, prices, ctx, tasks, _directory: directory }
    }

    async fn price(&self) -> i64 {
        *self.prices.get(&self.ctx, &1).await.unwrap().unwrap()
    }
}

async fn load_price(db: Db, load: Load, id: i64) -> Result<Option<i64>> {
    load.tag("prices");
    sql!("find_price", "select units from price where id = $1", id).optional(&db.read(&load)).await
}

async fn reprice(tx: &burgeon_db::Tx, units: i64) -> Result<()> {
    sql!("reprice", "update price set units = $1 where id = 1", units).execute(tx).await?;
    Ok(())
}

async fn after_the_commit_the_new_value_is_read_and_not_before(shop: Shop) {
    assert_eq!(shop.price().await, 100);
    shop.db
        .tx(&shop.ctx, async |tx| {
            reprice(tx, 200).await?;
            tx.invalidate(&shop.prices, 1);
            assert_eq!(shop.prices.peek(&1).as_deref(), Some(&100));
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(shop.prices.peek(&1), None);
    assert_eq!(shop.price().await, 200);
}

async fn after_a_rollback_nothing_has_happened(shop: Shop) {
    assert_eq!(shop.price().await, 100);
    let rolled_back: Result<()> = shop
        .db
        .tx(&shop.ctx, async |tx| {
            reprice(tx, 200).await?;
            tx.invalidate(&shop.prices, 1);
            tx.invalidate_all(&shop.prices);
            Err(Error::conflict("No."))
        })
        .await;
    assert!(rolled_back.is_err());
    assert_eq!(shop.prices.peek(&1).as_deref(), Some(&100));
    assert_eq!(shop.price().await, 100);
}

async fn a_load_that_began_before_the_commit_is_not_kept(shop: Shop) {
    let (read, has_read) = tokio::sync::oneshot::channel();
    let (go, may_go) = tokio::sync::oneshot::channel::<()>();
    let slow = shop.tasks.spawn("slow", {
        let (prices, db, ctx) = (shop.prices.clone(), shop.db.clone(), shop.ctx.clone());
        async move {
            let load = move |load: Load| async move {
                let price = load_price(db, load, 1).await?;
                read.send(()).unwrap();
                may_go.await.unwrap();
                Ok(price)
            };
            prices.get_or_load(&ctx, &1, load).await
        }
    });
    has_read.await.unwrap();
    shop.db
        .tx(&shop.ctx, async |tx| {
            reprice(tx, 200).await?;
            tx.invalidate(&shop.prices, 1);
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(shop.price().await, 200);
    go.send(()).unwrap();
    assert_eq!(slow.await.unwrap().unwrap().as_deref(), Some(&100));
    assert_eq!(shop.price().await, 200);
}

async fn a_tag_and_everything_go_with_the_commit_too(shop: Shop) {
    for round in 1..3 {
        shop.price().await;
        shop.prices.get(&shop.ctx, &2).await.unwrap();
        shop.db
            .tx(&shop.ctx, async |tx| {
                reprice(tx, 100 + round).await?;
                match round {
                    1 => tx.invalidate_tag(&shop.prices, "prices"),
                    _ => tx.invalidate_all(&shop.prices),
                }
                Ok(())
            })
            .await
            .unwrap();
        assert_eq!(shop.prices.peek(&2), None);
        assert_eq!(shop.price().await, 100 + round);
    }
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_counts_as_done() {
    let shop = Shop::postgres().await;
    assert_eq!(shop.db.engine(), Engine::Postgres);
    let meters = Meters::new();
    let other =
        Db::open(&burgeon_db::Config::at(shop.url.clone()), &Tasks::new(&meters), &meters).await.unwrap();
    shop.price().await;
    let lost = shop
        .db
        .tx(&shop.ctx, async |tx| {
            reprice(tx, 200).await?;
            tx.invalidate(&shop.prices, 1);
            let backend: i64 = sql!("own_backend", "select cast(pg_backend_pid() as bigint)").one(tx).await?;
            tx.before_commit(move |_| {
                Box::pin(async move {
                    let ctx = Ctx::background();
                    sql!(
                        "kill_backend",
                        sqlite: "select $1",
                        postgres: "select $1::bigint from pg_terminate_backend($1::bigint::int)",
                        backend
                    )
                    .optional::<i64>(&other.read(&ctx))
                    .await?;
                    Ok(())
                })
            });
            Ok(())
        })
        .await;
    assert!(lost.is_err(), "{lost:?}");
    assert_eq!(shop.prices.peek(&1), None);
}
