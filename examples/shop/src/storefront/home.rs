//! The first page: what everybody sees is rendered once for all, what one visitor sees is added for him.
//!
//! The shared pieces are fragments under the tags of their products: a price that changes takes them along. The whole page is
//! kept, too, but only as strangers see it: whoever comes with a session gets his own, made of the same pieces.

use std::time::Duration;

use burgeon::cache::Fragment;
use burgeon::cache::http::KeepFor;
use burgeon::core::units::Size;
use burgeon::http::HeaderMap;
use burgeon::prelude::*;
use maud::{Markup, PreEscaped, html};

use super::Window;
use crate::catalog::{CatalogApi, Category, Product, Shelf};
use crate::orders::FREE_DELIVERY_FROM;
use crate::ui::{self, icon, part};
use crate::visitor::Visitor;

/// What sells best, or is new, need not be known to the second.
const PIECES: Duration = Duration::from_secs(30);
/// A page costs little once its pieces are there.
const PAGE: Duration = Duration::from_secs(10);
/// While the shop is in trouble, strangers still see its window.
const IN_TROUBLE: Duration = Duration::from_secs(60 * 60);

/// What of the page is the same for everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Piece {
    /// The three best sellers, the promises, the departments.
    Window,
    /// The shelves below.
    Shelves,
}

/// The pieces, rendered when they are first asked for.
pub(super) fn pieces(caches: &Caches, catalog: CatalogApi) -> Cache<Piece, Fragment> {
    caches.named("home").ttl(PIECES).revalidate(10 * PIECES).fragments(Size::mib(1)).loader(catalog, render)
}

async fn render(catalog: CatalogApi, load: Load, piece: Piece) -> Result<Fragment> {
    let best = catalog.shelf(&load, Shelf::BestSellers, 60).await?;
    let shown = match piece {
        Piece::Window => html! { (hero(&best)) (promises()) (rooms(&best)) },
        Piece::Shelves => {
            let loved = best.get(..8).unwrap_or(&best);
            let new = catalog.shelf(&load, Shelf::New, 8).await?;
            loved.iter().chain(&new).for_each(|product| load.tag(product.id.tag()));
            html! {
                (part::shelf("Most loved", Some(("See all", "/search")), loved))
                (part::shelf("Just in", Some(("All new arrivals", "/search?sort=new")), &new))
            }
        }
    };
    Ok(Fragment::of(&load, shown.into_string()))
}

pub(super) async fn page(
    ctx: Ctx,
    State(window): State<Window>,
    visitor: Visitor,
) -> Result<(HeaderMap, Html<String>)> {
    let top = window.home.get(&ctx, &Piece::Window).await?.or_not_found("page")?;
    let shelves = window.home.get(&ctx, &Piece::Shelves).await?.or_not_found("page")?;
    let basket = visitor.cart().products();
    let companions = window.recommendations.with(&ctx, &basket, 4).await?;
    let companions = window.catalog.products(&ctx, &companions).await?;
    let page = ui::page(
        &visitor,
        "Well-made things for the home",
        html! {
            (PreEscaped(top.html()))
            (part::shelf("Goes with your basket", Some(("See your basket", "/cart")), &companions))
            (PreEscaped(shelves.html()))
        },
    );
    Ok((KeepFor::new(PAGE).if_error(IN_TROUBLE).tags(shelves.tags()).headers(), page))
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
