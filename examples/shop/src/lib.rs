//! The shop: Burgeon's reference application, a modular monolith one can buy from.
//!
//! What this is: eight modules with their own routes, tables and typed APIs, put together in [`app`]. What it is not:
//! one crate to depend on; it is to be read, run and copied from.
//!
//! ```text
//!   storefront ──▶ catalog, inventory, reviews, recommendations
//!   orders ──────▶ catalog, inventory, recommendations
//!   reviews, inventory, recommendations ──▶ catalog
//!   accounts, sales
//! ```
//!
//! # Invariants
//! - A module reads and writes its own tables only; what it wants to know of another it asks through that one's API.
//! - An order never takes what is not there, and never exists in part; see [`orders`].

pub mod accounts;
mod cart;
pub mod catalog;
mod config;
mod dice;
pub mod inventory;
pub mod orders;
pub mod recommendations;
pub mod reviews;
pub mod sales;
pub mod storefront;
mod ui;
mod visitor;

use burgeon::prelude::*;

pub use config::Config;

/// The application.
pub fn app() -> App {
    App::new("shop")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Well-made things for the home: the reference application of Burgeon.")
        .checked_config("shop", Config::check)
        .module(ui::module)
        .module(catalog::module)
        .module(reviews::module)
        .module(inventory::module)
        .module(recommendations::module)
        .module(accounts::module)
        .module(orders::module)
        .module(storefront::module)
        .module(sales::module)
        .command(catalog::price())
        .command(sales::import())
        .command(sales::report())
        .command(sales::replay())
        .error_page(ui::problem_page)
}
