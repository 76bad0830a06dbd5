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

use burgeon::cache::http::{Config as Kept, Responses};
use burgeon::http::Policy;
use burgeon::prelude::*;

use crate::catalog::{CatalogApi, Listing};
use service::Book;

/// The module.
pub fn module(db: Db, caches: Caches, catalog: CatalogApi, listing: Listing) -> Result<Module> {
    // A list knows no visitor, so it may be everybody's, whatever cookies come along.
    let lists = Responses::new(&caches, "review lists", Kept { anonymous: true, ..Kept::default() })?;
    let kept = Policy::new("cache", lists.describe(), lists.layer());
    let book = Book::new(db, caches, catalog, listing);
    let module = Module::new("reviews")
        .after(["catalog"])
        .migrations(migrations!["reviews/0001_reviews.sql"])
        .provides(ReviewsApi::direct(book.clone()))
        .first_start("seed", seed::fill)
        .warm_up({
            let book = book.clone();
            async move |ctx: Ctx| book.warm(&ctx).await
        })
        .routes(Routes::new(book).routes([
            get("/api/products/{id}/reviews", pages::list).name("read reviews").tag("reviews").with(kept),
            post("/api/products/{id}/reviews", pages::write).name("write a review").tag("reviews"),
        ]));
    Ok(module)
}
