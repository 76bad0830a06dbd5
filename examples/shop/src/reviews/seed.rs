//! Believable reviews: about ten for each product, made from phrases, the same on every machine.
//!
//! # Invariants
//! - The most sold products have most reviews; ratings differ per product but lean to the good, as they do in shops.
//! - A review is never older than its product and never newer than today.

use burgeon::prelude::*;
use jiff::{Timestamp, ToSpan};

use super::repository;
use crate::Config;
use crate::catalog::{CatalogApi, Listing, Shelf};
use crate::dice::{Dice, zipf};

/// Reviews the catalogue as it was made: the best sellers get most.
pub(super) async fn fill(
    ctx: Ctx,
    db: Db,
    catalog: CatalogApi,
    listing: Listing,
    config: Config,
) -> Result<()> {
    let today = Timestamp::now();
    let products = catalog.shelf(&ctx, Shelf::BestSellers, i64::MAX).await?;
    let shares = shares(products.len(), config.reviews());
    let written: Vec<_> = products
        .iter()
        .zip(shares)
        .enumerate()
        .map(|(rank, (product, share))| {
            let noun = product.name.split(" in ").next().unwrap_or_default();
            let noun = noun.rsplit(' ').find(|word| word.chars().all(char::is_alphabetic)).unwrap_or("piece");
            let noun = noun.to_lowercase();
            let subject = Subject { rank, noun: &noun, colour: &product.colour, added_at: product.added_at };
            (product.id, reviews(subject, share, today))
        })
        .collect();
    db.tx(&ctx, async |tx| {
        let rated = written.iter().filter(|(_, reviews)| !reviews.is_empty()).map(|(product, reviews)| {
            (*product, reviews.iter().map(|review| review.rating).sum(), reviews.len() as i64)
        });
        listing.first_reviews(tx, rated).await?;
        let all = written
            .into_iter()
            .flat_map(|(product, reviews)| reviews.into_iter().map(move |one| (product, one)));
        repository::insert_all(tx, all).await?;
        Ok(())
    })
    .await
}

/// One review to be inserted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewReview {
    pub(crate) rating: i64,
    pub(crate) title: &'static str,
    pub(crate) text: String,
    pub(crate) author: String,
    pub(crate) written_at: Timestamp,
}

/// What a reviewer knows about the product.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    /// Place in the order of sales, from 0.
    pub(crate) rank: usize,
    /// `kettle`, `throw`: the last word of the name, in small letters.
    pub(crate) noun: &'a str,
    pub(crate) colour: &'a str,
    pub(crate) added_at: Timestamp,
}

/// How many reviews each place in the order of sales has.
pub(crate) fn shares(products: usize, reviews: u64) -> Vec<u64> {
    zipf(products, reviews, 25.0)
}

/// The reviews of one product.
pub(crate) fn reviews(of: Subject<'_>, count: u64, today: Timestamp) -> Vec<NewReview> {
    let mut dice = Dice::of("reviews", of.rank as u64);
    // Each product has its own quality: from divisive to beloved.
    let quality = dice.below(30);
    let weights =
        [3 + (30 - quality) / 4, 3 + (30 - quality) / 4, 7 + (30 - quality) / 3, 26, 34 + 2 * quality];
    let age = today.duration_since(of.added_at).as_secs().max(1) as u64;
    (0..count)
        .map(|_| {
            let rating = dice.weighted(&weights) as i64 + 1;
            NewReview {
                rating,
                title: title(&mut dice, rating),
                text: text(&mut dice, rating, of),
                author: format!("{} {}.", dice.pick(FIRST_NAMES), dice.pick(INITIALS)),
                written_at: of.added_at + (dice.below(age) as i64).seconds(),
            }
        })
        .collect()
}

fn title(dice: &mut Dice, rating: i64) -> &'static str {
    dice.pick(match rating {
        1 | 2 => BAD_TITLES,
        3 => FAIR_TITLES,
        4 => GOOD_TITLES,
        _ => GREAT_TITLES,
    })
}

fn text(dice: &mut Dice, rating: i64, of: Subject<'_>) -> String {
    let (openings, middles, closings) = match rating {
        1 | 2 => (BAD_OPENINGS, BAD_MIDDLES, BAD_CLOSINGS),
        3 => (FAIR_OPENINGS, FAIR_MIDDLES, FAIR_CLOSINGS),
        _ => (GOOD_OPENINGS, GOOD_MIDDLES, GOOD_CLOSINGS),
    };
    let mut sentences = vec![dice.pick(openings)];
    if dice.chance(75) {
        sentences.push(dice.pick(middles));
    }
    if dice.chance(45) {
        sentences.push(dice.pick(closings));
    }
    let colour = of.colour.to_lowercase();
    sentences.join(" ").replace("{noun}", of.noun).replace("{colour}", &colour)
}

const FIRST_NAMES: &[&str] = &[
    "Ada", "Amir", "Anneke", "Beatrice", "Bilal", "Carys", "Chidi", "Clara", "Dafydd", "Delphine", "Edith",
    "Elif", "Esther", "Fergus", "Fiona", "Gareth", "Grace", "Hana", "Hector", "Ines", "Isaac", "Ivy",
    "Jamal", "Joan", "Jonas", "Kasia", "Keir", "Leila", "Linus", "Mabel", "Marcus", "Meera", "Nadia",
    "Niall", "Nora", "Olu", "Oscar", "Pavel", "Petra", "Priya", "Rhys", "Rosa", "Ruth", "Samir", "Saoirse",
    "Sofia", "Tariq", "Thea", "Tomas", "Una", "Viktor", "Wanda", "Wilf", "Yara", "Yusuf", "Zoe",
];
const INITIALS: &[&str] = &[
    "A", "B", "C", "D", "E", "F", "G", "H", "J", "K", "L", "M", "N", "O", "P", "R", "S", "T", "V", "W", "Y",
];

