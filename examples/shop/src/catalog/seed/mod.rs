//! A believable catalogue, made rather than downloaded: the same products on every machine, about 2,000 of them.
//!
//! # Invariants
//! - The same `today` gives the same products, in order of popularity (the first sells best).
//! - No two products have the same name.

mod goods;

use std::collections::HashSet;

use burgeon::prelude::*;
use jiff::{Timestamp, ToSpan};

use super::category::Category;
use super::picture::Shape;
use super::repository;
use crate::Config;
use crate::dice::{Dice, zipf};
use goods::{KINDS, LINES, ORIGINS};

/// How many units each has sold, on average, before anyone opened the door.
const SOLD: u64 = 90;

/// Fills an empty catalogue.
pub(super) async fn fill(ctx: Ctx, db: Db, config: Config) -> Result<()> {
    let today = Timestamp::now();
    db.tx(&ctx, async |tx| repository::insert(tx, products(config.catalog, today)).await).await?;
    Ok(())
}

/// One product to be inserted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewProduct {
    pub(crate) name: String,
    pub(crate) maker: &'static str,
    pub(crate) category: Category,
    pub(crate) description: String,
    pub(crate) material: &'static str,
    pub(crate) colour: &'static str,
    pub(crate) size: Option<&'static str>,
    pub(crate) origin: &'static str,
    pub(crate) care: &'static str,
    pub(crate) shape: Shape,
    pub(crate) price: Money,
    pub(crate) sold: i64,
    pub(crate) added_at: Timestamp,
}

/// A catalogue of `count` products as of `today`.
pub(crate) fn products(count: usize, today: Timestamp) -> Vec<NewProduct> {
    let mut names = HashSet::new();
    let mut dice = Dice::of("catalogue", 0);
    let popularity = zipf(count, count as u64 * SOLD, 9.0);
    let mut products = Vec::with_capacity(count);
    while products.len() < count {
        let product = draw(&mut dice, today, popularity[products.len()] as i64);
        // A name drawn twice is drawn again: there are some 60,000 of them.
        if names.insert(product.name.clone()) {
            products.push(product);
        }
    }
    products
}

fn draw(dice: &mut Dice, today: Timestamp, sold: i64) -> NewProduct {
    let kind = dice.pick(KINDS);
    let (maker, mood) = dice.pick(LINES);
    let material = dice.pick(kind.materials);
    let colour = dice.pick(kind.colours);
    let place = if kind.sizes.is_empty() { 0 } else { dice.below(kind.sizes.len() as u64) as usize };
    let size = kind.sizes.get(place).copied();
    let name = match (kind.category, size) {
        (Category::Pantry, Some(size)) => format!("{maker} {} {}, {size}", material.name, kind.noun),
        (_, Some(size)) if dice.chance(45) => {
            format!("{maker} {} {} in {colour}, {size}", material.name, kind.noun)
        }
        _ => format!("{maker} {} {} in {colour}", material.name, kind.noun),
    };
    let description = if dice.chance(50) {
        format!("{mood} {} {}", kind.detail, material.praise)
    } else {
        format!("{} {} {mood}", kind.detail, material.praise)
    };
    NewProduct {
        price: price(dice, kind.price, place, kind.sizes.len()),
        added_at: today - dice.between(1, 900).days_as_hours() - dice.between(0, 86_399).seconds(),
        origin: dice.pick(ORIGINS),
        care: material.care,
        material: material.name,
        category: kind.category,
        shape: kind.shape,
        name,
        maker,
        description,
        colour,
        size,
        sold,
    }
}

/// Larger sizes cost more; prices end as a shopkeeper would end them.
fn price(dice: &mut Dice, (low, high): (i64, i64), place: usize, places: usize) -> Money {
    let span = high - low;
    let steps = places.max(1) as i64;
    let floor = low + span * place as i64 / steps;
    let pence = floor + dice.between(0, span / steps);
    let pounds = pence / 100;
    let ending = if pounds >= 60 { 0 } else { dice.pick(&[0, 50, 95, 95]) };
    Money::from_raw((pounds * 100 + ending) * (Money::SCALE / 100))
}

/// A timestamp moves by absolute time only, so days are 24 hours here.
trait AbsoluteDays {
    fn days_as_hours(self) -> jiff::Span;
}

impl AbsoluteDays for i64 {
    fn days_as_hours(self) -> jiff::Span {
        (self * 24).hours()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRODUCTS: usize = 2_000;

    fn noon() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn the_catalogue_is_the_same_every_time() {
        assert_eq!(products(PRODUCTS, noon()), products(PRODUCTS, noon()));
    }

    #[test]
    fn every_department_has_a_full_shelf_and_every_name_is_its_own() {
        let products = products(PRODUCTS, noon());
        assert_eq!(products.len(), PRODUCTS);
        for category in Category::ALL {
            let shelf = products.iter().filter(|product| product.category == category).count();
            assert!(shelf > 80, "{category} has only {shelf} products");
        }
        let names: HashSet<_> = products.iter().map(|product| &product.name).collect();
        assert_eq!(names.len(), PRODUCTS);
        for product in &products {
            assert!(product.price > Money::ZERO && product.added_at < noon(), "{product:?}");
        }
    }

    #[test]
    fn there_are_names_for_the_largest_catalogue() {
        assert_eq!(products(20_000, noon()).len(), 20_000);
    }

    #[test]
    fn few_products_sell_most() {
        let products = products(PRODUCTS, noon());
        let top: i64 = products.iter().take(PRODUCTS / 10).map(|product| product.sold).sum();
        let all: i64 = products.iter().map(|product| product.sold).sum();
        assert!(top * 100 / all > 45, "the best tenth sells {} of {all}", top);
    }
}
