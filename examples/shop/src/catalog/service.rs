//! The catalogue's work: looking up, searching, shelves, prices.
//!
//! Products and shelves are read through caches. A product lives there until something about it changes, and is then
//! invalidated by whoever changes it, in the same transaction; a shelf is a selection that nobody counts on, so it may be half a
//! minute old, except for its prices.

use std::collections::HashMap;
use std::time::Duration;

use burgeon::core::units::Size;
use burgeon::db::Increments;
use burgeon::prelude::*;

use super::api::Catalog;
use super::listing::Listing;
use super::product::{Product, ProductId};
use super::search::{Found, Search, Shelf};
use super::{matching, repository};
use crate::Config;

/// As long as nobody says otherwise, a product does not change.
const PRODUCTS: Duration = Duration::from_secs(10 * 60);
/// What sells best, or is new, need not be known to the second.
const SHELVES: Duration = Duration::from_secs(30);
/// Longer shelves are not for pages, and not worth keeping.
const LONGEST_SHELF: i64 = 60;

/// What is looked at within this time is written together: a page that everybody looks at is one row, which a write per
/// look would make a queue.
const LOOKS: Duration = Duration::from_secs(1);
/// For how long a number of looks that is too old is shown while it is counted anew: what nobody has looked at meanwhile has
/// not changed.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);
/// Counted anew together: one by one, it would cost most of what the other caches save.
const TOGETHER: Duration = Duration::from_secs(1);

/// So many products are known before a node takes its first visitor: two MiB of them.
const WELL_KNOWN: i64 = 1_000;

/// The catalogue.
#[derive(Clone)]
pub(super) struct Products {
    db: Db,
    caches: Caches,
    by_id: Cache<ProductId, Product>,
    shelves: Cache<(Shelf, i64), Vec<Product>>,
    looks: Increments,
    looked_at: Cache<ProductId, i64>,
}

impl Products {
    pub(super) fn new(db: Db, caches: Caches, config: &Config) -> Self {
        let by_id = caches
            .named("product")
            .ttl(PRODUCTS)
            .bytes(Size::mib(16), |_, product: &Product| product.weight())
            .batch_loader(db.clone(), load_products);
        let shelves =
            caches.named("shelf").ttl(SHELVES).revalidate(10 * SHELVES).loader(db.clone(), load_shelf);
        let looks = Increments::new(&db, "catalog_count_views", "catalog_view", "product", "views");
        let looks = looks.or_insert().every(LOOKS);
        let looked_at = caches
            .named("looked at")
            .ttl(config.looks)
            .revalidate(REMEMBERED)
            .gather(TOGETHER)
            .batch_loader(db.clone(), load_views);
        Self { db, caches, by_id, shelves, looks, looked_at }
    }

    /// What other modules need to change what the catalogue says of a product.
    pub(super) fn listing(&self) -> Listing {
        Listing::new(self.by_id.clone())
    }

    /// Reads what most visitors will ask for, before they do.
    pub(super) async fn warm(&self, ctx: &Ctx) -> Result<()> {
        let known = self.well_known(ctx).await?;
        self.by_id.warm(ctx, known.iter().copied()).await?;
        self.looked_at.warm(ctx, known).await.map(drop)
    }
}

async fn load_products(db: Db, load: Load, ids: Vec<ProductId>) -> Result<HashMap<ProductId, Product>> {
    let found = repository::find_all(&db.read(&load), &ids).await?;
    Ok(found.into_iter().map(|product| (product.id, product)).collect())
}

async fn load_shelf(db: Db, load: Load, (shelf, limit): (Shelf, i64)) -> Result<Vec<Product>> {
    let products = repository::shelf(&db.read(&load), shelf, limit).await?;
    products.iter().for_each(|product| load.tag(product.id.tag()));
    Ok(products)
}

async fn load_views(db: Db, load: Load, ids: Vec<ProductId>) -> Result<HashMap<ProductId, i64>> {
    let counted = repository::views(&db.read(&load), &ids).await?;
    // That nobody has looked is a number, too.
    let mut views: HashMap<ProductId, i64> = ids.into_iter().map(|id| (id, 0)).collect();
    views.extend(counted);
    Ok(views)
}

impl Catalog for Products {
    async fn product(&self, ctx: &Ctx, id: ProductId) -> Result<Option<Product>> {
        Ok(self.by_id.get(ctx, &id).await?.map(|product| Product::clone(&product)))
    }

    async fn look(&self, ctx: &Ctx, id: ProductId) -> Result<i64> {
        // A look more or less is worth nobody's wait and no error, also when too many are waiting to be written or
        // nothing can be: so it is noted, and the log says how that went.
        drop(self.looks.note(id, 1));
        Ok(self.looked_at.get(ctx, &id).await?.map_or(0, |views| *views))
    }

    async fn products(&self, ctx: &Ctx, ids: &[ProductId]) -> Result<Vec<Product>> {
        let found = self.by_id.get_many(ctx, ids).await?;
        Ok(found.iter().flatten().map(|product| Product::clone(product)).collect())
    }

    async fn well_known(&self, ctx: &Ctx) -> Result<Vec<ProductId>> {
        repository::well_known(&self.db.read(ctx), WELL_KNOWN).await
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
        if limit > LONGEST_SHELF {
            return repository::shelf(&self.db.read(ctx), shelf, limit).await;
        }
        let products = self.shelves.get(ctx, &(shelf, limit)).await?;
        Ok(products.map(|products| Vec::clone(&products)).unwrap_or_default())
    }

    async fn reprice(&self, ctx: &Ctx, id: ProductId, price: Money) -> Result<Money> {
        if price <= Money::ZERO {
            return Err(Error::invalid("A price is more than nothing."));
        }
        self.db
            .tx(ctx, async |tx| {
                let before = repository::price(tx, id).await?.or_not_found("product")?;
                repository::reprice(tx, id, price).await?;
                // On every node, and once it is committed: nobody sees the old price from then on, nor on a shelf or a page.
                tx.invalidate(&self.by_id, id);
                tx.purge(&self.caches, id.tag());
                Ok(before)
            })
            .await
    }
}
