//! What other modules may ask of the reviews.

use burgeon::prelude::*;

use super::review::{Draft, Histogram, Review};
use crate::catalog::ProductId;

/// The reviews, for other modules.
#[burgeon::api]
pub trait Reviews {
    /// The latest reviews of a product.
    async fn latest(&self, ctx: &Ctx, product: ProductId, limit: i64) -> Result<Vec<Review>>;

    /// How many reviews of a product gave how many stars.
    async fn histogram(&self, ctx: &Ctx, product: ProductId) -> Result<Histogram>;

    /// Writes a review; [`Kind::Conflict`] if this customer has reviewed the product before.
    async fn write(
        &self,
        ctx: &Ctx,
        product: ProductId,
        customer: i64,
        author: &str,
        draft: Draft,
    ) -> Result<()>;
}
