use burgeon::{Ctx, Result};

pub struct Product;

#[burgeon::api]
trait Catalog {
    fn not_async(&self, ctx: &Ctx) -> Result<()>;
    async fn no_ctx(&self, id: i64) -> Result<()>;
    async fn ctx_by_value(&self, ctx: Ctx) -> Result<()>;
    async fn no_self(ctx: &Ctx) -> Result<()>;
    async fn mutable_self(&mut self, ctx: &Ctx) -> Result<()>;
    async fn borrowed(&self, ctx: &Ctx, product: &Product) -> Result<()>;
    async fn changed(&self, ctx: &Ctx, product: &mut i64) -> Result<()>;
    async fn generic<T>(&self, ctx: &Ctx, value: T) -> Result<()>;
    async fn opaque(&self, ctx: &Ctx, value: impl ToString) -> Result<()>;
    async fn cannot_fail(&self, ctx: &Ctx) -> i64;
    async fn nothing(&self, ctx: &Ctx);
    async fn with_body(&self, ctx: &Ctx) -> Result<()> {
        Ok(())
    }
    type Item;
}

fn main() {}
