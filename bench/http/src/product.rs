//! The work: the same for every server.

/// What is answered.
#[derive(Debug, serde::Serialize, schemars::JsonSchema)]
pub struct Product {
    pub id: u64,
    pub name: &'static str,
    pub price: &'static str,
    pub stock: u32,
    pub tags: [&'static str; 3],
}

impl Product {
    pub fn of(id: u64) -> Self {
        Self {
            id,
            name: "Cream hanging heart T-light holder",
            price: "2.55",
            stock: 17,
            tags: ["white", "candle", "heart"],
        }
    }
}
