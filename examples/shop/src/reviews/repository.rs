//! Every statement on `reviews_review`.

use burgeon::db::row::{Columns, Row, RowView, Unreadable};
use burgeon::db::{Mismatch, On, Reads, bulk, json_array, json_row};
use burgeon::prelude::{Result, Tx, sql};
use jiff::Timestamp;

use super::review::{Draft, Review};
use super::seed::NewReview;
use crate::catalog::ProductId;

json_row! {
    /// A [`Review`] that nobody here looks into: its JSON, written while the row is read.
    ReviewJson { author: String, rating: i64, title: String, text: String, written_at: Timestamp }
}

/// A review and what it is of.
pub(super) struct Said {
    pub(super) product: ProductId,
    pub(super) review: Review,
}

impl Row for Said {
    type Layout = (<Review as Row>::Layout, usize);

    fn layout(columns: &Columns<'_>) -> Result<Self::Layout, Mismatch> {
        Ok((Review::layout(columns)?, columns.find("product", columns.count() - 1)?))
    }

    fn read(row: &RowView<'_>, layout: &Self::Layout) -> Result<Self, Unreadable> {
        Ok(Self { review: Review::read(row, &layout.0)?, product: row.get(layout.1)? })
    }
}

/// The latest reviews of each of these products, so many of each, the newest first.
pub(super) async fn latest_of_each(
    on: &impl On<Reads>,
    products: &[ProductId],
    of_each: i64,
) -> Result<Vec<Said>> {
    sql!(
        "reviews_latest_of_each",
        "select author, rating, title, text, written_at, product from (
             select author, rating, title, text, written_at, product,
                 row_number() over (partition by product order by written_at desc, id) as place
             from reviews_review where product = any($1)
         ) as placed where place <= $2 order by product, place",
        products,
        of_each
    )
    .all(on)
    .await
}

/// The latest reviews of one product as the JSON of their list.
pub(super) async fn list(on: &impl On<Reads>, product: ProductId, limit: i64) -> Result<String> {
    let latest: Vec<ReviewJson> = sql!(
        "reviews_latest",
        "select author, rating, title, text, written_at from reviews_review
         where product = $1 order by written_at desc, id limit $2",
        product,
        limit
    )
    .all(on)
    .await?;
    Ok(json_array(&latest))
}

/// Of each of these products, how many reviews gave how many stars: product, stars, reviews.
pub(super) async fn histograms(
    on: &impl On<Reads>,
    products: &[ProductId],
) -> Result<Vec<(ProductId, i64, i64)>> {
    sql!(
        "reviews_histogram",
        "select product, rating, count(*) from reviews_review where product = any($1) group by product, rating",
        products
    )
    .all(on)
    .await
}

pub(super) async fn insert(
    tx: &Tx,
    product: ProductId,
    customer: i64,
    author: &str,
    draft: &Draft,
    now: Timestamp,
) -> Result<()> {
    sql!(
        "reviews_insert",
        "insert into reviews_review (product, customer, author, rating, title, text, written_at)
         values ($1, $2, $3, $4, $5, $6, $7)",
        product,
        customer,
        author,
        draft.rating,
        draft.title.trim(),
        draft.text.trim(),
        now
    )
    .execute(tx)
    .await?;
    Ok(())
}

pub(super) async fn insert_all(
    tx: &Tx,
    reviews: impl Iterator<Item = (ProductId, NewReview)> + Send,
) -> Result<u64> {
    let rows = reviews.map(|(product, review)| {
        (product, review.author, review.rating, review.title, review.text, review.written_at)
    });
    bulk(
        "reviews_insert_all",
        "reviews_review",
        ["product", "author", "rating", "title", "text", "written_at"],
    )
    .insert(tx, rows)
    .await
}
