//! deadpool-postgres with its fast recycling and its own statement cache.

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use tokio_postgres::NoTls;

use crate::case::{Failure, INSERT, Peer, Product, SELECT, UPDATE, body};
use crate::raw_postgres::{BULK_INSERT, columns};

#[derive(Clone)]
pub struct Deadpool(Pool);

impl Deadpool {
    pub fn open(url: &str, connections: usize) -> Result<Self, Failure> {
        let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(url.parse()?, NoTls, config);
        Ok(Self(Pool::builder(manager).max_size(connections).build()?))
    }
}

impl Peer for Deadpool {
    async fn point_read(&self, id: i64) -> Result<Product, Failure> {
        let client = self.0.get().await?;
        let row = client.query_one(&client.prepare_cached(SELECT).await?, &[&id]).await?;
        Ok(Product {
            id: row.try_get(0)?,
            name: row.try_get(1)?,
            price: row.try_get(2)?,
            stock: row.try_get(3)?,
        })
    }

    async fn insert(&self, id: i64) -> Result<(), Failure> {
        let client = self.0.get().await?;
        client.execute(&client.prepare_cached(INSERT).await?, &[&id, &body(id), &(id * 100)]).await?;
        Ok(())
    }

    async fn update(&self, id: i64) -> Result<(), Failure> {
        let client = self.0.get().await?;
        client.execute(&client.prepare_cached(UPDATE).await?, &[&id]).await?;
        Ok(())
    }

    async fn bulk(&self, first: i64) -> Result<(), Failure> {
        let client = self.0.get().await?;
        let (ids, bodies, amounts) = columns(first);
        client.execute(&client.prepare_cached(BULK_INSERT).await?, &[&ids, &bodies, &amounts]).await?;
        Ok(())
    }
}
