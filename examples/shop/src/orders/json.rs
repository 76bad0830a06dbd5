//! Orders as JSON.

use burgeon::prelude::*;

use super::api::Orders;
use super::order::{Order, OrderToken, Placing};
use super::service::Desk;
use crate::visitor::Visitor;

pub(super) async fn place(
    ctx: Ctx,
    State(desk): State<Desk>,
    visitor: Visitor,
    Valid(Json(placing)): Valid<Json<Placing>>,
) -> Result<Created<Order>> {
    let customer = visitor.customer().map(|customer| customer.id);
    let order = desk.place(&ctx, customer, placing).await?;
    Ok(Created::new(format!("/api/orders/{}", order.token), order))
}

pub(super) async fn one(
    ctx: Ctx,
    State(desk): State<Desk>,
    Path(token): Path<OrderToken>,
) -> Result<Json<Order>> {
    Ok(Json(desk.order(&ctx, token).await?.or_not_found("order")?))
}
