//! What goes with what: pairs of products that were bought together.
//!
//! The module owns `recommendations_pair`. It learns from each order once, after it was placed, and is never in its way:
//! a process that ends between an order and its lesson has learnt one thing less, and none learns anything twice.

mod api;
mod pages;
mod repository;
mod seed;
mod service;

pub use api::{Recommendations, RecommendationsApi};

use burgeon::prelude::*;

use crate::catalog::CatalogApi;
use service::Pairs;

/// The module.
pub fn module(db: Db, caches: Caches, catalog: CatalogApi) -> Module {
    let pairs = Pairs::new(db, caches, catalog);
    Module::new("recommendations")
        .after(["catalog"])
        .migrations(migrations!["recommendations/0001_pairs.sql"])
        .provides(RecommendationsApi::direct(pairs.clone()))
        .first_start("seed", seed::fill)
        .routes(
            Routes::new(pairs).routes([get("/api/products/{id}/bought-together", pages::bought_together)
                .name("read what is bought together")
                .tag("recommendations")
                .sheddable()]),
        )
}
