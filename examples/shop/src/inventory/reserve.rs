//! Taking stock for an order, inside the order's own transaction.
//!
//! # Invariants
//! - Nothing is ever sold that was not there: each product is taken by one conditional update.
//! - All or nothing: a product that has run out fails the caller's transaction, which gives back what was taken.
//! - Two orders never wait for each other in a circle: products are taken in the order of their numbers.

use burgeon::prelude::*;

use super::repository;
use crate::catalog::{ProductId, listing};

/// Takes these quantities, or fails with [`Kind::Conflict`].
///
/// It takes a transaction and not a context, and so is no part of [`InventoryApi`](super::InventoryApi): that an order and its stock
/// are one fact is worth more than that they could live in two databases.
pub(crate) async fn reserve(tx: &Tx, lines: impl IntoIterator<Item = (ProductId, i64)>) -> Result<()> {
    let mut lines: Vec<_> = lines.into_iter().collect();
    lines.sort_unstable();
    for (product, quantity) in lines {
        let Some(left) = repository::take(tx, product, quantity).await? else {
            return Err(
                Error::conflict("Something in your basket has just sold out.").with_source(SoldOut(product))
            );
        };
        listing::sold(tx, product, quantity, left > 0).await?;
    }
    Ok(())
}

/// Which product there was not enough of; found by `error.find::<SoldOut>()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SoldOut(pub(crate) ProductId);

impl std::fmt::Display for SoldOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "there is not enough of product {}", self.0)
    }
}

impl std::error::Error for SoldOut {}
