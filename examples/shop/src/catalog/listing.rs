//! What other modules tell the catalogue about its products, inside their own transaction.
//!
//! These are not part of [`CatalogApi`](super::CatalogApi): a shelf must never show what a rolled back transaction
//! said, so whoever tells something tells it where it happens. It follows that these modules share one database. The
//! statements are the catalogue's own; nobody else writes its table.

use burgeon::prelude::*;

use super::product::ProductId;

/// A review of so many stars was written.
pub(crate) async fn reviewed(tx: &Tx, product: ProductId, stars: i64) -> Result<()> {
    rated(tx, product, stars, 1).await
}

/// So many reviews with so many stars together were written.
pub(crate) async fn rated(tx: &Tx, product: ProductId, stars: i64, reviews: i64) -> Result<()> {
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
    .await?;
    Ok(())
}

/// So many were sold, and whether any is left.
pub(crate) async fn sold(tx: &Tx, product: ProductId, quantity: i64, in_stock: bool) -> Result<()> {
    sql!(
        "catalog_sold",
        "update catalog_product set sold = sold + $2, in_stock = $3 where id = $1",
        product,
        quantity,
        in_stock
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// These products are in stock now.
pub(crate) async fn stocked(tx: &Tx, products: &[ProductId]) -> Result<()> {
    sql!("catalog_stocked", "update catalog_product set in_stock = $2 where id = any($1)", products, true)
        .execute(tx)
        .await?;
    Ok(())
}
