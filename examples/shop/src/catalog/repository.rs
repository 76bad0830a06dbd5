//! The statements on the catalogue's tables that are known beforehand; a search makes its own in [`matching`](super::matching).

use burgeon::db::{On, Reads, bulk};
use burgeon::prelude::*;

use super::product::{Product, ProductId};
use super::search::Shelf;
use super::seed::NewProduct;
use super::words::words;

/// Pairs of those that anybody has looked at and how often.
pub(super) async fn views(on: &impl On<Reads>, ids: &[ProductId]) -> Result<Vec<(ProductId, i64)>> {
    sql!("catalog_views", "select product, views from catalog_view where product = any($1)", ids)
        .all(on)
        .await
}

/// The most looked at; those that nobody has looked at by what sells best.
pub(super) async fn well_known(on: &impl On<Reads>, limit: i64) -> Result<Vec<ProductId>> {
    sql!(
        "catalog_well_known",
        "select id from catalog_product left join catalog_view on product = id
         order by coalesce(views, 0) desc, sold desc, id limit $1",
        limit
    )
    .all(on)
    .await
}

pub(super) async fn find_all(on: &impl On<Reads>, ids: &[ProductId]) -> Result<Vec<Product>> {
    sql!(
        "catalog_find_all",
        "select id, name, maker, category, description, material, colour, size, origin, care, shape, price, added_at,
                sold, in_stock, reviews, rating
         from catalog_product where id = any($1)",
        ids
    )
    .all(on)
    .await
}

pub(super) async fn shelf(on: &impl On<Reads>, shelf: Shelf, limit: i64) -> Result<Vec<Product>> {
    match shelf {
        Shelf::BestSellers => {
            sql!(
                "catalog_best_sellers",
                "select id, name, maker, category, description, material, colour, size, origin, care, shape, price,
                        added_at, sold, in_stock, reviews, rating
                 from catalog_product order by sold desc, id desc limit $1",
                limit
            )
            .all(on)
            .await
        }
        Shelf::New => {
            sql!(
                "catalog_new",
                "select id, name, maker, category, description, material, colour, size, origin, care, shape, price,
                        added_at, sold, in_stock, reviews, rating
                 from catalog_product order by added_at desc, id desc limit $1",
                limit
            )
            .all(on)
            .await
        }
    }
}

pub(super) async fn price(on: &impl On<Reads>, id: ProductId) -> Result<Option<Money>> {
    sql!("catalog_price", "select price from catalog_product where id = $1", id).optional(on).await
}

pub(super) async fn reprice(tx: &Tx, id: ProductId, price: Money) -> Result<()> {
    sql!("catalog_reprice", "update catalog_product set price = $2 where id = $1", id, price)
        .execute(tx)
        .await
        .map(drop)
}

pub(super) async fn insert(tx: &Tx, products: Vec<NewProduct>) -> Result<u64> {
    let columns = [
        "name",
        "maker",
        "category",
        "description",
        "material",
        "colour",
        "size",
        "origin",
        "care",
        "shape",
        "price",
        "added_at",
        "words",
        "sold",
    ];
    let rows = products.into_iter().map(|new| {
        let words = words(&format!("{} {} {}", new.name, new.category.title(), new.size.unwrap_or_default()));
        (
            new.name,
            new.maker,
            new.category,
            new.description,
            new.material,
            new.colour,
            new.size,
            new.origin,
            new.care,
            new.shape.to_string(),
            new.price,
            new.added_at,
            words,
            new.sold,
        )
    });
    bulk("catalog_insert", "catalog_product", columns).insert(tx, rows).await
}