const GREAT_TITLES: &[&str] = &[
    "Better than the pictures",
    "Exactly what I hoped for",
    "A joy every day",
    "Bought a second one",
    "Worth every penny",
    "Beautifully made",
    "The whole family approves",
    "My favourite thing in the house",
    "Perfect present",
    "So well thought out",
    "Quietly brilliant",
    "Would buy again tomorrow",
];
const GOOD_TITLES: &[&str] = &[
    "Very happy",
    "Lovely, with one small wish",
    "Good quality",
    "Does what it should",
    "Handsome and sturdy",
    "Nearly perfect",
    "Pleasantly surprised",
    "Solid choice",
    "Well made",
];
const FAIR_TITLES: &[&str] = &[
    "Nice, but not for the price",
    "Fine, I suppose",
    "Looks better than it works",
    "Smaller than I thought",
    "Decent",
    "In two minds",
    "Good idea, so-so finish",
];
const BAD_TITLES: &[&str] = &[
    "Disappointed",
    "Not what I expected",
    "Sent it back",
    "Broke within a month",
    "The colour is off",
    "Expected more",
    "Sadly no",
];
const GOOD_OPENINGS: &[&str] = &[
    "I looked for a {noun} like this for years.",
    "This is our third {noun} from the same line and it does not disappoint.",
    "The {noun} arrived in two days, packed without a scrap of plastic.",
    "Bought it for my mother, kept it for myself.",
    "You can feel the care that went into this {noun}.",
    "The {colour} is deeper and warmer than on the screen.",
    "I was not sure about the {colour}, but in daylight it is wonderful.",
    "We use the {noun} every single day.",
    "A wedding present that made the couple ring us up to say thank you.",
    "Simple, sturdy, and good to look at.",
    "I do not usually write reviews, but this {noun} deserves one.",
    "My partner rolled his eyes at the price and now uses it more than I do.",
];
const GOOD_MIDDLES: &[&str] = &[
    "It feels heavier than it looks, in a good way.",
    "After six months there is not a mark on it.",
    "Friends ask where it is from every time they visit.",
    "The proportions are just right for our small flat.",
    "It has survived two children and a dog so far.",
    "The finish is even and the edges are smooth.",
    "It goes with everything, even the things that go with nothing.",
    "I wrote to ask about care and had a kind answer within the hour.",
    "It is one of those things that make a weekday feel like a Sunday.",
    "The size given is accurate, so measure and trust it.",
    "It replaced three worse ones that I have now given away.",
];
const GOOD_CLOSINGS: &[&str] = &[
    "I have already ordered another.",
    "Recommended without hesitation.",
    "I only wish it came in more colours.",
    "Five years from now I expect to say the same.",
    "Thank you to whoever made it.",
    "It made a rainy week better.",
    "Do not wait for a sale, it will be gone.",
];
const FAIR_OPENINGS: &[&str] = &[
    "The {noun} is fine, no more and no less.",
    "I like the {colour}, the rest is ordinary.",
    "Good looking {noun}, but I expected it to be larger.",
    "It does the job.",
    "Nice to look at, a bit fiddly to use.",
    "The idea is better than the {noun}.",
];
const FAIR_MIDDLES: &[&str] = &[
    "There was a small flaw in the finish that I can live with.",
    "For this price I had hoped for a little more weight.",
    "Delivery took nine days, which is not the fault of the {noun}.",
    "It marks easily, so be gentle with it.",
    "It is slightly lighter in colour than in the picture.",
    "The old one, half the price, worked just as well.",
];
const FAIR_CLOSINGS: &[&str] = &[
    "I will keep it.",
    "Perhaps it will grow on me.",
    "Would buy it again at a discount.",
    "Not bad, not great.",
];
const BAD_OPENINGS: &[&str] = &[
    "I really wanted to like this {noun}.",
    "The {noun} arrived with a chip on one side.",
    "The {colour} has little to do with the picture.",
    "It lasted five weeks.",
    "Looks lovely, does not work for us.",
    "Much smaller than I had understood.",
];
const BAD_MIDDLES: &[&str] = &[
    "The replacement had the same fault.",
    "At this price that should not happen.",
    "It wobbles, and no folded napkin helps.",
    "Customer service was kind, but kindness does not hold a {noun} together.",
    "It stained on the first evening.",
    "The seam came apart after one wash.",
];
const BAD_CLOSINGS: &[&str] = &[
    "I sent it back.",
    "A pity.",
    "The refund was quick, at least.",
    "I went back to my old one.",
    "Look elsewhere.",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(rank: usize) -> Subject<'static> {
        Subject { rank, noun: "kettle", colour: "Moss", added_at: "2025-01-01T00:00:00Z".parse().unwrap() }
    }

    fn today() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn reviews_are_the_same_every_time_and_differ_from_each_other() {
        let made = reviews(subject(3), 200, today());
        assert_eq!(made, reviews(subject(3), 200, today()));
        let texts: std::collections::HashSet<_> = made.iter().map(|review| &review.text).collect();
        assert!(texts.len() > 150, "only {} different texts", texts.len());
        assert!(made.iter().all(|review| !review.text.contains('{')));
    }

    #[test]
    fn reviews_lie_between_the_products_birth_and_today() {
        for review in reviews(subject(9), 500, today()) {
            assert!((1..=5).contains(&review.rating));
            assert!(review.written_at >= subject(9).added_at && review.written_at < today());
        }
    }

    #[test]
    fn every_review_is_handed_out() {
        assert_eq!(shares(2_000, 20_000).iter().sum::<u64>(), 20_000);
        assert_eq!(shares(20, 200).iter().sum::<u64>(), 200);
    }
}
