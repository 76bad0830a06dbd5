//! Taking stock for an order, inside the order's own transaction.
//!
//! # Invariants
//! - Nothing is ever sold that was not there: each product is taken by one conditional update, on the primary. What a cache
//!   believes to be there is asked nowhere here.
//! - All or nothing: a product that has run out fails the caller's transaction, which gives back what was taken.
//! - Two orders never wait for each other in a circle: products are taken in the order of their numbers.

use burgeon::prelude::*;

use super::repository;
use crate::catalog::{Listing, ProductId};

/// Where goods are taken from. It takes a transaction and not a context, and so is no part of
/// [`InventoryApi`](super::InventoryApi): that an order and its stock are one fact is worth more than that they could live in
/// two databases.
#[derive(Clone)]
pub struct Stockroom {
    shown: Cache<ProductId, i64>,
    listing: Listing,
}

impl Stockroom {
    pub(super) fn new(shown: Cache<ProductId, i64>, listing: Listing) -> Self {
        Self { shown, listing }
    }

    /// Takes these quantities, or fails with [`Kind::Conflict`].
    pub(crate) async fn reserve(
        &self,
        tx: &Tx,
        lines: impl IntoIterator<Item = (ProductId, i64)>,
    ) -> Result<()> {
        let mut lines: Vec<_> = lines.into_iter().collect();
        lines.sort_unstable();
        for (product, quantity) in lines {
            let Some(left) = repository::take(tx, product, quantity).await? else {
                return Err(Error::conflict("Something in your basket has just sold out.")
                    .with_source(SoldOut(product)));
            };
            tx.set(&self.shown, product, left);
            self.listing.sold(tx, product, quantity, left > 0).await?;
        }
        Ok(())
    }

    /// Puts the stock of a product to this number.
    pub(super) async fn put(&self, tx: &Tx, product: ProductId, available: i64) -> Result<()> {
        repository::put(tx, product, available).await?;
        tx.set(&self.shown, product, available);
        self.listing.sold(tx, product, 0, available > 0).await
    }
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
