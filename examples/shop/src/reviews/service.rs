//! Reading and writing reviews.
//!
//! What is said of a product is read whole, once, and cached until somebody says more; also that nothing is said, which is true
//! of most products.

use std::time::Duration;

use burgeon::core::units::Size;
use burgeon::db::Fault;
use burgeon::prelude::*;
use jiff::Timestamp;

use super::api::Reviews;
use super::repository;
use super::review::{Draft, Histogram, Review, Summary};
use crate::catalog::{CatalogApi, Listing, ProductId};

/// As long as nobody writes one, a product's reviews do not change.
const SAID: Duration = Duration::from_secs(10 * 60);
/// Nobody reads more of one product.
const MOST: i64 = 100;

/// The book of reviews.
#[derive(Clone)]
pub(super) struct Book {
    db: Db,
    catalog: CatalogApi,
    listing: Listing,
    said: Cache<ProductId, Summary>,
}

impl Book {
    pub(super) fn new(db: Db, caches: Caches, catalog: CatalogApi, listing: Listing) -> Self {
        let said = caches
            .named("reviews")
            .ttl(SAID)
            // That nothing is said is believed as long: whoever says something invalidates it.
            .with(|config| config.negative_ttl = SAID)
            .bytes(Size::mib(16), |_, said: &Summary| said.weight())
            .loader(db.clone(), load_said);
        Self { db, catalog, listing, said }
    }

    /// The latest reviews of a product, as the JSON of a list of them. For programs, which read each once: not through the
    /// cache, from which those that are read again and again would have to go.
    pub(super) async fn list(&self, ctx: &Ctx, product: ProductId, limit: i64) -> Result<String> {
        repository::list(&self.db.read(ctx), product, limit).await
    }
}

async fn load_said(db: Db, load: Load, product: ProductId) -> Result<Option<Summary>> {
    let read = db.read(&load);
    let latest = repository::latest(&read, product, MOST).await?;
    if latest.is_empty() {
        return Ok(None);
    }
    let mut histogram = Histogram::default();
    for (stars, reviews) in repository::histogram(&read, product).await? {
        if let Some(count) = histogram.0.get_mut((stars - 1) as usize) {
            *count = reviews;
        }
    }
    Ok(Some(Summary { latest, histogram }))
}

impl Reviews for Book {
    async fn latest(&self, ctx: &Ctx, product: ProductId, limit: i64) -> Result<Vec<Review>> {
        Ok(self.summary(ctx, product, limit).await?.latest)
    }

    async fn summary(&self, ctx: &Ctx, product: ProductId, limit: i64) -> Result<Summary> {
        let Some(said) = self.said.get(ctx, &product).await? else { return Ok(Summary::default()) };
        let latest = said.latest.iter().take(usize::try_from(limit).unwrap_or(0)).cloned().collect();
        Ok(Summary { latest, histogram: said.histogram })
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
            tx.invalidate(&self.said, product);
            self.listing.reviewed(tx, product, draft.rating).await
        });
        written.await.map_err(|error| match Fault::of(&error) {
            Some(Fault::UniqueViolation { .. }) => {
                Error::conflict("You have reviewed this product before. Thank you!").with_source(error)
            }
            _ => error,
        })
    }
}
