use burgeon_core::{Ctx, Result};
use burgeon_db::{Db, sql};

async fn reprice(db: &Db, ctx: &Ctx) -> Result<u64> {
    sql!("reprice", "update product set price = 1").execute(&db.read(ctx)).await
}

async fn returning(db: &Db, ctx: &Ctx) -> Result<i64> {
    sql!("take", "delete from queue where id = $1 returning id", 1_i64).one(&db.read(ctx)).await
}

fn main() {}
