use burgeon::prelude::*;

struct Product;

// Nothing says what a product looks like to a client.
async fn show(ctx: Ctx) -> Result<Product> {
    drop(ctx);
    Ok(Product)
}

// Known to serde, and not to the API document.
#[derive(serde::Serialize)]
struct Note;

async fn read() -> Result<Json<Note>> {
    Ok(Json(Note))
}

fn main() {
    Routes::new(()).routes([get("/product", show), get("/note", read)]);
}
