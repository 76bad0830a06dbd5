//! The shop's window: home, departments, search, and a product's page.
//!
//! The module owns no table. It asks the others, each question once per page, and lays the answers out.

mod home;
mod product;
mod search;

use burgeon::cache::Fragment;
use burgeon::cache::http::Responses;
use burgeon::http::Policy;
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
    home: Cache<home::Piece, Fragment>,
}

/// The module.
pub fn module(
    caches: Caches,
    catalog: CatalogApi,
    inventory: InventoryApi,
    reviews: ReviewsApi,
    recommendations: RecommendationsApi,
) -> Result<Module> {
    let home = home::pieces(&caches, catalog.clone());
    let pages = Responses::new(&caches, "pages", Default::default())?;
    let kept = Policy::new("cache", pages.describe(), pages.layer());
    let window = Window { catalog, inventory, reviews, recommendations, home };
    Ok(Module::new("storefront").routes(Routes::new(window).routes([
        get("/", home::page).name("home").hidden().with(kept),
        get("/search", search::page).name("search").hidden(),
        get("/departments/{category}", search::department).name("department").hidden(),
        get("/products/{id}", product::page).name("product page").hidden(),
        post("/products/{id}/reviews", product::review).name("review").hidden(),
    ])))
}
