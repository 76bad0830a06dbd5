//! The frame of every page.

use burgeon::http::Level;
use burgeon::prelude::*;
use maud::{DOCTYPE, Markup, html};

use super::{NAME, form, icon, style};
use crate::catalog::{Category, Search};
use crate::visitor::Visitor;

/// A page of the shop. Taking the messages shows them once.
pub(crate) fn page(visitor: &Visitor, title: &str, content: Markup) -> Html<String> {
    searched(visitor, title, &Search::default(), content)
}

/// A page that shows what was searched for.
pub(crate) fn searched(visitor: &Visitor, title: &str, search: &Search, content: Markup) -> Html<String> {
    let top = html! { (header(visitor, search)) (departments(search.category)) (messages(visitor)) };
    Html(document(title, top, content).into_string())
}

/// A whole document. Also for pages that know no visitor, such as errors.
pub(super) fn document(title: &str, top: Markup, content: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en-GB" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="description" content="Well-made things for the home, from small workshops.";
                title { (title) " · " (NAME) }
                link rel="icon" href="/favicon.svg" type="image/svg+xml";
                link rel="stylesheet" href=(style::PATH);
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                (top)
                main #content tabindex="-1" { (content) }
                (footer())
            }
        }
    }
}

fn header(visitor: &Visitor, search: &Search) -> Markup {
    let count = visitor.cart().count();
    html! {
        header.top {
            div.frame {
                (brand_and_search(search))
                nav.mine aria-label="Your account" {
                    @match visitor.customer() {
                        Some(customer) => {
                            a href="/orders" { (icon::person()) span { (customer.first_name()) } }
                            form method="post" action="/sign-out" {
                                (form::token(visitor))
                                button.plain type="submit" { "Sign out" }
                            }
                        }
                        None => a href="/sign-in" { (icon::person()) span { "Sign in" } },
                    }
                    a.basket href="/cart" {
                        (icon::basket()) span { "Basket" }
                        @if count > 0 { span.count { span.hidden { "with " } (count) span.hidden { " things" } } }
                    }
                }
            }
        }
    }
}

/// The top of a page that knows no visitor: still a way to everything the shop has.
pub(super) fn anonymous_top() -> Markup {
    html! {
        header.top { div.frame { (brand_and_search(&Search::default())) } }
        (departments(None))
    }
}

fn brand_and_search(search: &Search) -> Markup {
    html! {
        a.brand href="/" { (icon::mark()) span { (NAME) } }
        form.find role="search" action="/search" method="get" {
            label.hidden for="q" { "Search the shop" }
            input #q type="search" name="q" maxlength="100" placeholder="Mugs, throws, oak shelves…"
                value=(search.q.as_deref().unwrap_or_default());
            button type="submit" aria-label="Search" { (icon::search()) }
        }
    }
}

fn departments(current: Option<Category>) -> Markup {
    html! {
        nav.departments aria-label="Departments" {
            ul.frame {
                @for category in Category::ALL {
                    li {
                        a href={ "/departments/" (category.slug()) }
                            aria-current=[(current == Some(category)).then_some("page")] { (category.title()) }
                    }
                }
            }
        }
    }
}

fn messages(visitor: &Visitor) -> Markup {
    let messages = visitor.messages();
    html! {
        @if !messages.is_empty() {
            div.messages.frame role="status" {
                @for message in &messages {
                    p class={ "message " (message.level.name()) } {
                        @if message.level == Level::Success { (icon::check()) }
                        (message.text)
                    }
                }
            }
        }
    }
}

fn footer() -> Markup {
    html! {
        footer {
            div.frame {
                div {
                    p.brand { (icon::mark()) span { (NAME) } }
                    p.quiet { "Well-made things for the home, from small workshops." }
                }
                nav aria-label="Departments, again" {
                    h2 { "Departments" }
                    ul.columns {
                        @for category in Category::ALL {
                            li { a href={ "/departments/" (category.slug()) } { (category.title()) } }
                        }
                    }
                }
                nav aria-label="The shop" {
                    h2 { "The shop" }
                    ul {
                        li { a href="/search?sort=new" { "New arrivals" } }
                        li { a href="/search" { "Everything" } }
                        li { a href="/orders" { "Your orders" } }
                        li { a href="/docs" { "For developers" } }
                    }
                }
            }
        }
    }
}
