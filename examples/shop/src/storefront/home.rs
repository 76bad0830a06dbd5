//! The first page.

use burgeon::prelude::*;
use maud::{Markup, html};

use super::Window;
use crate::catalog::{Category, Product, Shelf};
use crate::orders::FREE_DELIVERY_FROM;
use crate::ui::{self, icon, part};
use crate::visitor::Visitor;

pub(super) async fn page(ctx: Ctx, State(window): State<Window>, visitor: Visitor) -> Result<Html<String>> {
    let best = window.catalog.shelf(&ctx, Shelf::BestSellers, 60).await?;
    let new = window.catalog.shelf(&ctx, Shelf::New, 8).await?;
    let basket = visitor.cart().products();
    let companions = window.recommendations.with(&ctx, &basket, 4).await?;
    let companions = window.catalog.products(&ctx, &companions).await?;
    Ok(ui::page(
        &visitor,
        "Well-made things for the home",
        html! {
            (hero(&best))
            (promises())
            (rooms(&best))
            (part::shelf("Goes with your basket", Some(("See your basket", "/cart")), &companions))
            (part::shelf("Most loved", Some(("See all", "/search")), best.get(..8).unwrap_or(&best)))
            (part::shelf("Just in", Some(("All new arrivals", "/search?sort=new")), &new))
        },
    ))
}

fn hero(best: &[Product]) -> Markup {
    // Three best sellers of three departments.
    let mut shown: Vec<&Product> = Vec::new();
    for product in best {
        if shown.len() < 3 && shown.iter().all(|other| other.category != product.category) {
            shown.push(product);
        }
    }
    html! {
        section.hero {
            div {
                h1 { "Fewer things. Better ones." }
                p { "Pots, lamps, throws and tables from small workshops, made to be used every day and handed on one day." }
                div.actions {
                    a.button href="/search" { "Shop everything" }
                    a.button.pale href="/search?sort=new" { "New arrivals" }
                }
            }
            div.collage {
                @for product in shown {
                    a href=(product.href()) {
                        img src=(product.picture()) alt=(product.name) width="400" height="400";
                    }
                }
            }
        }
    }
}

fn promises() -> Markup {
    html! {
        ul.promises {
            li { (icon::van()) div { b { "Free delivery from £" (FREE_DELIVERY_FROM) } span.quiet { "£3.95 below that." } } }
            li { (icon::receipt()) div { b { "Pay on invoice" } span.quiet { "First the parcel, then the bill." } } }
            li { (icon::check()) div { b { "Only what is there" } span.quiet { "What you can order is on our shelf." } } }
        }
    }
}

fn rooms(best: &[Product]) -> Markup {
    html! {
        h2.hidden { "Departments" }
        ul.rooms {
            @for category in Category::ALL {
                @if let Some(product) = best.iter().find(|product| product.category == category) {
                    li {
                        a href={ "/departments/" (category.slug()) } {
                            img src=(product.picture()) alt="" width="400" height="400" loading="lazy";
                            (category.title())
                        }
                    }
                }
            }
        }
    }
}
