//! Counting pairs and reading the strongest.

use burgeon::prelude::*;

use super::api::Recommendations;
use super::repository;
use crate::catalog::{CatalogApi, Product, ProductId};

/// An order of more products than this is a restocking, not a taste.
const MOST: usize = 12;

/// The pairs.
#[derive(Clone)]
pub(super) struct Pairs {
    db: Db,
    catalog: CatalogApi,
}

impl Pairs {
    pub(super) fn new(db: Db, catalog: CatalogApi) -> Self {
        Self { db, catalog }
    }

    pub(super) async fn products(&self, ctx: &Ctx, id: ProductId, limit: i64) -> Result<Vec<Product>> {
        let ids = self.with(ctx, &[id], limit).await?;
        self.catalog.products(ctx, &ids).await
    }
}

impl Recommendations for Pairs {
    async fn with(&self, ctx: &Ctx, products: &[ProductId], limit: i64) -> Result<Vec<ProductId>> {
        if products.is_empty() {
            return Ok(Vec::new());
        }
        repository::strongest(&self.db.read(ctx), products, limit).await
    }

    async fn learn(&self, ctx: &Ctx, products: &[ProductId]) -> Result<()> {
        let mut products = products.to_vec();
        products.sort_unstable();
        products.dedup();
        if products.len() < 2 || products.len() > MOST {
            return Ok(());
        }
        repository::count_up(&self.db.write(ctx), &products).await.map(drop)
    }
}
