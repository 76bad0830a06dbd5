//! What only Postgres does: connections, their pool, and a server that goes away.

mod addresses;
mod faults;
mod flood;
mod listen;
mod pool;
mod pooled;
mod replicas;
mod replicas_pooled;
mod shared;
mod values;
mod warnings;

use std::time::Duration;

use burgeon_core::{Ctx, Deadline};
use burgeon_db::{Config, Db};
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;
use burgeon_services::Postgres;

pub(crate) use self::warnings::Warnings;

/// A fresh database on the server that the test binary shares.
pub(crate) struct Yard {
    pub(crate) db: Db,
    pub(crate) ctx: Ctx,
    pub(crate) meters: Meters,
    pub(crate) url: String,
}

impl Yard {
    pub(crate) async fn open() -> Yard {
        Self::open_with(|_| {}).await
    }

    pub(crate) async fn open_with(change: impl FnOnce(&mut Config)) -> Yard {
        let url = Postgres::shared().await.unwrap().create_database().await.unwrap();
        Self::at(url, change).await
    }

    pub(crate) async fn at(url: String, change: impl FnOnce(&mut Config)) -> Yard {
        let mut config = Config::at(url.clone());
        change(&mut config);
        let meters = Meters::new();
        let db = Db::open(&config, &Tasks::new(&meters), &meters).await.unwrap();
        Yard { db, ctx: Ctx::background(), meters, url }
    }

    pub(crate) fn counted(&self, name: &'static str) -> u64 {
        self.meters.counter(name, "", &[("server", "primary")]).get()
    }

    /// Runs SQL past the framework.
    pub(crate) async fn psql(&self, sql: &str) -> String {
        let name = self.url.rsplit('/').next().unwrap().split('?').next().unwrap();
        Postgres::shared().await.unwrap().psql(name, sql).await.unwrap()
    }
}

/// A context that ends this far from now.
pub(crate) fn within(budget: Duration) -> Ctx {
    Ctx::background().with_deadline(Deadline::after(tokio::time::Instant::now().into_std(), budget))
}
