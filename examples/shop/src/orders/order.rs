//! An order, and what placing one takes.

use burgeon::prelude::*;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::accounts::is_address;
use crate::cart::MOST_OF_ONE;
use crate::catalog::ProductId;

burgeon::id! {
    /// The key of a checkout and of the order that comes of it.
    pub struct OrderToken(Uuid);
}

impl OrderToken {
    /// A key that nobody can guess.
    ///
    /// # Errors
    /// [`Kind::Internal`] when the operating system gives no random numbers.
    pub fn random() -> Result<Self> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| Error::internal(error.to_string()))?;
        Ok(Self(uuid::Builder::from_random_bytes(bytes).into_uuid()))
    }
}

/// An order as it was placed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Order {
    /// Its number.
    pub number: i64,
    /// Its key and address.
    pub token: OrderToken,
    /// Who placed it, if they were signed in.
    pub customer: Option<i64>,
    /// Where it goes.
    #[serde(flatten)]
    pub place: Place,
    /// The goods' price.
    #[schemars(with = "String")]
    pub goods: Money,
    /// The delivery's price.
    #[schemars(with = "String")]
    pub delivery: Money,
    /// Both.
    #[schemars(with = "String")]
    pub total: Money,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// What was bought.
    pub lines: Vec<OrderLine>,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize, Deserialize, JsonSchema)]
pub struct OrderLine {
    /// The product.
    pub product: ProductId,
    /// Its name at the time.
    pub name: String,
    /// The price of one at the time.
    #[schemars(with = "String")]
    pub price: Money,
    /// How many.
    pub quantity: i64,
}

/// Whom an order goes to, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// Where the invoice goes.
    pub email: String,
    /// Who receives the parcel.
    pub name: String,
    /// Street and number.
    pub street: String,
    /// Town.
    pub town: String,
    /// Postcode.
    pub postcode: String,
}

impl Input for Place {
    fn check(&self, check: &mut Checks) {
        check.that("email", is_address(&self.email), "must be an email address, such as ada@example.com");
        check.length("name", self.name.trim(), 1..=80);
        check.length("street", self.street.trim(), 1..=120);
        check.length("town", self.town.trim(), 1..=80);
        check.length("postcode", self.postcode.trim(), 2..=12);
    }
}

/// An order to be placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Placing {
    /// The key of this checkout; the same key places the same order. Make a random one for each order.
    pub token: OrderToken,
    /// Where it goes.
    #[serde(flatten)]
    pub place: Place,
    /// Products and how many of each; at most 30 different ones.
    pub lines: Vec<PlacingLine>,
}

/// One line of an order to be placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlacingLine {
    /// The product.
    pub product: ProductId,
    /// How many.
    pub quantity: i64,
}

impl Input for Placing {
    fn check(&self, check: &mut Checks) {
        self.place.check(check);
        check.that("lines", !self.lines.is_empty(), "must not be empty");
        check.that("lines", self.lines.len() <= 30, "must not be more than 30");
        for (index, line) in self.lines.iter().enumerate() {
            let fits = (1..=MOST_OF_ONE).contains(&line.quantity);
            check.that(format!("lines[{index}].quantity"), fits, format!("must be from 1 to {MOST_OF_ONE}"));
            let once = self.lines[..index].iter().all(|other| other.product != line.product);
            check.that(format!("lines[{index}].product"), once, "must be named once");
        }
    }
}
