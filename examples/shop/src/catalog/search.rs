//! Searching: what is asked, and the same words for both engines.
//!
//! # Invariants
//! - Both engines find the same products in the same order: they index the same normalised words, match them by prefix,
//!   and break every tie by the product's number.

use std::fmt;
use std::str::FromStr;

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
    /// The order.
    pub sort: Option<Sort>,
    /// Where the page before ended; see [`Found::next`].
    pub after: Option<String>,
    /// How many per page, 1 to 60; 24 if not said.
    pub limit: Option<i64>,
}

/// The order of what was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// What sells best first.
    #[default]
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
    pub const ALL: [Sort; 5] = [Sort::Popular, Sort::Rated, Sort::New, Sort::Cheap, Sort::Dear];

    /// The name in addresses.
    pub const fn name(self) -> &'static str {
        match self {
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
            Sort::Popular => "Most loved",
            Sort::Cheap => "Price, low to high",
            Sort::Dear => "Price, high to low",
            Sort::Rated => "Best rated",
            Sort::New => "Newest",
        }
    }
}

/// A shelf that needs no search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
    /// How many match on all pages.
    pub total: i64,
    /// Give it as `after` to read the next page; nothing on the last.
    pub next: Option<String>,
}

/// Where a page ended: the sort key and the number of its last product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The value sorted by, ascending.
    pub key: i64,
    /// The product's number.
    pub id: i64,
}

impl Cursor {
    /// Before everything.
    pub const START: Cursor = Cursor { key: i64::MIN, id: i64::MIN };
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.key, self.id)
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts = text.split_once('_').and_then(|(key, id)| Some((key.parse().ok()?, id.parse().ok()?)));
        let (key, id) = parts.ok_or_else(|| {
            Error::invalid("This address of a page is broken. Please start again from the first page.")
        })?;
        Ok(Cursor { key, id })
    }
}

/// Most words of a query; people use three.
const MOST_WORDS: usize = 8;

/// Small letters and digits, accents dropped, separated by single spaces.
pub(super) fn words(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    for character in text.chars().flat_map(char::to_lowercase).map(unaccented) {
        if character.is_ascii_alphanumeric() {
            words.push(character);
        } else if !words.ends_with(' ') && !words.is_empty() {
            words.push(' ');
        }
    }
    words.truncate(words.trim_end().len());
    words
}

/// The words' beginnings as a query of SQLite's FTS5; empty if there are none.
pub(super) fn fts5(text: &str) -> String {
    stems(text).map(|stem| format!("\"{stem}\"*")).collect::<Vec<_>>().join(" ")
}

/// The words' beginnings as a query of Postgres; empty if there are none.
pub(super) fn tsquery(text: &str) -> String {
    stems(text).map(|stem| format!("{stem}:*")).collect::<Vec<_>>().join(" & ")
}

/// "mugs" shall find a mug; the beginning of a word is as much stemming as a shop needs, and the same on both engines.
fn stems(text: &str) -> impl Iterator<Item = String> {
    let words = words(text);
    let stems: Vec<String> = words
        .split_whitespace()
        .filter(|word| !matches!(*word, "a" | "an" | "the" | "in" | "of" | "and" | "for" | "with"))
        .take(MOST_WORDS)
        .map(|word| match word.strip_suffix('s') {
            Some(singular) if singular.len() > 2 => singular.to_owned(),
            _ => word.to_owned(),
        })
        .collect();
    stems.into_iter()
}

/// The letters that shoppers of this shop type with accents.
fn unaccented(character: char) -> char {
    match character {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' => 'a',
        'ç' => 'c',
        'è' | 'é' | 'ê' | 'ë' => 'e',
        'ì' | 'í' | 'î' | 'ï' => 'i',
        'ñ' => 'n',
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' => 'o',
        'ù' | 'ú' | 'û' | 'ü' => 'u',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_small_plain_and_single_spaced() {
        assert_eq!(words("  Café-Crème Mug, 350 ml!"), "cafe creme mug 350 ml");
        assert_eq!(words("...\"'*"), "");
    }

    #[test]
    fn both_engines_get_the_same_beginnings() {
        assert_eq!(fts5("Blue mugs"), "\"blue\"* \"mug\"*");
        assert_eq!(tsquery("Blue mugs"), "blue:* & mug:*");
        assert_eq!(tsquery("the '; drop table"), "drop:* & table:*");
        assert_eq!(fts5("!!"), "");
    }

    #[test]
    fn a_cursor_survives_its_text_and_nonsense_is_refused() {
        let cursor = Cursor { key: -437, id: 12 };
        assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        for nonsense in ["", "1", "a_b", "1_", "9223372036854775808_1"] {
            assert_eq!(nonsense.parse::<Cursor>().unwrap_err().kind(), Kind::Invalid, "{nonsense}");
        }
    }
}
