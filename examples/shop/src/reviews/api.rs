//! What other modules may ask of the reviews.

use burgeon::prelude::*;

use super::review::{Draft, Review, Summary};
use crate::catalog::ProductId;

/// The reviews, for other modules.
#[burgeon::api]
pub trait Reviews {
    /// The latest reviews of a product.
    async fn latest(&self, ctx: &Ctx, product: ProductId, limit: i64) -> Result<Vec<Review>>;

    /// The latest reviews of a product, and how many there are with how many stars.
    async fn summary(&self, ctx: &Ctx, product: ProductId, limit: i64) -> Result<Summary>;

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
