use burgeon::prelude::*;
use serde_json::Value;

// The body can only come last: whoever takes it leaves nothing for the next.
async fn write(Json(draft): Json<Value>, ctx: Ctx) -> Result<String> {
    drop(ctx);
    Ok(draft.to_string())
}

fn main() {
    Routes::new(()).routes([post("/notes", write)]);
}
