//! The first delivery: most shelves full, some nearly empty, a few bare.

use burgeon::prelude::*;

use super::api::Stock;
use super::repository;
use crate::catalog::{CatalogApi, Listing, Shelf};
use crate::dice::Dice;

pub(super) async fn fill(ctx: Ctx, db: Db, catalog: CatalogApi, listing: Listing) -> Result<()> {
    let products = catalog.shelf(&ctx, Shelf::BestSellers, i64::MAX).await?;
    let stock: Vec<Stock> = products
        .iter()
        .enumerate()
        .map(|(rank, product)| {
            let mut dice = Dice::of("stock", rank as u64);
            let available = match dice.below(100) {
                0..3 => 0,
                3..7 => dice.between(1, 5),
                // What sells well is kept well.
                _ => dice.between(12, 200) + product.sold * 4,
            };
            Stock { product: product.id, available }
        })
        .collect();
    db.tx(&ctx, async |tx| {
        let there: Vec<_> =
            stock.iter().filter(|stock| stock.available > 0).map(|stock| stock.product).collect();
        listing.first_stock(tx, &there).await?;
        repository::insert_all(tx, stock.into_iter()).await?;
        Ok(())
    })
    .await
}
