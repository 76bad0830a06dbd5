//! Reading and setting stock.

use std::collections::HashMap;
use std::time::Duration;

use burgeon::prelude::*;

use super::api::{Inventory, Stock};
use super::repository;
use super::stockroom::Stockroom;
use crate::catalog::{Listing, ProductId};

/// How long pages show a number that nobody has changed: whoever changes one says so.
const SHOWN: Duration = Duration::from_secs(10 * 60);

/// The shelves in the storehouse.
#[derive(Clone)]
pub(super) struct Shelves {
    db: Db,
    /// What pages show. Whoever buys asks the [stockroom](Stockroom).
    shown: Cache<ProductId, i64>,
    stockroom: Stockroom,
}

impl Shelves {
    pub(super) fn new(db: Db, caches: Caches, listing: Listing) -> Self {
        let shown = caches.named("stock").ttl(SHOWN).batch_loader(db.clone(), load_stock);
        Self { db, stockroom: Stockroom::new(shown.clone(), listing), shown }
    }

    /// What other modules need to take stock in their own transaction.
    pub(super) fn stockroom(&self) -> Stockroom {
        self.stockroom.clone()
    }
}

async fn load_stock(db: Db, load: Load, products: Vec<ProductId>) -> Result<HashMap<ProductId, i64>> {
    let stock = repository::stock(&db.read(&load), &products).await?;
    Ok(stock.into_iter().map(|stock| (stock.product, stock.available)).collect())
}

impl Inventory for Shelves {
    async fn stock(&self, ctx: &Ctx, products: &[ProductId]) -> Result<Vec<Stock>> {
        let shown = self.shown.get_many(ctx, products).await?;
        let stock = products.iter().zip(shown).filter_map(|(product, shown)| {
            shown.map(|available| Stock { product: *product, available: *available })
        });
        Ok(stock.collect())
    }

    async fn restock(&self, ctx: &Ctx, product: ProductId, available: i64) -> Result<()> {
        if available < 0 {
            return Err(Error::invalid("A stock cannot be below zero."));
        }
        self.db.tx(ctx, async |tx| self.stockroom.put(tx, product, available).await).await
    }
}
