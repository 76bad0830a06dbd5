//! A database per test.

use std::path::PathBuf;
use std::time::Duration;

use burgeon_core::{Ctx, Deadline};
use burgeon_db::{Config, Db};
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;
use burgeon_services::{PgBouncer, PoolMode, Postgres};
use tempfile::TempDir;

/// A fresh database, removed when dropped.
pub(crate) struct House {
    pub(crate) db: Db,
    pub(crate) ctx: Ctx,
    pub(crate) meters: Meters,
    pub(crate) tasks: Tasks,
    config: Config,
    directory: Option<TempDir>,
    _bouncer: Option<PgBouncer>,
}

/// One body, both engines, and Postgres behind a transaction pooler: the tests `NAME::sqlite`, `NAME::postgres` and
/// `NAME::pooled`.
macro_rules! on_both_engines {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[tokio::test]
            async fn sqlite() {
                super::$name($crate::house::House::sqlite().await).await;
            }

            #[tokio::test]
            async fn postgres() {
                super::$name($crate::house::House::postgres().await).await;
            }

            #[tokio::test]
            async fn pooled() {
                super::$name($crate::house::House::pooled().await).await;
            }
        }
    )+};
}

pub(crate) use on_both_engines;

impl House {
    pub(crate) async fn sqlite() -> House {
        Self::sqlite_with(|_| {}).await
    }

    pub(crate) async fn sqlite_with(change: impl FnOnce(&mut Config)) -> House {
        let directory = TempDir::new().unwrap();
        let mut config = Config::at(format!("sqlite:{}", directory.path().join("test.db").display()));
        change(&mut config);
        Self::at(&config, Some(directory)).await
    }

    /// A database of its own on the server that this process's tests share.
    pub(crate) async fn postgres() -> House {
        let url = Postgres::shared().await.unwrap().create_database().await.unwrap();
        Self::at(&Config::at(url), None).await
    }

    /// As [`postgres`](Self::postgres), reached through a PgBouncer in transaction mode.
    pub(crate) async fn pooled() -> House {
        let server = Postgres::shared().await.unwrap();
        let bouncer = PgBouncer::start(server, PoolMode::Transaction).await.unwrap();
        let url = bouncer.url_for(&server.create_database().await.unwrap());
        let house = Self::at(&Config::at(url), None).await;
        House { _bouncer: Some(bouncer), ..house }
    }

    async fn at(config: &Config, directory: Option<TempDir>) -> House {
        let meters = Meters::new();
        let tasks = Tasks::new(&meters);
        let db = Db::open(config, &tasks, &meters).await.unwrap();
        let (ctx, config) = (Ctx::background(), config.clone());
        House { db, ctx, meters, tasks, config, directory, _bouncer: None }
    }

    /// The same database, opened once more.
    pub(crate) async fn again(&self) -> Db {
        let meters = Meters::new();
        Db::open(&self.config, &Tasks::new(&meters), &meters).await.unwrap()
    }

    /// The file of a SQLite database.
    pub(crate) fn file(&self) -> PathBuf {
        self.directory.as_ref().unwrap().path().join("test.db")
    }
}

/// A request that nobody waits for beyond `budget`.
pub(crate) fn within(budget: Duration) -> Ctx {
    Ctx::background().with_deadline(Deadline::after(tokio::time::Instant::now().into_std(), budget))
}
