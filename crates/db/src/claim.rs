//! The right to be the one process that serves from a SQLite file.
//!
//! What lives in a process (caches, a bus, a queue's wake-up calls) does not hear of what another process writes to the
//! file, so there is one. On Postgres processes hear of each other, and there is nothing to claim.
//!
//! It is a lock on a file beside the database, the kernel's: it is gone with its process, however that ended. What stands
//! in that file is for people.

use std::io::Write as _;
use std::path::Path;

use burgeon_core::{Ctx, Result};

use crate::db::EngineOf;
use crate::sqlite::fence::{Beside, SERVING, beside};
use crate::{Closed, Db, Fault, clock};

/// What became of a claim.
#[derive(Debug)]
pub enum Claimed {
    /// It is ours until the value is dropped.
    Ours(Claim),
    /// Another process has it; who, in its own words: `serve, process 1234`.
    Theirs(String),
}

/// The right itself. Dropped, it is given back.
#[derive(Debug)]
pub struct Claim {
    /// None where there is nothing to claim.
    _lock: Option<Beside>,
}

impl Claim {
    pub(crate) fn free() -> Self {
        Self { _lock: None }
    }
}

impl Db {
    /// Claims the right to be the one process that serves from this database, for `who`: `serve`. On Postgres, and where
    /// `database.sqlite.shared` is on, there is nothing to claim, and it is always ours.
    ///
    /// # Errors
    /// When the file beside the database cannot be made.
    pub fn claim(&self, who: &str) -> Result<Claimed> {
        match &self.0.engine {
            EngineOf::Sqlite(_) if !self.0.config.sqlite.shared => {
                claim(&self.0.config.sqlite_path(), who).map_err(Fault::into_error)
            }
            _ => Ok(Claimed::Ours(Claim::free())),
        }
    }

    /// Whether the data has been moved elsewhere, so that nothing is written here any more. Never on Postgres.
    ///
    /// # Errors
    /// Whatever befell the database.
    pub async fn closed(&self, ctx: &Ctx) -> Result<Option<Closed>> {
        match &self.0.engine {
            EngineOf::Sqlite(sqlite) => sqlite.closed(ctx).await.map_err(Fault::into_error),
            EngineOf::Postgres(_) => Ok(None),
        }
    }
}

/// Claims the file for `who`.
pub(crate) fn claim(database: &Path, who: &str) -> Result<Claimed, Fault> {
    let failed = |error: std::io::Error| Fault::Unusable {
        why: format!(
            "{} cannot be made ({error}); this user needs the right to write there",
            beside(database, SERVING).display()
        ),
    };
    match Beside::take(database, SERVING).map_err(failed)? {
        None => Ok(Claimed::Theirs(holder(database))),
        Some(lock) => {
            let words = format!("{who}, process {}", std::process::id());
            lock.file().set_len(0).and_then(|()| lock.file().write_all(words.as_bytes())).map_err(failed)?;
            Ok(Claimed::Ours(Claim { _lock: Some(lock) }))
        }
    }
}

/// Who has it. Its words come a moment after its lock.
fn holder(database: &Path) -> String {
    let started = clock::now();
    loop {
        let words = std::fs::read_to_string(beside(database, SERVING)).unwrap_or_default();
        if !words.is_empty() {
            return words;
        }
        if clock::now().saturating_duration_since(started).as_millis() > 200 {
            return "another process".to_owned();
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
