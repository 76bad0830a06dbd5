//! Counting pairs and reading the strongest.
//!
//! Taste changes slowly: what goes with one product is cached, and served while it is asked for anew, so that nobody ever
//! waits for it twice.

use std::collections::HashMap;
use std::time::Duration;

use burgeon::prelude::*;

use super::api::Recommendations;
use super::repository;
use crate::catalog::{CatalogApi, Product, ProductId};

/// An order of more products than this is a restocking, not a taste.
const MOST: usize = 12;
/// How long a taste is fresh, and for how long after that it is served while it is renewed, together with others.
const FRESH: Duration = Duration::from_secs(60);
const SERVED: Duration = Duration::from_secs(24 * 60 * 60);
const TOGETHER: Duration = Duration::from_secs(1);
/// More companions of one product than any page shows.
const COMPANIONS: i64 = 12;

/// The pairs.
#[derive(Clone)]
pub(super) struct Pairs {
    db: Db,
    catalog: CatalogApi,
    companions: Cache<ProductId, Vec<ProductId>>,
}

impl Pairs {
    pub(super) fn new(db: Db, caches: Caches, catalog: CatalogApi) -> Self {
        let companions = caches
            .named("companions")
            .ttl(FRESH)
            .revalidate(SERVED)
            .gather(TOGETHER)
            .batch_loader(db.clone(), load_companions);
        Self { db, catalog, companions }
    }

    pub(super) async fn products(&self, ctx: &Ctx, id: ProductId, limit: i64) -> Result<Vec<Product>> {
        let ids = self.with(ctx, &[id], limit).await?;
        self.catalog.products(ctx, &ids).await
    }
}

async fn load_companions(
    db: Db,
    load: Load,
    products: Vec<ProductId>,
) -> Result<HashMap<ProductId, Vec<ProductId>>> {
    let pairs = repository::companions(&db.read(&load), &products, COMPANIONS).await?;
    // To go with nothing is a taste, too.
    let mut companions: HashMap<ProductId, Vec<ProductId>> =
        products.into_iter().map(|product| (product, Vec::new())).collect();
    for (product, other) in pairs {
        companions.entry(product).or_default().push(other);
    }
    Ok(companions)
}

impl Recommendations for Pairs {
    async fn with(&self, ctx: &Ctx, products: &[ProductId], limit: i64) -> Result<Vec<ProductId>> {
        match products {
            [] => Ok(Vec::new()),
            [product] if limit <= COMPANIONS => {
                let companions = self.companions.get(ctx, product).await?;
                let limit = usize::try_from(limit).unwrap_or(0);
                Ok(companions.map(|all| all.iter().take(limit).copied().collect()).unwrap_or_default())
            }
            // Baskets are as many as there are visitors: what one asks, nobody asks again.
            basket => repository::strongest(&self.db.read(ctx), basket, limit).await,
        }
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
