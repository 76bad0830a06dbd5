//! A database per test.

use burgeon_core::Ctx;
use burgeon_db::{Config, Db};
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;
use tempfile::TempDir;

/// A fresh database, removed when dropped.
pub(crate) struct House {
    pub(crate) db: Db,
    pub(crate) ctx: Ctx,
    pub(crate) meters: Meters,
    /// Kept for its drop.
    _directory: TempDir,
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
        let db = Db::open(&config, &Tasks::new(&meters), &meters).await.unwrap();
        House { db, ctx: Ctx::background(), meters, _directory: directory }
    }
}
