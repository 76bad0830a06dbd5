//! The catalogue's work: looking up, searching, shelves.

use std::collections::HashMap;

use burgeon::prelude::*;

use super::api::Catalog;
use super::product::{Product, ProductId};
use super::repository::{self, Criteria, Hit};
use super::search::{Cursor, Found, Search, Shelf};

/// Products on one page of a search, if nobody says otherwise.
const PAGE: i64 = 24;
const LARGEST_PAGE: i64 = 60;

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
        let limit = search.limit.unwrap_or(PAGE).clamp(1, LARGEST_PAGE);
        let after = search.after.as_deref().map_or(Ok(Cursor::START), str::parse)?;
        let criteria = Criteria::of(self.db.engine(), &search);
        let read = self.db.read(ctx);
        // One more than fits tells whether there is another page.
        let mut hits = repository::search(&read, &criteria, after, limit + 1).await?;
        let total = repository::count(&read, &criteria).await?;
        let next = if hits.len() as i64 > limit {
            hits.truncate(limit as usize);
            hits.last().map(|Hit { id, sort_key }| Cursor { key: *sort_key, id: id.0 }.to_string())
        } else {
            None
        };
        let ids: Vec<ProductId> = hits.iter().map(|hit| hit.id).collect();
        Ok(Found { products: self.products(ctx, &ids).await?, total, next })
    }

    async fn shelf(&self, ctx: &Ctx, shelf: Shelf, limit: i64) -> Result<Vec<Product>> {
        repository::shelf(&self.db.read(ctx), shelf, limit).await
    }
}
