//! Reading and setting stock.

use burgeon::prelude::*;

use super::api::{Inventory, Stock};
use super::repository;
use crate::catalog::{ProductId, listing};

/// The shelves in the storehouse.
#[derive(Clone)]
pub(super) struct Shelves {
    db: Db,
}

impl Shelves {
    pub(super) fn new(db: Db) -> Self {
        Self { db }
    }
}

impl Inventory for Shelves {
    async fn stock(&self, ctx: &Ctx, products: &[ProductId]) -> Result<Vec<Stock>> {
        repository::stock(&self.db.read(ctx), products).await
    }

    async fn restock(&self, ctx: &Ctx, product: ProductId, available: i64) -> Result<()> {
        if available < 0 {
            return Err(Error::invalid("A stock cannot be below zero."));
        }
        self.db
            .tx(ctx, async |tx| {
                repository::put(tx, product, available).await?;
                listing::sold(tx, product, 0, available > 0).await
            })
            .await
    }
}
