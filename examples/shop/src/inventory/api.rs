//! What other modules may ask of the inventory.

use burgeon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::ProductId;

/// How many of a product may still be sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Row, Serialize, Deserialize, JsonSchema)]
pub struct Stock {
    /// The product.
    pub product: ProductId,
    /// How many.
    pub available: i64,
}

/// The inventory, for other modules.
#[burgeon::api]
pub trait Inventory {
    /// The stock of these products; those it never heard of are left out.
    async fn stock(&self, ctx: &Ctx, products: &[ProductId]) -> Result<Vec<Stock>>;

    /// Puts the stock of a product to this number.
    async fn restock(&self, ctx: &Ctx, product: ProductId, available: i64) -> Result<()>;
}
