//! The recommendations over HTTP.

use burgeon::prelude::*;

use super::service::Pairs;
use crate::catalog::{Product, ProductId};

pub(super) async fn bought_together(
    ctx: Ctx,
    State(pairs): State<Pairs>,
    Path(id): Path<ProductId>,
) -> Result<Json<Vec<Product>>> {
    Ok(Json(pairs.products(&ctx, id, 6).await?))
}
