//! A database per test.

use std::path::PathBuf;
use std::time::Duration;

use burgeon_core::{Ctx, Deadline};
use burgeon_db::{Config, Db};
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;
use tempfile::TempDir;

/// A fresh database, removed when dropped.
pub(crate) struct House {
    pub(crate) db: Db,
    pub(crate) ctx: Ctx,
    pub(crate) meters: Meters,
    pub(crate) tasks: Tasks,
    directory: TempDir,
}

impl House {
    pub(crate) async fn sqlite() -> House {
        Self::sqlite_with(|_| {}).await
    }

    pub(crate) async fn sqlite_with(change: impl FnOnce(&mut Config)) -> House {
        let directory = TempDir::new().unwrap();
        let mut config = Config::at(format!("sqlite:{}", directory.path().join("test.db").display()));
        change(&mut config);
        let meters = Meters::new();
        let tasks = Tasks::new(&meters);
        let db = Db::open(&config, &tasks, &meters).await.unwrap();
        House { db, ctx: Ctx::background(), meters, tasks, directory }
    }

    /// The file of a SQLite database.
    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("test.db")
    }
}

/// A request that nobody waits for beyond `budget`.
pub(crate) fn within(budget: Duration) -> Ctx {
    Ctx::background().with_deadline(Deadline::after(tokio::time::Instant::now().into_std(), budget))
}
