//! Every statement on `reviews_review`.

use burgeon::db::row::Row;
use burgeon::db::{On, Reads, bulk, json_array, json_row};
use burgeon::prelude::{Result, Tx, sql};
use jiff::Timestamp;

use super::review::{Draft, Review};
use super::seed::NewReview;
use crate::catalog::ProductId;

json_row! {
    /// A [`Review`] that nobody here looks into: its JSON, written while the row is read.
    ReviewJson { author: String, rating: i64, title: String, text: String, written_at: Timestamp }
}

pub(super) async fn latest(on: &impl On<Reads>, product: ProductId, limit: i64) -> Result<Vec<Review>> {
    newest(on, product, limit).await
}

/// As [`latest`], as the JSON of the list.
pub(super) async fn list(on: &impl On<Reads>, product: ProductId, limit: i64) -> Result<String> {
    newest::<ReviewJson>(on, product, limit).await.map(|reviews| json_array(&reviews))
}

async fn newest<R: Row>(on: &impl On<Reads>, product: ProductId, limit: i64) -> Result<Vec<R>> {
    sql!(
        "reviews_latest",
        "select author, rating, title, text, written_at from reviews_review
         where product = $1 order by written_at desc, id limit $2",
        product,
        limit
    )
    .all(on)
    .await
}

/// Pairs of stars and how many reviews gave them.
pub(super) async fn histogram(on: &impl On<Reads>, product: ProductId) -> Result<Vec<(i64, i64)>> {
    sql!(
        "reviews_histogram",
        "select rating, count(*) from reviews_review where product = $1 group by rating",
        product
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
