//! A database with the cluster's tables, as several nodes see it.

use std::time::Duration;

use burgeon_core::Ctx;
use burgeon_db::{Config, Db, Migrator};
use burgeon_meter::Meters;
use burgeon_runtime::Tasks;
use burgeon_services::Postgres;
use tokio::time::timeout;

/// Longer than anything here takes on the busiest machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A fresh database; dropped, its file is removed.
pub(crate) struct Yard {
    pub(crate) url: String,
    /// How many nodes may share it.
    pub(crate) nodes: usize,
    _directory: Option<tempfile::TempDir>,
}

impl Yard {
    /// On SQLite for one node, on Postgres for one and for three.
    pub(crate) async fn all() -> Vec<Yard> {
        vec![Self::sqlite().await, Self::postgres(1).await, Self::postgres(3).await]
    }

    pub(crate) async fn sqlite() -> Yard {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("cluster.db").display());
        Self::migrated(url, 1, Some(directory)).await
    }

    pub(crate) async fn postgres(nodes: usize) -> Yard {
        let url = Postgres::shared().await.unwrap().create_database().await.unwrap();
        Self::migrated(url, nodes, None).await
    }

    async fn migrated(url: String, nodes: usize, directory: Option<tempfile::TempDir>) -> Yard {
        let yard = Yard { url, nodes, _directory: directory };
        let migrator = Migrator::new().module("cluster", burgeon_cluster::migrations());
        migrator.run(&yard.db().await, &Ctx::background()).await.unwrap();
        yard
    }

    /// Another node's own way to it. On SQLite all nodes of a test are one process.
    pub(crate) async fn db(&self) -> Db {
        open(&self.url).await
    }

    /// A database handle for each node; on SQLite the same one.
    pub(crate) async fn dbs(&self) -> Vec<Db> {
        let mut dbs = Vec::new();
        for _ in 0..self.nodes {
            dbs.push(self.db().await);
        }
        dbs
    }
}

pub(crate) async fn open(url: &str) -> Db {
    let meters = Meters::new();
    Db::open(&Config::at(url.to_owned()), &Tasks::new(&meters), &meters).await.unwrap()
}

pub(crate) async fn within<T>(work: impl Future<Output = T>) -> T {
    timeout(SOON, work).await.expect("it took too long")
}
