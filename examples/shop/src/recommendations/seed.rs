//! Pairs to begin with: things of one colour, one maker, or one department go together.

use burgeon::prelude::*;

use super::repository;
use crate::catalog::{CatalogApi, Product, ProductId, Shelf};
use crate::dice::Dice;

/// How many companions each product gets; pairs go both ways.
const COMPANIONS: usize = 4;
/// How many candidates are looked at for each.
const LOOKS: usize = 60;

pub(super) async fn fill(ctx: Ctx, db: Db, catalog: CatalogApi) -> Result<()> {
    let products = catalog.shelf(&ctx, Shelf::BestSellers, i64::MAX).await?;
    let pairs = pairs(&products);
    db.tx(&ctx, async |tx| {
        repository::insert_all(tx, pairs.into_iter()).await?;
        Ok(())
    })
    .await
}

fn pairs(products: &[Product]) -> Vec<(ProductId, ProductId, i64)> {
    let mut pairs = Vec::with_capacity(products.len() * COMPANIONS * 2);
    for (rank, product) in products.iter().enumerate() {
        let mut dice = Dice::of("pairs", rank as u64);
        let mut candidates: Vec<&Product> =
            (0..LOOKS).map(|_| &products[dice.below(products.len() as u64) as usize]).collect();
        candidates.sort_by_key(|other| (-kinship(product, other), other.id));
        candidates.dedup_by_key(|other| other.id);
        for other in candidates.into_iter().filter(|other| other.id != product.id).take(COMPANIONS) {
            let orders = kinship(product, other) + dice.between(1, 9);
            pairs.push((product.id, other.id, orders));
            pairs.push((other.id, product.id, orders));
        }
    }
    pairs
}

fn kinship(one: &Product, other: &Product) -> i64 {
    let mut kinship = 0;
    if one.colour == other.colour {
        kinship += 6;
    }
    if one.maker == other.maker {
        kinship += 5;
    }
    if one.category == other.category {
        kinship += 4;
    }
    // Nobody buys two kettles.
    if one.shape == other.shape { kinship - 9 } else { kinship }
}
