//! The shop's window: home, departments, search, and a product's page.
//!
//! The module owns no table. It asks the others, each question once per page, and lays the answers out.

mod home;
mod product;
mod search;

use burgeon::prelude::*;

use crate::catalog::CatalogApi;
use crate::inventory::InventoryApi;
use crate::recommendations::RecommendationsApi;
use crate::reviews::ReviewsApi;

/// Whom the window asks.
#[derive(Clone)]
struct Window {
    catalog: CatalogApi,
    inventory: InventoryApi,
    reviews: ReviewsApi,
    recommendations: RecommendationsApi,
}

/// The module.
pub fn module(
    catalog: CatalogApi,
    inventory: InventoryApi,
    reviews: ReviewsApi,
    recommendations: RecommendationsApi,
) -> Module {
    let window = Window { catalog, inventory, reviews, recommendations };
    Module::new("storefront").routes(Routes::new(window).routes([
        get("/", home::page).name("home").hidden(),
        get("/search", search::page).name("search").hidden(),
        get("/departments/{category}", search::department).name("department").hidden(),
        get("/products/{id}", product::page).name("product page").hidden(),
        post("/products/{id}/reviews", product::review).name("review").hidden(),
    ]))
}
