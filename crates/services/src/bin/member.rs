//! A process as a test run has many: makes a database in the run's shared Postgres, prints its own id and the database's
//! URL, and ends; called with `stay`, only when it is killed.

use std::process::ExitCode;

use burgeon_services::Postgres;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    #[expect(clippy::disallowed_methods, reason = "a binary reads its arguments")]
    let stays = std::env::args().nth(1).is_some_and(|word| word == "stay");
    let made = match Postgres::shared().await {
        Ok(server) => server.create_database().await,
        Err(error) => Err(error),
    };
    match made {
        Ok(url) => println!("{} {url}", std::process::id()),
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    }
    if stays {
        std::future::pending::<()>().await;
    }
    ExitCode::SUCCESS
}
