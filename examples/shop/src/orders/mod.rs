//! The basket, the checkout, and orders.
//!
//! The module owns `orders_order` and `orders_line`.
//!
//! # Invariants
//! - An order exists with all its lines and its stock taken, or not at all: it is one transaction.
//! - One checkout form places at most one order, however often it is sent.
//! - A line keeps name and price as they were when it was bought: read in the order's own transaction, as its stock is, and
//!   from no cache and no replica.

mod api;
mod basket;
mod checkout;
mod json;
mod order;
mod pages;
mod repository;
mod service;

pub use api::{Orders, OrdersApi};
pub use order::{Order, OrderLine, OrderToken, Place, Placing, PlacingLine};

use burgeon::prelude::*;

use crate::catalog::{CatalogApi, Listing};
use crate::inventory::{InventoryApi, Stockroom};
use crate::recommendations::RecommendationsApi;
use service::Desk;

/// Orders of goods from this many pounds on are delivered free.
pub(crate) const FREE_DELIVERY_FROM: i64 = 50;

/// The module.
pub fn module(
    db: Db,
    catalog: CatalogApi,
    listing: Listing,
    inventory: InventoryApi,
    stockroom: Stockroom,
    recommendations: RecommendationsApi,
) -> Module {
    let desk = Desk::new(db, (catalog, listing), (inventory, stockroom), recommendations);
    Module::new("orders")
        .after(["catalog", "accounts", "inventory"])
        .migrations(migrations!["orders/0001_orders.sql"])
        .provides(OrdersApi::direct(desk.clone()))
        .routes(Routes::new(desk).routes([
            get("/cart", basket::page).name("basket").hidden(),
            post("/cart", basket::add).name("add to basket").hidden(),
            post("/cart/{id}", basket::change).name("change basket").hidden(),
            get("/checkout", checkout::page).name("checkout").hidden(),
            post("/checkout", checkout::submit).name("place order").critical().hidden(),
            get("/orders", pages::mine).name("my orders").hidden(),
            get("/orders/{token}", pages::one).name("order page").hidden(),
            post("/api/orders", json::place).name("place an order").tag("orders").critical(),
            get("/api/orders/{token}", json::one).name("read an order").tag("orders"),
        ]))
}
