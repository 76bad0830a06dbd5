//! A review, and the rules for writing one.

use burgeon::prelude::*;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A review as it is read.
#[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize, JsonSchema)]
pub struct Review {
    /// Who wrote it: a first name and an initial.
    pub author: String,
    /// One to five stars.
    pub rating: i64,
    /// The review in a few words.
    pub title: String,
    /// The review.
    pub text: String,
    /// When it was written.
    pub written_at: Timestamp,
}

/// How many reviews gave one, two, ... five stars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Histogram(pub [i64; 5]);

impl Histogram {
    /// How many reviews there are.
    pub fn total(&self) -> i64 {
        self.0.iter().sum()
    }

    /// So many more gave so many stars.
    pub(super) fn add(&mut self, stars: i64, reviews: i64) {
        let place = usize::try_from(stars - 1).ok().and_then(|place| self.0.get_mut(place));
        if let Some(count) = place {
            *count += reviews;
        }
    }

    /// How many of a hundred reviews gave so many stars.
    pub fn percent(&self, stars: usize) -> i64 {
        self.0[stars - 1] * 100 / self.total().max(1)
    }
}

/// What is said of a product.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// The latest reviews, the newest first.
    pub latest: Vec<Review>,
    /// All of them by their stars.
    pub histogram: Histogram,
}

impl Summary {
    /// About how many bytes it takes in memory.
    pub(super) fn weight(&self) -> u64 {
        let of = |review: &Review| {
            size_of::<Review>() + review.author.len() + review.title.len() + review.text.len()
        };
        self.latest.iter().map(of).sum::<usize>() as u64
    }
}

/// A review as it is written.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Draft {
    /// One to five stars.
    pub rating: i64,
    /// The review in a few words.
    pub title: String,
    /// The review.
    pub text: String,
}

impl Input for Draft {
    fn check(&self, check: &mut Checks) {
        check.that("rating", (1..=5).contains(&self.rating), "must be from one to five stars");
        check.length("title", self.title.trim(), 2..=80);
        check.length("text", self.text.trim(), 10..=2_000);
    }
}
