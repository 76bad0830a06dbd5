//! What other processes do to the database beside this one.

use std::time::Duration;

use burgeon_core::{Cancel, Result};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::db::EngineOf;
use crate::{Db, Fault};

/// So often the file is looked at; a look costs microseconds.
const LOOK: Duration = Duration::from_millis(250);
/// So soon again, where the writer was at work.
const AGAIN: Duration = Duration::from_millis(10);

impl Db {
    /// Calls `told` soon (250 ms) after another process has committed something to the SQLite file: a command beside the
    /// process that serves, say. Once also at the beginning: what was there before is not known. Ends when `stopping` is
    /// raised; at once on Postgres, whose nodes tell each other.
    ///
    /// SQLite counts the commits of others for each connection (`pragma data_version`), and all that this process commits
    /// goes through one connection.
    ///
    /// # Errors
    /// [`Fault::Unavailable`] and the like, when the file cannot be looked at.
    pub async fn watch_others(&self, stopping: Cancel, told: impl Fn()) -> Result<()> {
        let EngineOf::Sqlite(sqlite) = &self.0.engine else { return Ok(()) };
        let mut last = None;
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = looks.tick() => {}
                () = stopping.cancelled() => return Ok(()),
            }
            let version = loop {
                match sqlite.foreign_commits() {
                    Some(version) => break version.map_err(Fault::into_error)?,
                    None => tokio::select! {
                        () = sleep(AGAIN) => {}
                        () = stopping.cancelled() => return Ok(()),
                    },
                }
            };
            if last.replace(version) != Some(version) {
                told();
            }
        }
    }
}
