//! The section `[shop]` of the configuration.

use std::time::Duration;

use burgeon::units;
use serde::{Deserialize, Serialize};

/// Reviews per product, on average.
const REVIEWS: u64 = 10;

/// How large the shop is on its first start, and how fresh what it shows.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Products to begin with, 20 to 20,000; 2,000 if not said. Each brings about ten reviews. A shop that has been opened
    /// keeps what it has.
    pub catalog: usize,
    /// How old the number of looks may be that a product's page shows while others look; 10 s if not said. Asked more often,
    /// it would cost most of what the other caches save.
    #[serde(with = "units::duration")]
    pub looks: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { catalog: 2_000, looks: Duration::from_secs(10) }
    }
}

impl Config {
    /// How many reviews the first start makes.
    pub(crate) fn reviews(&self) -> u64 {
        self.catalog as u64 * REVIEWS
    }

    /// Fewer than 20 leave departments empty, and more than 20,000 use up the names.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self.catalog {
            20..=20_000 if self.looks.is_zero() => Err("`looks` is 0s, and must be longer".to_owned()),
            20..=20_000 => Ok(()),
            other => Err(format!("`catalog` is {other}, and must be 20 to 20000")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shop_is_neither_bare_nor_boundless() {
        let check = |catalog| Config { catalog, ..Config::default() }.check();
        assert!([20, 2_000, 20_000].map(check).iter().all(Result::is_ok));
        assert!([0, 19, 20_001].map(check).iter().all(Result::is_err));
        assert!(Config { looks: Duration::ZERO, ..Config::default() }.check().is_err());
    }
}
