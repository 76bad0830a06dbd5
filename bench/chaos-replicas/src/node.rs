//! The application under test: notes that are written and read, as anybody would write it. Nothing here knows of replicas.

use std::process::ExitCode;

use burgeon::prelude::*;

pub fn run() -> ExitCode {
    App::new("notes").module(module).run()
}

fn module(db: Db) -> Module {
    Module::new("notes").migrations(migrations!["0001_notes.sql"]).routes(Routes::new(db).routes([
        put("/notes/{id}/{version}", write),
        get("/notes/{id}", read),
        get("/slow/{id}", slow).sheddable(),
        get("/checkout/{id}", slow).critical(),
    ]))
}

async fn write(ctx: Ctx, State(db): State<Db>, Path((id, version)): Path<(i64, i64)>) -> Result<NoContent> {
    sql!(
        "write_note",
        "insert into notes_note (id, version) values ($1, $2)
         on conflict (id) do update set version = excluded.version",
        id,
        version
    )
    .execute(&db.write(&ctx))
    .await?;
    Ok(NoContent)
}

async fn read(ctx: Ctx, State(db): State<Db>, Path(id): Path<i64>) -> Result<Json<i64>> {
    let version: Option<i64> = sql!("read_note", "select version from notes_note where id = $1", id)
        .optional(&db.read(&ctx))
        .await?;
    Ok(Json(version.unwrap_or(0)))
}

/// A read that takes its time, so that many at once can be told from few.
async fn slow(ctx: Ctx, State(db): State<Db>, Path(id): Path<i64>) -> Result<Json<i64>> {
    let (version, _): (i64, String) = sql!(
        "slow_read",
        sqlite: "select version, '' from notes_note where id = $1",
        postgres: "select version, pg_sleep(0.2)::text from notes_note where id = $1",
        id
    )
    .one(&db.read(&ctx))
    .await?;
    Ok(Json(version))
}
