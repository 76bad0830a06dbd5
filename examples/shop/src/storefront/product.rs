//! A product's page: picture, price, stock, what others think and bought.

use burgeon::http::StatusCode;
use burgeon::prelude::*;
use maud::{Markup, html};

use super::Window;
use crate::catalog::{Product, ProductId};
use crate::orders::FREE_DELIVERY_FROM;
use crate::reviews::{Draft, Histogram, Review};
use crate::ui::form::{self, Field};
use crate::ui::{self, part};
use crate::visitor::Visitor;

/// Reviews on the page; the JSON has more.
const REVIEWS: i64 = 12;

pub(super) async fn page(
    ctx: Ctx,
    State(window): State<Window>,
    visitor: Visitor,
    Path(id): Path<ProductId>,
) -> Result<Html<String>> {
    show(&ctx, &window, &visitor, id, &Submitted::blank()).await
}

pub(super) async fn review(
    ctx: Ctx,
    State(window): State<Window>,
    visitor: Visitor,
    Path(id): Path<ProductId>,
    submitted: Submitted<Draft>,
) -> Result<Response> {
    let customer = visitor.signed_in()?;
    let draft = match submitted.valid() {
        Ok(draft) => draft,
        Err(wrong) => {
            return (StatusCode::UNPROCESSABLE_ENTITY, show(&ctx, &window, &visitor, id, &wrong).await?)
                .reply();
        }
    };
    match window.reviews.write(&ctx, id, customer.id, &customer.byline(), draft).await {
        Ok(()) => visitor.flash().success("Thank you! Your review is on the page."),
        Err(error) if error.kind() == Kind::Conflict => visitor.flash().notice(error.public()),
        Err(error) => return Err(error),
    }
    Redirect::to(format!("/products/{id}#reviews")).reply()
}

async fn show(
    ctx: &Ctx,
    window: &Window,
    visitor: &Visitor,
    id: ProductId,
    draft: &Submitted<Draft>,
) -> Result<Html<String>> {
    let product = window.catalog.product(ctx, id).await?.or_not_found("product")?;
    let available = window.inventory.stock(ctx, &[id]).await?.first().map_or(0, |stock| stock.available);
    let said = window.reviews.summary(ctx, id, REVIEWS).await?;
    let views = window.catalog.look(ctx, id).await?;
    let together = window.recommendations.with(ctx, &[id], 4).await?;
    let together = window.catalog.products(ctx, &together).await?;
    Ok(ui::page(
        visitor,
        &product.name,
        html! {
            nav aria-label="You are here" {
                ol.crumbs {
                    li { a href="/" { "Home" } }
                    li { a href={ "/departments/" (product.category.slug()) } { (product.category.title()) } }
                    li aria-current="page" { (product.name) }
                }
            }
            (about(visitor, &product, available, views))
            (part::shelf("Bought together", None, &together))
            section.reviews #reviews {
                aside { (score(&product, &said.histogram)) (write(visitor, &product, draft)) }
                (list(&product, &said.latest))
            }
        },
    ))
}

fn about(visitor: &Visitor, product: &Product, available: i64, views: i64) -> Markup {
    let facts = [
        ("Material", Some(&product.material)),
        ("Colour", Some(&product.colour)),
        ("Size", product.size.as_ref()),
        ("Made in", Some(&product.origin)),
        ("Care", Some(&product.care)),
    ];
    html! {
        article.product {
            img src=(product.picture()) alt={ "Drawing: " (product.name) } width="400" height="400";
            div.about {
                div { p.quiet { (product.maker) } h1 { (product.name) } }
                a.stars href="#reviews" { (part::stars(product.rating, product.reviews)) }
                p { (part::price(product.price)) }
                p.lead { (product.description) }
                @match available {
                    0 => p.stock.none { "Sold out" },
                    1..=5 => p.stock.low { "Only " (available) " left" },
                    _ => p.stock { "In stock" },
                }
                @if available > 0 {
                    (part::add_to_basket(visitor, product, available))
                    p.quiet { "Delivery £3.95, free from £" (FREE_DELIVERY_FROM) ". Pay on invoice." }
                }
                @if views > 0 { p.quiet { "Looked at " (views) (if views == 1 { " time" } else { " times" }) "." } }
                dl.facts {
                    @for (name, value) in facts {
                        @if let Some(value) = value { dt { (name) } dd { (value) } }
                    }
                }
            }
        }
    }
}

fn score(product: &Product, histogram: &Histogram) -> Markup {
    html! {
        h2 { "What others think" }
        @if histogram.total() > 0 {
            p.score { b { (product.rating / 100) "." (product.rating / 10 % 10) } span { (part::meter(product.rating)) br; span.quiet { (histogram.total()) " reviews" } } }
            div.bars {
                @for stars in (1..=5).rev() {
                    span { (stars) " ★" }
                    progress max="100" value=(histogram.percent(stars)) aria-label={ (stars) " stars" } {}
                    span { (histogram.percent(stars)) "%" }
                }
            }
        }
    }
}

fn list(product: &Product, reviews: &[Review]) -> Markup {
    html! {
        div {
            @if reviews.is_empty() {
                div.empty { h3 { "Nobody has reviewed it yet" } p.quiet { "Be the first to tell others about the " (product.name) "." } }
            }
            @for review in reviews {
                article.review {
                    (part::meter(review.rating * 100))
                    h3 { (review.title) }
                    p { (review.text) }
                    p.quiet { (review.author) ", " time datetime=(review.written_at) { (part::day(review.written_at)) } }
                }
            }
        }
    }
}

fn write(visitor: &Visitor, product: &Product, draft: &Submitted<Draft>) -> Markup {
    let address = format!("/products/{}/reviews", product.id);
    html! {
        @if visitor.customer().is_some() {
            form.write.stack method="post" action=(address) {
                (form::token(visitor))
                h3 { "Write a review" }
                fieldset.rate {
                    legend { "Stars" }
                    // Backwards in the source and forwards on the page, so that style alone can fill the stars below.
                    div {
                        @for stars in (1..=5).rev() {
                            input.hidden #{ "stars-" (stars) } type="radio" name="rating" value=(stars) required
                                checked[draft.typed("rating") == stars.to_string()];
                            label for={ "stars-" (stars) } { span.hidden { (stars) " stars" } span aria-hidden="true" { "★" } }
                        }
                    }
                    @if let Some(error) = draft.error("rating") { p.error { "The rating " (error) "." } }
                }
                (Field::text("title", "In a few words").render(draft))
                (Field::area("text", "Your review", 5).render(draft))
                button.button type="submit" { "Publish" }
            }
        } @else {
            p.quiet { "Own it? " a href={ "/sign-in?to=" (product.href()) } { "Sign in" } " and tell others." }
        }
    }
}
