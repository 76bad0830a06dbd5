//! A fresh, empty database for one test.

use std::path::Path;

use burgeon_db::Engine;
use burgeon_services::Postgres;

/// The URL of a database that nobody else uses: a file in `directory`, or a database on the server that the tests of
/// this process share.
pub(crate) async fn fresh(engine: Engine, directory: &Path) -> String {
    match engine {
        Engine::Sqlite => format!("sqlite:{}", directory.join("test.db").display()),
        Engine::Postgres => {
            let server = match Postgres::shared().await {
                Ok(server) => server,
                Err(error) => panic!(
                    "this test runs on Postgres, which cannot be started: {error}\n  In Burgeon's own workspace \
                     `cargo xtask test` installs what is missing; elsewhere install the package `postgresql`, or leave \
                     Postgres out: `engines = [sqlite]`."
                ),
            };
            server.create_database().await.unwrap_or_else(|error| panic!("no database for the test: {error}"))
        }
    }
}
