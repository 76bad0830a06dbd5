//! What other modules may ask of the recommendations.

use burgeon::prelude::*;

use crate::catalog::ProductId;

/// The recommendations, for other modules.
#[burgeon::api]
pub trait Recommendations {
    /// What was bought together with these products most often, strongest first, none of them among it.
    async fn with(&self, ctx: &Ctx, products: &[ProductId], limit: i64) -> Result<Vec<ProductId>>;

    /// These products were bought together.
    async fn learn(&self, ctx: &Ctx, products: &[ProductId]) -> Result<()>;
}
