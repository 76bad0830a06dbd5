//! The raw driver: what is left when everything but tokio-postgres is taken away. Statements prepared once by hand, no names, no
//! deadlines, no meters, no typed errors, no bound on what is under way.
//!
//! Twice: as most use it, connections lent one at a time, and pipelined, a few clients shared by all.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::{Client, NoTls, Statement};

use crate::case::{BULK, Failure, INSERT, Peer, Product, SELECT, UPDATE, body};

pub const BULK_INSERT: &str =
    "insert into entry (id, body, amount) select * from unnest($1::bigint[], $2::text[], $3::bigint[])";

/// Connections lent one at a time.
#[derive(Clone)]
pub struct RawPostgres(Arc<Pool>);

/// Clients shared by everybody, in turn.
#[derive(Clone)]
pub struct Pipelined(Arc<Shared>);

struct Shared {
    lanes: Vec<Lane>,
    next: AtomicUsize,
}

struct Pool {
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Lane>>,
}

struct Lane {
    client: Client,
    select: Statement,
    insert: Statement,
    update: Statement,
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
            idle.push(Lane::open(url).await?);
        }
        Ok(Self(Arc::new(Pool { permits: Arc::new(Semaphore::new(connections)), idle: Mutex::new(idle) })))
    }

    async fn lend(&self) -> Result<Lent<'_>, Failure> {
        let permit = self.0.permits.clone().acquire_owned().await?;
        let lane = self.0.idle.lock().map_err(|_| "poisoned")?.pop();
        Ok(Lent { pool: &self.0, lane, _permit: permit })
    }
}

impl Pipelined {
    pub async fn open(url: &str, connections: usize) -> Result<Self, Failure> {
        let mut lanes = Vec::new();
        for _ in 0..connections {
            lanes.push(Lane::open(url).await?);
        }
        Ok(Self(Arc::new(Shared { lanes, next: AtomicUsize::new(0) })))
    }

    fn lane(&self) -> &Lane {
        &self.0.lanes[self.0.next.fetch_add(1, Ordering::Relaxed) % self.0.lanes.len()]
    }
}

impl Lane {
    async fn open(url: &str) -> Result<Self, Failure> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                eprintln!("raw connection: {error}");
            }
        });
        Ok(Self {
            select: client.prepare(SELECT).await?,
            insert: client.prepare(INSERT).await?,
            update: client.prepare(UPDATE).await?,
            bulk: client.prepare(BULK_INSERT).await?,
            client,
        })
    }

    async fn point_read(&self, id: i64) -> Result<Product, Failure> {
        let row = self.client.query_one(&self.select, &[&id]).await?;
        Ok(Product {
            id: row.try_get(0)?,
            name: row.try_get(1)?,
            price: row.try_get(2)?,
            stock: row.try_get(3)?,
        })
    }

    async fn insert(&self, id: i64) -> Result<(), Failure> {
        self.client.execute(&self.insert, &[&id, &body(id), &(id * 100)]).await?;
        Ok(())
    }

    async fn update(&self, id: i64) -> Result<(), Failure> {
        self.client.execute(&self.update, &[&id]).await?;
        Ok(())
    }

    async fn bulk(&self, first: i64) -> Result<(), Failure> {
        let (ids, bodies, amounts) = columns(first);
        self.client.execute(&self.bulk, &[&ids, &bodies, &amounts]).await?;
        Ok(())
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
        self.lend().await?.lane()?.point_read(id).await
    }

    async fn insert(&self, id: i64) -> Result<(), Failure> {
        self.lend().await?.lane()?.insert(id).await
    }

    async fn update(&self, id: i64) -> Result<(), Failure> {
        self.lend().await?.lane()?.update(id).await
    }

    async fn bulk(&self, first: i64) -> Result<(), Failure> {
        self.lend().await?.lane()?.bulk(first).await
    }
}

impl Peer for Pipelined {
    async fn point_read(&self, id: i64) -> Result<Product, Failure> {
        self.lane().point_read(id).await
    }

    async fn insert(&self, id: i64) -> Result<(), Failure> {
        self.lane().insert(id).await
    }

    async fn update(&self, id: i64) -> Result<(), Failure> {
        self.lane().update(id).await
    }

    async fn bulk(&self, first: i64) -> Result<(), Failure> {
        self.lane().bulk(first).await
    }
}

pub fn columns(first: i64) -> (Vec<i64>, Vec<String>, Vec<i64>) {
    let ids: Vec<i64> = (first..first + BULK as i64).collect();
    let bodies = ids.iter().map(|id| body(*id)).collect();
    let amounts = ids.iter().map(|id| id * 100).collect();
    (ids, bodies, amounts)
}
