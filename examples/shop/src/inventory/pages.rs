//! The inventory over HTTP.

use burgeon::prelude::*;

use super::api::{Inventory, Stock};
use super::service::Shelves;
use crate::catalog::ProductId;

pub(super) async fn stock(
    ctx: Ctx,
    State(shelves): State<Shelves>,
    Path(id): Path<ProductId>,
) -> Result<Json<Stock>> {
    let stock = shelves.stock(&ctx, &[id]).await?;
    Ok(Json(stock.first().copied().or_not_found("product")?))
}
