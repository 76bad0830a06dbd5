//! The section `[shop]` of the configuration.

use serde::{Deserialize, Serialize};

/// Reviews per product, on average.
const REVIEWS: u64 = 10;

/// How large the shop is on its first start; a shop that has been opened keeps what it has.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Products to begin with, 20 to 20,000; 2,000 if not said. Each brings about ten reviews.
    pub catalog: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { catalog: 2_000 }
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
        let check = |catalog| Config { catalog }.check();
        assert!([20, 2_000, 20_000].map(check).iter().all(Result::is_ok));
        assert!([0, 19, 20_001].map(check).iter().all(Result::is_err));
    }
}
