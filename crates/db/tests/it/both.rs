//! One test body, both engines.

use burgeon_core::Ctx;
use burgeon_db::{Config, Db};
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;
use burgeon_services::Postgres;
use tempfile::TempDir;

/// A fresh database of one engine.
pub(crate) struct Home {
    pub(crate) db: Db,
    pub(crate) ctx: Ctx,
    pub(crate) meters: Meters,
    pub(crate) config: Config,
    _directory: Option<TempDir>,
}

/// A fresh database of each engine.
pub(crate) async fn both() -> [Home; 2] {
    let directory = TempDir::new().unwrap();
    let sqlite = format!("sqlite:{}", directory.path().join("test.db").display());
    let postgres = Postgres::shared().await.unwrap().create_database().await.unwrap();
    [Home::open(sqlite, Some(directory)).await, Home::open(postgres, None).await]
}

impl Home {
    async fn open(url: String, directory: Option<TempDir>) -> Home {
        let config = Config::at(url);
        let meters = Meters::new();
        let db = Db::open(&config, &Tasks::new(&meters), &meters).await.unwrap();
        Home { db, ctx: Ctx::background(), meters, config, _directory: directory }
    }

    /// Another handle on the same database, as another node has it.
    pub(crate) async fn another(&self) -> Db {
        Db::open(&self.config, &Tasks::new(&self.meters), &self.meters).await.unwrap()
    }
}
