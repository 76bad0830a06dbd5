//! sqlx, as its own documentation uses it, with the same PRAGMAs and the same number of connections.

use std::path::Path;
use std::time::Duration;

use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{PgPool, QueryBuilder, Row as _, Sqlite, SqlitePool};

use crate::case::{BULK, Failure, INSERT, Peer, Product, SELECT, UPDATE, body};
use crate::raw_postgres::{BULK_INSERT, columns};

#[derive(Clone)]
pub struct SqlxSqlite(SqlitePool);

#[derive(Clone)]
pub struct SqlxPostgres(PgPool);

impl SqlxSqlite {
    pub async fn open(path: &Path, full: bool, connections: u32) -> Result<Self, Failure> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(Duration::from_secs(5))
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(if full { SqliteSynchronous::Full } else { SqliteSynchronous::Normal })
            .foreign_keys(true)
            .pragma("mmap_size", "134217728")
            .pragma("journal_size_limit", "67108864");
        Ok(Self(SqlitePoolOptions::new().max_connections(connections).connect_with(options).await?))
    }
}

impl SqlxPostgres {
    pub async fn open(url: &str, connections: u32) -> Result<Self, Failure> {
        Ok(Self(PgPoolOptions::new().max_connections(connections).connect(url).await?))
    }
}

impl Peer for SqlxSqlite {
    async fn point_read(&self, id: i64) -> Result<Product, Failure> {
        let row = sqlx::query(SELECT).bind(id).fetch_one(&self.0).await?;
        Ok(Product {
            id: row.try_get(0)?,
            name: row.try_get(1)?,
            price: row.try_get(2)?,
            stock: row.try_get(3)?,
        })
    }

    async fn insert(&self, id: i64) -> Result<(), Failure> {
        sqlx::query(INSERT).bind(id).bind(body(id)).bind(id * 100).execute(&self.0).await?;
        Ok(())
    }

    async fn update(&self, id: i64) -> Result<(), Failure> {
        sqlx::query(UPDATE).bind(id).execute(&self.0).await?;
        Ok(())
    }

    async fn bulk(&self, first: i64) -> Result<(), Failure> {
        let mut transaction = self.0.begin_with("begin immediate").await?;
        let mut insert = QueryBuilder::<Sqlite>::new("insert into entry (id, body, amount) ");
        insert.push_values(first..first + BULK as i64, |mut row, id| {
            row.push_bind(id).push_bind(body(id)).push_bind(id * 100);
        });
        insert.build().execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(())
    }
}

impl Peer for SqlxPostgres {
    async fn point_read(&self, id: i64) -> Result<Product, Failure> {
        let row = sqlx::query(SELECT).bind(id).fetch_one(&self.0).await?;
        Ok(Product {
            id: row.try_get(0)?,
            name: row.try_get(1)?,
            price: row.try_get(2)?,
            stock: row.try_get(3)?,
        })
    }

    async fn insert(&self, id: i64) -> Result<(), Failure> {
        sqlx::query(INSERT).bind(id).bind(body(id)).bind(id * 100).execute(&self.0).await?;
        Ok(())
    }

    async fn update(&self, id: i64) -> Result<(), Failure> {
        sqlx::query(UPDATE).bind(id).execute(&self.0).await?;
        Ok(())
    }

    async fn bulk(&self, first: i64) -> Result<(), Failure> {
        let (ids, bodies, amounts) = columns(first);
        sqlx::query(BULK_INSERT).bind(ids).bind(bodies).bind(amounts).execute(&self.0).await?;
        Ok(())
    }
}
