//! What customers think: stars, a title, a text; one review per customer and product.
//!
//! The module owns `reviews_review`. The catalogue is told of each review in the same transaction, so that a product's
//! stars and its reviews never disagree.

mod api;
mod pages;
mod repository;
mod review;
mod seed;
mod service;

pub use api::{Reviews, ReviewsApi};
pub use review::{Draft, Histogram, Review, Summary};

use burgeon::prelude::*;

use crate::catalog::{CatalogApi, Listing};
use service::Book;

/// The module.
pub fn module(db: Db, caches: Caches, catalog: CatalogApi, listing: Listing) -> Module {
    let book = Book::new(db, caches, catalog, listing);
    Module::new("reviews")
        .after(["catalog"])
        .migrations(migrations!["reviews/0001_reviews.sql"])
        .provides(ReviewsApi::direct(book.clone()))
        .first_start("seed", seed::fill)
        .routes(Routes::new(book).routes([
            get("/api/products/{id}/reviews", pages::list).name("read reviews").tag("reviews"),
            post("/api/products/{id}/reviews", pages::write).name("write a review").tag("reviews"),
        ]))
}
