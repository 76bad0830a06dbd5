use burgeon::prelude::*;

// The routes were made with something else.
async fn count(State(db): State<Db>) -> Result<String> {
    drop(db);
    Ok(String::new())
}

fn main() {
    Routes::new(7_i64).routes([get("/count", count)]);
}
