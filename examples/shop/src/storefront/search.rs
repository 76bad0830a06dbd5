//! Search results and departments: one page, reached in two ways.

use burgeon::prelude::*;
use maud::{Markup, html};

use super::Window;
use crate::catalog::{Category, Found, Search, Sort};
use crate::ui::form::query_escaped;
use crate::ui::{layout, part};
use crate::visitor::Visitor;

pub(super) async fn page(
    ctx: Ctx,
    State(window): State<Window>,
    visitor: Visitor,
    Query(search): Query<Search>,
) -> Result<Html<String>> {
    show(&ctx, &window, &visitor, search, "/search").await
}

pub(super) async fn department(
    ctx: Ctx,
    State(window): State<Window>,
    visitor: Visitor,
    Path(category): Path<Category>,
    Query(search): Query<Search>,
) -> Result<Html<String>> {
    let search = Search { category: Some(category), ..search };
    show(&ctx, &window, &visitor, search, &format!("/departments/{category}")).await
}

async fn show(
    ctx: &Ctx,
    window: &Window,
    visitor: &Visitor,
    search: Search,
    action: &str,
) -> Result<Html<String>> {
    let found = window.catalog.search(ctx, search.clone()).await?;
    let words = search.words();
    let title = match (words, search.category) {
        (Some(words), _) => format!("“{words}”"),
        (None, Some(category)) => category.title().to_owned(),
        (None, None) if search.sort == Some(Sort::New) => "New arrivals".to_owned(),
        (None, None) => "Everything".to_owned(),
    };
    Ok(layout::searched(
        visitor,
        &title,
        &search,
        html! {
            div.intro {
                h1 { (title) }
                @match (words, search.category) {
                    (None, Some(category)) => p { (category.tagline()) },
                    _ => {}
                }
            }
            div.results {
                (filters(&search, action))
                div {
                    div.heading {
                        p.quiet role="status" { (things(found.total)) }
                    }
                    (cards(&found))
                    (pager(&search, &found, action))
                }
            }
        },
    ))
}

fn things(total: i64) -> String {
    match total {
        0 => "Nothing found".to_owned(),
        1 => "One thing".to_owned(),
        Found::MOST_COUNTED.. => format!("More than {} things", Found::MOST_COUNTED),
        total => format!("{total} things"),
    }
}

fn cards(found: &Found) -> Markup {
    html! {
        @if found.products.is_empty() {
            div.empty {
                h2 { "Nothing like that on our shelves" }
                p.quiet { "Try fewer words or filters, or look around in a department." }
                a.button.pale href="/search" { "See everything" }
            }
        } @else {
            ul.cards { @for product in &found.products { (part::card(product)) } }
        }
    }
}

fn filters(search: &Search, action: &str) -> Markup {
    let in_department = action != "/search";
    html! {
        details.refine {
            summary { "Filter and sort" }
            form.filters action=(action) method="get" {
                h2.hidden { "Filter and sort" }
                @if let Some(words) = &search.q { input type="hidden" name="q" value=(words); }
                div.field {
                    label for="sort" { "Sort by" }
                    select #sort name="sort" {
                        @for sort in Sort::ALL {
                            @if sort != Sort::Relevance || search.words().is_some() {
                                option value=(sort.name()) selected[search.order() == sort] { (sort.title()) }
                            }
                        }
                    }
                }
                @if !in_department {
                    div.field {
                        label for="category" { "Department" }
                        select #category name="category" {
                            option value="" { "All" }
                            @for category in Category::ALL {
                                option value=(category.slug()) selected[search.category == Some(category)] { (category.title()) }
                            }
                        }
                    }
                }
                div.field {
                    span.label #price-label { "Price in £" }
                    div.both role="group" aria-labelledby="price-label" {
                        input type="text" name="from" inputmode="decimal" aria-label="From" placeholder="from"
                            value=[search.from];
                        input type="text" name="to" inputmode="decimal" aria-label="To" placeholder="to" value=[search.to];
                    }
                }
                div.field {
                    label for="stars" { "Rated" }
                    select #stars name="stars" {
                        option value="" { "Any" }
                        @for stars in (2..=4).rev() {
                            option value=(stars) selected[search.stars == Some(stars)] { (stars) " stars and up" }
                        }
                    }
                }
                label.tick { input type="checkbox" name="in_stock" value="true" checked[search.in_stock == Some(true)]; "In stock only" }
                button.button type="submit" { "Show" }
                a.quiet href=(action) { "Clear filters" }
            }
        }
    }
}

fn pager(search: &Search, found: &Found, action: &str) -> Markup {
    html! {
        @if search.after.is_some() || found.next.is_some() {
            nav.pager aria-label="Pages" {
                @if search.after.is_some() { a.button.pale href=(address(search, action, None)) { "First page" } }
                @if let Some(next) = &found.next { a.button href=(address(search, action, Some(next))) rel="next" { "Next page" } }
            }
        }
    }
}

/// The same search from another place on.
fn address(search: &Search, action: &str, after: Option<&str>) -> String {
    let values = [
        ("q", search.q.clone()),
        ("category", search.category.filter(|_| action == "/search").map(|category| category.to_string())),
        ("sort", search.sort.map(|sort| sort.name().to_owned())),
        ("from", search.from.map(|price| price.to_string())),
        ("to", search.to.map(|price| price.to_string())),
        ("stars", search.stars.map(|stars| stars.to_string())),
        ("in_stock", search.in_stock.map(|only| only.to_string())),
        ("after", after.map(str::to_owned)),
    ];
    let mut address = action.to_owned();
    let mut sign = '?';
    for (name, value) in values.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        address.push(sign);
        address.push_str(&format!("{name}={}", query_escaped(&value)));
        sign = '&';
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_keeps_what_was_asked() {
        let search = Search { q: Some("blue mug".into()), stars: Some(4), ..Search::default() };
        assert_eq!(address(&search, "/search", Some("WzFd-_")), "/search?q=blue%20mug&stars=4&after=WzFd-_");
        let search = Search { category: Some(Category::Bath), ..Search::default() };
        assert_eq!(address(&search, "/departments/bath", None), "/departments/bath");
    }
}
