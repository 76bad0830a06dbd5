//! What other modules may ask of the orders.

use burgeon::prelude::*;

use super::order::{Order, OrderToken, Placing};

/// The orders, for other modules.
#[burgeon::api]
pub trait Orders {
    /// Places an order, or finds the one that this token has placed before. [`Kind::Conflict`] when something is sold
    /// out, [`Kind::NotFound`] when the shop does not have a product.
    async fn place(&self, ctx: &Ctx, customer: Option<i64>, placing: Placing) -> Result<Order>;

    /// The order of this token.
    async fn order(&self, ctx: &Ctx, token: OrderToken) -> Result<Option<Order>>;
}
