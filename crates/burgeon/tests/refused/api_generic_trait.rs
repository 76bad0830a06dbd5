use burgeon::{Ctx, Result};

#[burgeon::api]
trait Store<T> {
    async fn get(&self, ctx: &Ctx) -> Result<i64>;
}

fn main() {}
