//! What other modules tell the catalogue about its products, inside their own transaction.
//!
//! This is not part of [`CatalogApi`](super::CatalogApi): a shelf must never show what a rolled back transaction said, so
//! whoever tells something tells it where it happens. It follows that these modules share one database and one process, and
//! so it is a handle that the module [shares](Module::shares). The statements are the catalogue's own; nobody else writes
//! its table, and nobody else knows that products are cached.

use burgeon::prelude::*;

use super::product::{Product, ProductId};
use super::repository;

/// The catalogue's table, for those who change it with something of their own.
#[derive(Clone)]
pub struct Listing {
    products: Cache<ProductId, Product>,
}

impl Listing {
    pub(super) fn new(products: Cache<ProductId, Product>) -> Self {
        Self { products }
    }

    /// These products as they are now, and not as any cache or replica has them: what is sold is sold at this price.
    pub(crate) async fn current(&self, tx: &Tx, ids: &[ProductId]) -> Result<Vec<Product>> {
        repository::find_all(tx, ids).await
    }

    /// A review of so many stars was written.
    pub(crate) async fn reviewed(&self, tx: &Tx, product: ProductId, stars: i64) -> Result<()> {
        rated(tx, product, stars, 1).await?;
        tx.invalidate(&self.products, product);
        Ok(())
    }

    /// So many were sold, and whether any is left. Pages are given what the product is now: one that sells well would else be read
    /// again after each order.
    pub(crate) async fn sold(
        &self,
        tx: &Tx,
        product: ProductId,
        quantity: i64,
        in_stock: bool,
    ) -> Result<()> {
        let now: Product = sql!(
            "catalog_sold",
            "update catalog_product set sold = sold + $2, in_stock = $3 where id = $1
             returning id, name, maker, category, description, material, colour, size, origin, care, shape, price, added_at,
                sold, in_stock, reviews, rating",
            product,
            quantity,
            in_stock
        )
        .one(tx)
        .await?;
        tx.set(&self.products, product, now);
        Ok(())
    }

    /// These products, of a catalogue that nobody has seen yet, have so many stars together from so many reviews.
    pub(crate) async fn first_reviews(
        &self,
        tx: &Tx,
        reviews: impl Iterator<Item = (ProductId, i64, i64)> + Send,
    ) -> Result<()> {
        for (product, stars, reviews) in reviews {
            rated(tx, product, stars, reviews).await?;
        }
        tx.invalidate_all(&self.products);
        Ok(())
    }

    /// These products, of a catalogue that nobody has seen yet, are in stock.
    pub(crate) async fn first_stock(&self, tx: &Tx, products: &[ProductId]) -> Result<()> {
        sql!(
            "catalog_stocked",
            "update catalog_product set in_stock = $2 where id = any($1)",
            products,
            true
        )
        .execute(tx)
        .await?;
        tx.invalidate_all(&self.products);
        Ok(())
    }
}

async fn rated(tx: &Tx, product: ProductId, stars: i64, reviews: i64) -> Result<()> {
    sql!(
        "catalog_rated",
        "update catalog_product
         set stars = stars + $2, reviews = reviews + $3, rating = (stars + $2) * 100 / (reviews + $3)
         where id = $1",
        product,
        stars,
        reviews
    )
    .execute(tx)
    .await
    .map(drop)
}
