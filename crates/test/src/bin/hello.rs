//! Hello, with a database, in ten lines.

use burgeon::prelude::*;
use std::process::ExitCode;

async fn hello(ctx: Ctx, State(db): State<Db>) -> Result<String> {
    let now: String =
        sql!("now", sqlite: "select datetime()", postgres: "select now()::text").one(&db.read(&ctx)).await?;
    Ok(format!("Hello! The database says it is {now}.\n"))
}

fn main() -> ExitCode {
    App::new("hello")
        .module(|db: Db| Module::new("hello").routes(Routes::new(db).routes([get("/", hello)])))
        .run()
}
