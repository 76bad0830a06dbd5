//! The catalogue's work: looking up, searching, shelves.

use std::collections::HashMap;

use burgeon::prelude::*;

use super::api::Catalog;
use super::product::{Product, ProductId};
use super::search::{Found, Search, Shelf};
use super::{matching, repository};

/// The catalogue.
#[derive(Clone)]
pub(super) struct Products {
    db: Db,
}

impl Products {
    pub(super) fn new(db: Db) -> Self {
        Self { db }
    }
}

impl Catalog for Products {
    async fn product(&self, ctx: &Ctx, id: ProductId) -> Result<Option<Product>> {
        repository::find(&self.db.read(ctx), id).await
    }

    async fn products(&self, ctx: &Ctx, ids: &[ProductId]) -> Result<Vec<Product>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let found = repository::find_all(&self.db.read(ctx), ids).await?;
        let mut by_id: HashMap<ProductId, Product> =
            found.into_iter().map(|product| (product.id, product)).collect();
        Ok(ids.iter().filter_map(|id| by_id.remove(id)).collect())
    }

    async fn search(&self, ctx: &Ctx, search: Search) -> Result<Found> {
        let read = self.db.read(ctx);
        let page = matching::page(&read, self.db.engine(), &search).await?;
        // The one page there is needs no counting.
        let total = match (&search.after, &page.next) {
            (None, None) => page.items.len() as i64,
            _ => matching::count(&read, self.db.engine(), &search).await?,
        };
        Ok(Found {
            products: page.items.into_iter().map(|hit| hit.product).collect(),
            total,
            next: page.next,
        })
    }

    async fn shelf(&self, ctx: &Ctx, shelf: Shelf, limit: i64) -> Result<Vec<Product>> {
        repository::shelf(&self.db.read(ctx), shelf, limit).await
    }
}
