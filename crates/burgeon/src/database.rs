//! Opening the database at start: with patience for one that is still starting itself, and clear words for one that is
//! not coming.

use std::time::Duration;

use burgeon_core::Kind;
use burgeon_core::units::format_duration;
use burgeon_db::{Config, Db};
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;
use tokio::time::{Instant, sleep};

use crate::StartError;
use crate::config::database_url;

/// Opens the database. One that cannot be reached is tried again until `patience` ends; whatever else is wrong (the
/// file is no database, the password is) will not mend itself and is told at once.
pub(crate) async fn open(
    config: &Config,
    tasks: &Tasks,
    meters: &Meters,
    patience: Duration,
) -> Result<Db, StartError> {
    const FIRST: Duration = Duration::from_millis(200);
    const LONGEST: Duration = Duration::from_secs(2);
    let began = Instant::now();
    let mut pause = FIRST;
    loop {
        // One try takes as long as connecting may, which shall not be longer than is left.
        let mut config = config.clone();
        let left = patience.saturating_sub(began.elapsed()).max(FIRST);
        config.postgres.connect_timeout = config.postgres.connect_timeout.min(left);
        let error = match Db::open(&config, tasks, meters).await {
            Ok(db) => return Ok(db),
            Err(error) => error,
        };
        if error.kind() != Kind::Unavailable {
            return Err(StartError::because("the database cannot be opened", error).and(remedy(&config)));
        }
        if began.elapsed() + pause > patience {
            let waited = format_duration(Duration::from_secs(began.elapsed().as_secs()));
            return Err(StartError::because(
                format!("the database cannot be reached (tried for {waited})"),
                error,
            )
            .and(remedy(&config))
            .and("`app.database_wait` says how long the start waits for it"));
        }
        tracing::warn!(error = error.detail(), "the database cannot be reached yet; trying again");
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST);
    }
}

/// Where the database is, and who said so.
pub(crate) fn remedy(config: &Config) -> String {
    let url = database_url(config.url.expose()).unwrap_or_else(|| "***".to_owned());
    format!("`database.url` is {url}; `config explain` says where it was set")
}
