//! Reading and writing reviews.

use burgeon::db::Fault;
use burgeon::prelude::*;
use jiff::Timestamp;

use super::api::Reviews;
use super::repository;
use super::review::{Draft, Histogram, Review};
use crate::catalog::{CatalogApi, ProductId, listing};

/// The book of reviews.
#[derive(Clone)]
pub(super) struct Book {
    db: Db,
    catalog: CatalogApi,
}

impl Book {
    pub(super) fn new(db: Db, catalog: CatalogApi) -> Self {
        Self { db, catalog }
    }
}

impl Reviews for Book {
    async fn latest(&self, ctx: &Ctx, product: ProductId, limit: i64) -> Result<Vec<Review>> {
        repository::latest(&self.db.read(ctx), product, limit).await
    }

    async fn histogram(&self, ctx: &Ctx, product: ProductId) -> Result<Histogram> {
        let mut histogram = Histogram::default();
        for (stars, reviews) in repository::histogram(&self.db.read(ctx), product).await? {
            if let Some(count) = histogram.0.get_mut((stars - 1) as usize) {
                *count = reviews;
            }
        }
        Ok(histogram)
    }

    async fn write(
        &self,
        ctx: &Ctx,
        product: ProductId,
        customer: i64,
        author: &str,
        draft: Draft,
    ) -> Result<()> {
        self.catalog.product(ctx, product).await?.or_not_found("product")?;
        let written = self.db.tx(ctx, async |tx| {
            repository::insert(tx, product, customer, author, &draft, Timestamp::now()).await?;
            listing::reviewed(tx, product, draft.rating).await
        });
        written.await.map_err(|error| match Fault::of(&error) {
            Some(Fault::UniqueViolation { .. }) => {
                Error::conflict("You have reviewed this product before. Thank you!").with_source(error)
            }
            _ => error,
        })
    }
}
