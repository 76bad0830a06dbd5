//! The reviews over HTTP. The form on the product's page is the storefront's.

use burgeon::http::JsonText;
use burgeon::prelude::*;

use super::api::Reviews;
use super::review::{Draft, Review};
use super::service::Book;
use crate::catalog::ProductId;
use crate::visitor::Visitor;

pub(super) async fn list(
    ctx: Ctx,
    State(book): State<Book>,
    Path(id): Path<ProductId>,
) -> Result<JsonText<Vec<Review>>> {
    Ok(JsonText::new(book.list(&ctx, id, 100).await?))
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
