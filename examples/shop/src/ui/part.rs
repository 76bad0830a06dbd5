//! Parts that several pages are made of.

use burgeon::prelude::*;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, html};

use super::{form, icon};
use crate::catalog::Product;
use crate::visitor::Visitor;

/// An amount in pounds.
pub(crate) fn price(amount: Money) -> Markup {
    html! { span.price { "£" (amount.round_half_up()) } }
}

/// Mean stars in hundredths, drawn and spoken.
pub(crate) fn stars(rating: i64, reviews: i64) -> Markup {
    html! {
        @if reviews > 0 {
            span.stars {
                (meter(rating))
                span.quiet { "(" (reviews) span.hidden { " reviews" } ")" }
            }
        } @else {
            span.stars.quiet { "No reviews yet" }
        }
    }
}

/// Stars alone.
pub(crate) fn meter(rating: i64) -> Markup {
    // Tenths of a star are as fine as anybody sees.
    let width = format!("r{}", (rating + 5) / 10);
    html! {
        span.meter role="img" aria-label={ (rating / 100) "." (rating / 10 % 10) " of 5 stars" } {
            span class=(width) {}
        }
    }
}

/// A product on a shelf.
pub(crate) fn card(product: &Product) -> Markup {
    html! {
        li.card {
            a href=(product.href()) {
                img src=(product.picture()) alt="" width="400" height="400" loading="lazy" decoding="async";
                h3 { (product.name) }
            }
            p.line {
                (price(product.price))
                @if !product.in_stock { span.badge { "Sold out" } }
            }
            (stars(product.rating, product.reviews))
        }
    }
}

/// A shelf of products with a heading.
pub(crate) fn shelf(title: &str, more: Option<(&str, &str)>, products: &[Product]) -> Markup {
    html! {
        @if !products.is_empty() {
            section.shelf {
                div.heading {
                    h2 { (title) }
                    @if let Some((label, href)) = more { a href=(href) { (label) } }
                }
                ul.cards { @for product in products { (card(product)) } }
            }
        }
    }
}

/// The button that puts one product into the basket.
pub(crate) fn add_to_basket(visitor: &Visitor, product: &Product, available: i64) -> Markup {
    html! {
        form.buy method="post" action="/cart" {
            (form::token(visitor))
            input type="hidden" name="product" value=(product.id);
            label.hidden for="quantity" { "How many" }
            select #quantity name="quantity" {
                @for quantity in 1..=available.min(10) { option value=(quantity) { (quantity) } }
            }
            button.button type="submit" { (icon::basket()) "Add to basket" }
        }
    }
}

/// A day as people write it, in the shop's time.
pub(crate) fn day(at: Timestamp) -> String {
    at.to_zoned(london()).strftime("%-d %B %Y").to_string()
}

/// Where the shop is.
pub(crate) fn london() -> TimeZone {
    // A machine without a time zone database still shows a day, at most an hour off.
    TimeZone::get("Europe/London").unwrap_or(TimeZone::UTC)
}
