use burgeon::prelude::*;

struct Basket;

// Nothing says how a basket is taken from a request.
async fn show(ctx: Ctx, basket: Basket) -> Result<String> {
    drop((ctx, basket));
    Ok(String::new())
}

fn main() {
    Routes::new(()).routes([get("/basket", show)]);
}
