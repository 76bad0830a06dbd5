//! Every statement on `inventory_stock`.

use burgeon::db::{On, Reads, bulk};
use burgeon::prelude::*;

use super::api::Stock;
use crate::catalog::ProductId;

pub(super) async fn stock(on: &impl On<Reads>, products: &[ProductId]) -> Result<Vec<Stock>> {
    sql!("inventory_read", "select product, available from inventory_stock where product = any($1)", products)
        .all(on)
        .await
}

/// Takes so many, if there are so many; what is left then, or nothing if there were fewer.
///
/// The condition is in the statement, so whoever comes second sees what the first has left: no lock to remember and no
/// time between looking and taking.
pub(super) async fn take(tx: &Tx, product: ProductId, quantity: i64) -> Result<Option<i64>> {
    sql!(
        "inventory_take",
        "update inventory_stock set available = available - $2
         where product = $1 and available >= $2 returning available",
        product,
        quantity
    )
    .optional(tx)
    .await
}

pub(super) async fn put(tx: &Tx, product: ProductId, available: i64) -> Result<()> {
    sql!(
        "inventory_put",
        "insert into inventory_stock (product, available) values ($1, $2)
         on conflict (product) do update set available = excluded.available",
        product,
        available
    )
    .execute(tx)
    .await?;
    Ok(())
}

pub(super) async fn insert_all(tx: &Tx, stock: impl Iterator<Item = Stock> + Send) -> Result<u64> {
    bulk("inventory_insert_all", "inventory_stock", ["product", "available"])
        .insert(tx, stock.map(|stock| (stock.product, stock.available)))
        .await
}
