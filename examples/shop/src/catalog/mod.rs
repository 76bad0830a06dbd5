//! What the shop sells: products, their pictures, shelves and search.
//!
//! The module owns `catalog_product` and `catalog_view`. Other modules ask through [`CatalogApi`]; what they know about a
//! product and the catalogue must sort or filter by (stars, stock, sales) they tell it in their own transaction, through
//! [`Listing`].

mod api;
mod category;
mod listing;
mod matching;
mod pages;
mod picture;
mod price;
mod product;
mod repository;
mod search;
mod seed;
mod service;
mod words;

pub use api::{Catalog, CatalogApi};
pub use category::Category;
pub use listing::Listing;
pub use price::price;
pub use product::{Product, ProductId};
pub use search::{Found, Search, Shelf, Sort};

use burgeon::cache::http::{Config as Kept, Responses};
use burgeon::http::Policy;
use burgeon::prelude::*;

use crate::Config;
use service::Products;

/// The module.
pub fn module(db: Db, caches: Caches, config: Config) -> Result<Module> {
    // Lists know no visitor, so they may be everybody's, whatever cookies come along.
    let lists = Responses::new(&caches, "lists", Kept { anonymous: true, ..Kept::default() })?;
    let kept = Policy::new("cache", lists.describe(), lists.layer());
    let products = Products::new(db, caches, &config);
    let module = Module::new("catalog")
        .migrations(migrations![
            "catalog/0001_products.sql",
            "catalog/0002_orders_of_search.sql",
            "catalog/0003_views.sql"
        ])
        .provides(CatalogApi::direct(products.clone()))
        .shares(products.listing())
        .first_start("seed", seed::fill)
        .warm_up({
            let products = products.clone();
            async move |ctx: Ctx| products.warm(&ctx).await
        })
        .routes(Routes::new(products).routes([
            get("/api/products", pages::search).name("search products").tag("catalog").with(kept.clone()),
            get("/api/products/{id}", pages::product).name("read a product").tag("catalog"),
            get("/api/departments", pages::departments).name("list departments").tag("catalog").with(kept),
            get("/pictures/{look}", pages::picture).name("picture").hidden(),
        ]));
    Ok(module)
}
