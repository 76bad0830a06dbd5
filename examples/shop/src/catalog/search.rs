//! Searching: what is asked, and what is answered. How it is found is in [`matching`](super::matching).

use burgeon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::category::Category;
use super::product::Product;

/// What is looked for. Everything is optional; an empty search finds everything.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Search {
    /// Words; each must begin some word of the product.
    pub q: Option<String>,
    /// Only this department.
    pub category: Option<Category>,
    /// At least this price.
    #[schemars(with = "Option<String>")]
    pub from: Option<Money>,
    /// At most this price.
    #[schemars(with = "Option<String>")]
    pub to: Option<Money>,
    /// At least so many stars on average, 1 to 5.
    pub stars: Option<i64>,
    /// Only what is in stock.
    pub in_stock: Option<bool>,
    /// The order; what fits the words best, or without words what sells best, if not said.
    pub sort: Option<Sort>,
    /// Where the page before ended: its `next`.
    pub after: Option<String>,
    /// How many per page, 1 to 60; 24 if not said.
    pub limit: Option<i64>,
}

/// The order of what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// What fits the words best first; what sells best, where there are no words.
    Relevance,
    /// What sells best first.
    Popular,
    /// Cheap first.
    Cheap,
    /// Dear first.
    Dear,
    /// Best rated first.
    Rated,
    /// Newest first.
    New,
}

impl Sort {
    /// Every order.
    pub const ALL: [Sort; 6] =
        [Sort::Relevance, Sort::Popular, Sort::Rated, Sort::New, Sort::Cheap, Sort::Dear];

    /// The name in addresses.
    pub const fn name(self) -> &'static str {
        match self {
            Sort::Relevance => "relevance",
            Sort::Popular => "popular",
            Sort::Cheap => "cheap",
            Sort::Dear => "dear",
            Sort::Rated => "rated",
            Sort::New => "new",
        }
    }

    /// The name people read.
    pub const fn title(self) -> &'static str {
        match self {
            Sort::Relevance => "Best match",
            Sort::Popular => "Most loved",
            Sort::Cheap => "Price, low to high",
            Sort::Dear => "Price, high to low",
            Sort::Rated => "Best rated",
            Sort::New => "Newest",
        }
    }
}

impl Search {
    /// The words, if any were typed.
    pub fn words(&self) -> Option<&str> {
        self.q.as_deref().map(str::trim).filter(|words| !words.is_empty())
    }

    /// The order that was asked for, or that one would expect.
    pub fn order(&self) -> Sort {
        match (self.sort, self.words()) {
            (None | Some(Sort::Relevance), None) => Sort::Popular,
            (None, Some(_)) => Sort::Relevance,
            (Some(sort), _) => sort,
        }
    }
}

/// A shelf that needs no search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Shelf {
    /// What sells best.
    BestSellers,
    /// What came last.
    New,
}

/// A page of what was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Found {
    /// The products of this page.
    pub products: Vec<Product>,
    /// How many match on all pages; counting ends at 5,000.
    pub total: i64,
    /// Give it as `after` to read the next page; nothing on the last.
    pub next: Option<String>,
}

impl Found {
    /// Where counting ends. Beyond this nobody wants to know, and counting on would read the whole table for every search.
    pub const MOST_COUNTED: i64 = 5_000;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_ask_for_what_fits_them_best_and_nothing_said_for_what_sells_best() {
        let order = |q: &str, sort| Search { q: Some(q.into()), sort, ..Search::default() }.order();
        assert_eq!(order("mug", None), Sort::Relevance);
        assert_eq!(order("mug", Some(Sort::Cheap)), Sort::Cheap);
        assert_eq!(order(" ", None), Sort::Popular);
        assert_eq!(order("", Some(Sort::Relevance)), Sort::Popular);
    }
}
