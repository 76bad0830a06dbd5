//! What matches a search: a statement made of what was asked, no more, so that each search can use the index made for it.
//!
//! # Invariants
//! - Both engines find the same products in the same order: they match the same words, weigh them alike, and break every
//!   tie by the product's number.
//! - Where a product stands among others depends on it and on the search alone, so a page that follows is right
//!   whatever came into the shop since the page before.

use burgeon::db::keyset::{Keyset, Page};
use burgeon::db::row::{Columns, Row, RowView, Unreadable};
use burgeon::db::sea_query::{Alias, BinOper, CaseStatement, Expr, ExprTrait, Query as Sql, SelectStatement};
use burgeon::db::{Engine, Mismatch, On, Reads, dynamic};
use burgeon::prelude::Result;

use super::product::Product;
use super::search::{Found, Search, Sort};
use super::words::{fts5, stems, tsquery};

/// Products on one page of a search, if nobody says otherwise.
const PAGE: i64 = 24;
const LARGEST_PAGE: usize = 60;

/// A product and how well it fits the words.
pub(super) struct Hit {
    pub(super) product: Product,
    relevance: i64,
}

impl Row for Hit {
    type Layout = (<Product as Row>::Layout, usize);

    fn layout(columns: &Columns<'_>) -> Result<Self::Layout, Mismatch> {
        Ok((Product::layout(columns)?, columns.find("relevance", columns.count() - 1)?))
    }

    fn read(row: &RowView<'_>, layout: &Self::Layout) -> Result<Self, Unreadable> {
        Ok(Self { product: Product::read(row, &layout.0)?, relevance: row.get(layout.1)? })
    }
}

/// A page of what matches, in the order asked for.
pub(super) async fn page(on: &impl On<Reads>, engine: Engine, search: &Search) -> Result<Page<Hit>> {
    let size = search.limit.unwrap_or(PAGE).clamp(1, i64::MAX) as usize;
    order(search.order())
        .page("catalog_search", hits(engine, search), on, search.after.as_deref(), size)
        .await
}

/// How many match, up to [`Found::MOST_COUNTED`].
pub(super) async fn count(on: &impl On<Reads>, engine: Engine, search: &Search) -> Result<i64> {
    dynamic::select("catalog_count", &counted(engine, search), engine).one(on).await
}

/// One index serves each of these, forwards or backwards, since all columns run in one direction.
fn order(sort: Sort) -> Keyset<Hit> {
    let order = match sort {
        Sort::Relevance => Keyset::descending("relevance", |hit: &Hit| hit.relevance)
            .then_descending("sold", |hit| hit.product.sold)
            .then_descending("id", |hit| hit.product.id),
        Sort::Popular => Keyset::descending("sold", |hit: &Hit| hit.product.sold)
            .then_descending("id", |hit| hit.product.id),
        Sort::Cheap => Keyset::ascending("price", |hit: &Hit| hit.product.price)
            .then_ascending("id", |hit| hit.product.id),
        Sort::Dear => Keyset::descending("price", |hit: &Hit| hit.product.price)
            .then_descending("id", |hit| hit.product.id),
        Sort::Rated => Keyset::descending("rating", |hit: &Hit| hit.product.rating)
            .then_descending("reviews", |hit| hit.product.reviews)
            .then_descending("id", |hit| hit.product.id),
        Sort::New => Keyset::descending("added_at", |hit: &Hit| hit.product.added_at)
            .then_descending("id", |hit| hit.product.id),
    };
    order.largest(LARGEST_PAGE)
}

/// The products that match, each with its relevance: of an inner select, so that the order can name it.
fn hits(engine: Engine, search: &Search) -> SelectStatement {
    const COLUMNS: [&str; 17] = [
        "id",
        "name",
        "maker",
        "category",
        "description",
        "material",
        "colour",
        "size",
        "origin",
        "care",
        "shape",
        "price",
        "added_at",
        "sold",
        "in_stock",
        "reviews",
        "rating",
    ];
    let relevance = match search.order() {
        Sort::Relevance => relevance(search),
        _ => Expr::cust("0"),
    };
    let relevance = relevance.cast_as(Alias::new("bigint"));
    let mut inner = matches(engine, search);
    inner.columns(COLUMNS.map(Alias::new)).expr_as(relevance, Alias::new("relevance"));
    let mut hits = Sql::select();
    hits.columns(COLUMNS.map(Alias::new))
        .column(Alias::new("relevance"))
        .from_subquery(inner, Alias::new("hit"));
    hits
}

fn counted(engine: Engine, search: &Search) -> SelectStatement {
    let mut matches = matches(engine, search);
    matches.expr(Expr::cust("1")).limit(Found::MOST_COUNTED.unsigned_abs());
    let mut counted = Sql::select();
    counted.expr(Expr::cust("count(*)")).from_subquery(matches, Alias::new("hit"));
    counted
}

/// The filters that were asked for, and nothing selected yet.
fn matches(engine: Engine, search: &Search) -> SelectStatement {
    let Search { q, category, from, to, stars, in_stock, .. } = search;
    let column = |name: &'static str| Expr::col(Alias::new(name));
    let mut matches = Sql::select();
    matches.from(Alias::new("catalog_product"));
    let stems = stems(q.as_deref().unwrap_or_default());
    if !stems.is_empty() {
        matches.and_where(match engine {
            Engine::Sqlite => {
                let found = "id in (select rowid from catalog_search where catalog_search match ?)";
                Expr::cust_with_values(found, [fts5(&stems)])
            }
            Engine::Postgres => {
                Expr::cust_with_values("search @@ to_tsquery('simple', $1)", [tsquery(&stems)])
            }
        });
    }
    if let Some(category) = category {
        matches.and_where(column("category").eq(category.slug()));
    }
    if let Some(from) = from {
        matches.and_where(column("price").gte(dynamic::param(*from)));
    }
    if let Some(to) = to {
        matches.and_where(column("price").lte(dynamic::param(*to)));
    }
    if let Some(stars) = stars {
        matches.and_where(column("rating").gte(stars.clamp(&0, &5) * 100));
    }
    if *in_stock == Some(true) {
        matches.and_where(column("in_stock").eq(true));
    }
    matches
}

/// How well a product fits the words: three for each that is a word of its name, one where a word of the name only
/// begins with it, none where only its department or size does; and two more when they stand in the name together.
///
/// Not the engines' own ranks: `bm25` changes with every product that comes in, so that pages would overlap, and
/// `ts_rank` is another number.
fn relevance(search: &Search) -> Expr {
    // A space on either side makes words of the ends too.
    let name = || Expr::cust("' ' || replace(lower(name), ',', '') || ' '");
    let like = |pattern: String| name().binary(BinOper::Like, Expr::val(pattern));
    let stems = stems(search.q.as_deref().unwrap_or_default());
    let weights = stems.iter().map(|stem| {
        let whole = like(format!("% {stem} %")).or(like(format!("% {stem}s %")));
        let begins = like(format!("% {stem}%"));
        CaseStatement::new().case(whole, Expr::cust("3")).case(begins, Expr::cust("1"))
    });
    let together = (stems.len() > 1).then(|| like(format!("% {}%", stems.join(" "))));
    let together = together.map(|together| CaseStatement::new().case(together, Expr::cust("2")));
    weights
        .chain(together)
        .map(|weight| Expr::Case(Box::new(weight.finally(Expr::cust("0")))))
        .reduce(|sum, weight| sum.add(weight))
        .unwrap_or_else(|| Expr::cust("0"))
}

#[cfg(test)]
mod tests;
