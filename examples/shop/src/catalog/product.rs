//! A product as the whole shop knows it.

use burgeon::prelude::*;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::category::Category;

burgeon::id! {
    /// Names a product.
    pub struct ProductId(i64);
}

impl ProductId {
    /// What is cached of the product is under this tag, wherever it is cached.
    pub fn tag(self) -> String {
        format!("product:{self}")
    }
}

/// A product.
#[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize, JsonSchema)]
pub struct Product {
    /// Its number.
    pub id: ProductId,
    /// What it is called.
    pub name: String,
    /// The line it belongs to.
    pub maker: String,
    /// The department it stands in.
    pub category: Category,
    /// What it is good for.
    pub description: String,
    /// What it is made of.
    pub material: String,
    /// Its colour.
    pub colour: String,
    /// Its size, where it comes in several.
    pub size: Option<String>,
    /// Where it is made.
    pub origin: String,
    /// How to keep it.
    pub care: String,
    /// What it looks like; see [`picture`](Self::picture).
    pub shape: String,
    /// Price of one, in pounds.
    #[schemars(with = "String")]
    pub price: Money,
    /// When it came into the shop.
    pub added_at: Timestamp,
    /// How many have been sold.
    pub sold: i64,
    /// Whether any is left.
    pub in_stock: bool,
    /// How many reviews it has.
    pub reviews: i64,
    /// Mean stars in hundredths: 437 is 4.37.
    pub rating: i64,
}

impl Product {
    /// Where its page is.
    pub fn href(&self) -> String {
        format!("/products/{}", self.id)
    }

    /// About how many bytes it takes in memory.
    pub(crate) fn weight(&self) -> u64 {
        let texts = [
            &self.name,
            &self.maker,
            &self.description,
            &self.material,
            &self.colour,
            &self.origin,
            &self.care,
            &self.shape,
        ];
        let texts: usize = texts.iter().map(|text| text.len()).sum();
        (size_of::<Self>() + texts + self.size.as_ref().map_or(0, String::len)) as u64
    }

    /// Where its picture is. The address holds all the picture is made of, so it can be kept for ever.
    pub fn picture(&self) -> String {
        format!("/pictures/{}-{}-{}.svg", self.shape, self.colour, self.id.0 % 997).to_lowercase()
    }
}
