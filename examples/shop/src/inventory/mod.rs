//! What is on the shelves, and taking it from there.
//!
//! The module owns `inventory_stock`. `Stockroom::reserve` is the one way to take stock, and never looks into a cache; what
//! pages show comes from one.

mod api;
mod pages;
mod repository;
mod seed;
mod service;
mod stockroom;

pub use api::{Inventory, InventoryApi, Stock};
pub(crate) use stockroom::SoldOut;
pub use stockroom::Stockroom;

use burgeon::prelude::*;

use crate::catalog::Listing;
use service::Shelves;

/// The module.
pub fn module(db: Db, caches: Caches, listing: Listing) -> Module {
    let shelves = Shelves::new(db, caches, listing);
    Module::new("inventory")
        .after(["catalog"])
        .migrations(migrations!["inventory/0001_stock.sql"])
        .provides(InventoryApi::direct(shelves.clone()))
        .shares(shelves.stockroom())
        .first_start("seed", seed::fill)
        .routes(
            Routes::new(shelves)
                .routes([get("/api/products/{id}/stock", pages::stock).name("read stock").tag("inventory")]),
        )
}
