//! The ten lines of the README.

use burgeon::prelude::*;

fn main() -> std::process::ExitCode {
    App::new("hello").module(hello).run()
}

fn hello(db: Db) -> Module {
    Module::new("hello").routes(Routes::new(db).routes([get("/", greet)]))
}

async fn greet(ctx: Ctx, State(db): State<Db>) -> Result<String> {
    sql!("greet", "select 'Hello from the database'").one(&db.read(&ctx)).await
}
