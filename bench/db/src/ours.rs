//! Burgeon, through its public door: named statements, deadlines, meters and typed errors included.

use std::time::Duration;

use burgeon_core::{Ctx, Deadline};
use burgeon_db::{Db, bulk, sql};

use crate::case::{BULK, Failure, Peer, Product, body};

#[derive(Clone)]
pub struct Ours(pub Db);

/// A request's context: with a deadline, because that is what every request has.
fn ctx() -> Ctx {
    let now = tokio::time::Instant::now().into_std();
    Ctx::background().with_deadline(Deadline::after(now, Duration::from_secs(15)))
}

impl Peer for Ours {
    async fn point_read(&self, id: i64) -> Result<Product, Failure> {
        let ctx = ctx();
        let find = sql!("find_product", "select id, name, price, stock from product where id = $1", id);
        Ok(find.one(&self.0.read(&ctx)).await?)
    }

    async fn insert(&self, id: i64) -> Result<(), Failure> {
        let ctx = ctx();
        sql!(
            "insert_entry",
            "insert into entry (id, body, amount) values ($1, $2, $3)",
            id,
            body(id),
            id * 100
        )
        .execute(&self.0.write(&ctx))
        .await?;
        Ok(())
    }

    async fn update(&self, id: i64) -> Result<(), Failure> {
        let ctx = ctx();
        let count = sql!("count_up", "update stock set units = units + 1 where id = $1", id);
        count.execute(&self.0.write(&ctx)).await?;
        Ok(())
    }

    async fn bulk(&self, first: i64) -> Result<(), Failure> {
        let ctx = ctx();
        let rows = (first..first + BULK as i64).map(|id| (id, body(id), id * 100));
        bulk("insert_entries", "entry", ["id", "body", "amount"]).insert(&self.0.write(&ctx), rows).await?;
        Ok(())
    }
}
