//! One process on a SQLite file: who is refused, who waits, and who may run beside it.
//!
//! | | the file is free | a process serves from it |
//! |---|---|---|
//! | `serve` | takes it for its life | refused, with the line that allows it |
//! | a command of the application | takes it, brings the database up to date, gives it back, runs | runs beside it: changes no tables, begins no first start |
//! | `migrate` | takes it, migrates | refused, unless there is nothing to do; `--status` always runs |
//! | `db move` | runs | runs beside it, and writes are refused there from its first row on |

use std::time::Duration;

use burgeon_core::units::format_duration;
use burgeon_db::{Claim, Claimed, Db};
use tokio::time::{Instant, sleep};

use crate::StartError;

const POLL: Duration = Duration::from_millis(100);
const SERVE: &str = "serve";

/// Claims the file for a process that serves. A command that is bringing the database up to date is waited for.
pub(crate) async fn serve(db: &Db, patience: Duration) -> Result<Claim, StartError> {
    let began = Instant::now();
    loop {
        let holder = match try_claim(db, SERVE)? {
            Claimed::Ours(claim) => return Ok(claim),
            Claimed::Theirs(holder) => holder,
        };
        if holder.starts_with(SERVE) {
            return Err(StartError::new(format!("another process serves from this SQLite file ({holder})"))
                .and("stop it first; for several processes use Postgres: `db move` takes the data there")
                .and("or allow it, knowing that caches and queues of one process do not hear of the other:")
                .and("  [database.sqlite]")
                .and("  shared = true"));
        }
        if began.elapsed() > patience {
            let waited = format_duration(patience);
            return Err(StartError::new(format!("the SQLite file has been in use for {waited} ({holder})")));
        }
        tracing::info!(%holder, "another process brings the database up to date; waiting");
        sleep(POLL).await;
    }
}

/// Claims the file if it is free.
pub(crate) fn try_claim(db: &Db, who: &str) -> Result<Claimed, StartError> {
    db.claim(who).map_err(|error| StartError::because("the database cannot be claimed", error))
}
