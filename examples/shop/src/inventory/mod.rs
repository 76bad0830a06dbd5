//! What is on the shelves, and taking it from there.
//!
//! The module owns `inventory_stock`. `reserve` is the one way to take stock.

mod api;
mod pages;
mod repository;
mod reserve;
mod seed;
mod service;

pub use api::{Inventory, InventoryApi, Stock};
pub(crate) use reserve::{SoldOut, reserve};

use burgeon::prelude::*;

use service::Shelves;

/// The module.
pub fn module(db: Db) -> Module {
    let shelves = Shelves::new(db);
    Module::new("inventory")
        .after(["catalog"])
        .migrations(migrations!["inventory/0001_stock.sql"])
        .provides(InventoryApi::direct(shelves.clone()))
        .first_start("seed", seed::fill)
        .routes(
            Routes::new(shelves)
                .routes([get("/api/products/{id}/stock", pages::stock).name("read stock").tag("inventory")]),
        )
}
