use burgeon_core::{Ctx, Result};
use burgeon_db::{Db, Row, sql};

struct Colour(u8);

#[derive(Row)]
struct Product {
    colour: Colour,
}

async fn find(db: &Db, ctx: &Ctx) -> Result<Product> {
    sql!("find", "select colour from product where colour = $1", Colour(1)).one(&db.read(ctx)).await
}

fn main() {}
