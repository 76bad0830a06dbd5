//! The raw driver behind the same hand-over: connections lent one at a time, statements prepared once by hand.

use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::{Client, NoTls, Statement};

use crate::case::{BULK, Failure, INSERT, Peer, Product, SELECT, body};

pub const BULK_INSERT: &str =
    "insert into entry (id, body, amount) select * from unnest($1::bigint[], $2::text[], $3::bigint[])";

#[derive(Clone)]
pub struct RawPostgres(Arc<Pool>);

struct Pool {
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Lane>>,
}

struct Lane {
    client: Client,
    select: Statement,
    insert: Statement,
    bulk: Statement,
}

struct Lent<'a> {
    pool: &'a Pool,
    lane: Option<Lane>,
    _permit: OwnedSemaphorePermit,
}

impl RawPostgres {
    pub async fn open(url: &str, connections: usize) -> Result<Self, Failure> {
        let mut idle = Vec::new();
        for _ in 0..connections {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    eprintln!("raw connection: {error}");
                }
            });
            let (select, insert) = (client.prepare(SELECT).await?, client.prepare(INSERT).await?);
            let bulk = client.prepare(BULK_INSERT).await?;
            idle.push(Lane { client, select, insert, bulk });
        }
        Ok(Self(Arc::new(Pool { permits: Arc::new(Semaphore::new(connections)), idle: Mutex::new(idle) })))
    }

    async fn lend(&self) -> Result<Lent<'_>, Failure> {
        let permit = self.0.permits.clone().acquire_owned().await?;
        let lane = self.0.idle.lock().map_err(|_| "poisoned")?.pop();
        Ok(Lent { pool: &self.0, lane, _permit: permit })
    }
}

impl Lent<'_> {
    fn lane(&self) -> Result<&Lane, Failure> {
        Ok(self.lane.as_ref().ok_or("more permits than connections")?)
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let (Some(lane), Ok(mut idle)) = (self.lane.take(), self.pool.idle.lock()) {
            idle.push(lane);
        }
    }
}

impl Peer for RawPostgres {
    async fn point_read(&self, id: i64) -> Result<Product, Failure> {
        let lent = self.lend().await?;
        let lane = lent.lane()?;
        let row = lane.client.query_one(&lane.select, &[&id]).await?;
        Ok(Product {
            id: row.try_get(0)?,
            name: row.try_get(1)?,
            price: row.try_get(2)?,
            stock: row.try_get(3)?,
        })
    }

    async fn insert(&self, id: i64) -> Result<(), Failure> {
        let lent = self.lend().await?;
        let lane = lent.lane()?;
        lane.client.execute(&lane.insert, &[&id, &body(id), &(id * 100)]).await?;
        Ok(())
    }

    async fn bulk(&self, first: i64) -> Result<(), Failure> {
        let lent = self.lend().await?;
        let lane = lent.lane()?;
        let (ids, bodies, amounts) = columns(first);
        lane.client.execute(&lane.bulk, &[&ids, &bodies, &amounts]).await?;
        Ok(())
    }
}

pub fn columns(first: i64) -> (Vec<i64>, Vec<String>, Vec<i64>) {
    let ids: Vec<i64> = (first..first + BULK as i64).collect();
    let bodies = ids.iter().map(|id| body(*id)).collect();
    let amounts = ids.iter().map(|id| id * 100).collect();
    (ids, bodies, amounts)
}
