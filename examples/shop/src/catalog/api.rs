//! What other modules may ask the catalogue.

use burgeon::prelude::*;

use super::product::{Product, ProductId};
use super::search::{Found, Search, Shelf};

/// The catalogue, for other modules.
#[burgeon::api]
pub trait Catalog {
    /// The product of this number.
    async fn product(&self, ctx: &Ctx, id: ProductId) -> Result<Option<Product>>;

    /// Somebody looks at the product's page. How often others have, up to some seconds ago.
    async fn look(&self, ctx: &Ctx, id: ProductId) -> Result<i64>;

    /// These products, in the order asked for; those that do not exist are left out.
    async fn products(&self, ctx: &Ctx, ids: &[ProductId]) -> Result<Vec<Product>>;

    /// What most visitors look at, the most looked at first: what is worth reading before they come.
    async fn well_known(&self, ctx: &Ctx) -> Result<Vec<ProductId>>;

    /// One page of what matches.
    async fn search(&self, ctx: &Ctx, search: Search) -> Result<Found>;

    /// The first products of a shelf.
    async fn shelf(&self, ctx: &Ctx, shelf: Shelf, limit: i64) -> Result<Vec<Product>>;

    /// From now on the product costs this; returns what it cost before.
    async fn reprice(&self, ctx: &Ctx, id: ProductId, price: Money) -> Result<Money>;
}
