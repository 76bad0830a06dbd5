use burgeon::{Ctx, Result};

#[burgeon::api]
trait Store: Clone {
    async fn get(&self, ctx: &Ctx) -> Result<i64>;
}

fn main() {}
