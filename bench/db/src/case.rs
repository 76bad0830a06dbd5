//! What is measured: four small things every web application does.

use std::future::Future;

/// A row of the table that is read.
#[derive(Debug, Clone, PartialEq, burgeon_db::Row)]
pub struct Product {
    pub id: i64,
    pub name: String,
    pub price: i64,
    pub stock: i64,
}

/// How many products there are; ids run from 1.
pub const PRODUCTS: i64 = 10_000;
/// Rows in one bulk insert.
pub const BULK: usize = 500;

pub const SELECT: &str = "select id, name, price, stock from product where id = $1";
pub const UPDATE: &str = "update stock set units = units + 1 where id = $1";
pub const INSERT: &str = "insert into entry (id, body, amount) values ($1, $2, $3)";

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// One way to talk to the database. Every peer answers the same questions with the same rows.
pub trait Peer: Clone + Send + Sync + 'static {
    fn point_read(&self, id: i64) -> impl Future<Output = Result<Product, Failure>> + Send;
    fn insert(&self, id: i64) -> impl Future<Output = Result<(), Failure>> + Send;
    fn update(&self, id: i64) -> impl Future<Output = Result<(), Failure>> + Send;
    fn bulk(&self, first: i64) -> impl Future<Output = Result<(), Failure>> + Send;
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Case {
    /// One row by primary key.
    PointRead,
    /// Twenty of them, one after the other, as an unlucky page does.
    TwentyReads,
    /// One row, acknowledged after its commit.
    Insert,
    /// One row counted up, acknowledged after its commit.
    Update,
    /// Five hundred rows in one transaction.
    Bulk,
    /// Nine point reads to one insert, by many at once: SQLite's alone, where one writer serves all. Not in [`Case::ALL`].
    Mixed,
}

impl Case {
    pub const ALL: [Case; 5] = [Case::PointRead, Case::TwentyReads, Case::Insert, Case::Update, Case::Bulk];

    pub fn name(self) -> &'static str {
        match self {
            Case::PointRead => "point read",
            Case::TwentyReads => "20 reads",
            Case::Insert => "insert",
            Case::Update => "update",
            Case::Bulk => "500-row bulk",
            Case::Mixed => "mixed 90/10",
        }
    }

    /// Runs it once. `serial` is unique among all runs against one database, so that inserted ids never collide.
    pub async fn run(self, peer: &impl Peer, serial: i64) -> Result<(), Failure> {
        match self {
            Case::PointRead => read(peer, serial).await,
            Case::TwentyReads => {
                for step in 0..20 {
                    read(peer, serial.wrapping_mul(20) + step).await?;
                }
                Ok(())
            }
            Case::Insert => peer.insert(serial).await,
            Case::Update => peer.update(serial.wrapping_mul(7_919).rem_euclid(PRODUCTS) + 1).await,
            Case::Bulk => peer.bulk(serial * BULK as i64).await,
            Case::Mixed if serial % 10 == 0 => peer.insert(serial).await,
            Case::Mixed => read(peer, serial).await,
        }
    }
}

async fn read(peer: &impl Peer, serial: i64) -> Result<(), Failure> {
    // A fixed odd multiplier visits the products in an order no page cache can guess.
    let id = serial.wrapping_mul(7_919).rem_euclid(PRODUCTS) + 1;
    let product = peer.point_read(id).await?;
    if product.id != id || product.price != id * 100 {
        return Err(format!("asked for product {id}, was given {product:?}").into());
    }
    Ok(())
}

pub fn body(id: i64) -> String {
    format!("entry number {id} of the bench")
}
