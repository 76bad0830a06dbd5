//! The reviews over HTTP. The form on the product's page is the storefront's.

use std::time::Duration;

use burgeon::cache::http::KeepFor;
use burgeon::http::{HeaderMap, JsonText};
use burgeon::prelude::*;

use super::api::Reviews;
use super::review::{Draft, Review};
use super::service::Book;
use crate::catalog::ProductId;
use crate::visitor::Visitor;

/// A list is kept until somebody says more, and then gone; this long at most.
const LIST: Duration = Duration::from_secs(10 * 60);

pub(super) async fn list(
    ctx: Ctx,
    State(book): State<Book>,
    Path(id): Path<ProductId>,
) -> Result<(HeaderMap, JsonText<Vec<Review>>)> {
    let text = book.list(&ctx, id, 100).await?;
    Ok((KeepFor::new(LIST).public().tag(id.tag()).headers(), JsonText::new(text)))
}

pub(super) async fn write(
    ctx: Ctx,
    State(book): State<Book>,
    Path(id): Path<ProductId>,
    visitor: Visitor,
    Valid(Json(draft)): Valid<Json<Draft>>,
) -> Result<NoContent> {
    let customer = visitor.signed_in()?;
    book.write(&ctx, id, customer.id, &customer.byline(), draft).await?;
    Ok(NoContent)
}
