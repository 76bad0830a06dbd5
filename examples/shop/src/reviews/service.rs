//! Reading and writing reviews.
//!
//! What is said of a product is read whole, once, and cached until somebody says more; also that nothing is said, which is true
//! of most products.

use std::collections::HashMap;
use std::time::Duration;

use burgeon::core::units::Size;
use burgeon::db::Fault;
use burgeon::prelude::*;
use jiff::Timestamp;

use super::api::Reviews;
use super::repository::{self, Said};
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
    caches: Caches,
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
            .batch_loader(db.clone(), load_said);
        Self { db, caches, catalog, listing, said }
    }

    /// Reads what most visitors will be shown, before they come.
    pub(super) async fn warm(&self, ctx: &Ctx) -> Result<()> {
        let known = self.catalog.well_known(ctx).await?;
        self.said.warm(ctx, known).await.map(drop)
    }

    /// The latest reviews of a product, as the JSON of a list of them. Whoever asks keeps that text, so there is nothing to keep here.
    pub(super) async fn list(&self, ctx: &Ctx, product: ProductId, limit: i64) -> Result<String> {
        repository::list(&self.db.read(ctx), product, limit).await
    }
}

async fn load_said(db: Db, load: Load, products: Vec<ProductId>) -> Result<HashMap<ProductId, Summary>> {
    let read = db.read(&load);
    let mut said: HashMap<ProductId, Summary> = HashMap::new();
    for Said { product, review } in repository::latest_of_each(&read, &products, MOST).await? {
        let summary = said.entry(product).or_default();
        summary.histogram.add(review.rating, 1);
        summary.latest.push(review);
    }
    // Of these there may be more than were read.
    let cut = |summary: &Summary| summary.latest.len() as i64 == MOST;
    let many: Vec<ProductId> =
        said.iter().filter(|(_, summary)| cut(summary)).map(|(product, _)| *product).collect();
    if many.is_empty() {
        return Ok(said);
    }
    let mut counted: HashMap<ProductId, Histogram> = HashMap::new();
    for (product, stars, reviews) in repository::histograms(&read, &many).await? {
        counted.entry(product).or_default().add(stars, reviews);
    }
    for (product, histogram) in counted {
        if let Some(summary) = said.get_mut(&product) {
            summary.histogram = histogram;
        }
    }
    Ok(said)
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
            // Lists that show its stars, and what programs have read of it.
            tx.purge(&self.caches, product.tag());
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
