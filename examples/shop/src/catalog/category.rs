//! The departments of the shop: a closed set, because each has its own shelf in the design.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A department.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// Pots, pans, kettles, knives.
    Kitchen,
    /// Mugs, plates, bowls, glasses.
    Table,
    /// Lamps and lanterns.
    Lighting,
    /// Throws, cushions, quilts.
    Textiles,
    /// Chairs, stools, tables, shelves.
    Furniture,
    /// Baskets, jars, hooks.
    Storage,
    /// Planters, tools, feeders.
    Garden,
    /// Towels, mirrors, soap.
    Bath,
    /// Notebooks, pens, trays.
    Desk,
    /// Toys that last.
    Children,
    /// Tea, coffee, honey, oil.
    Pantry,
    /// Totes, rucksacks, pouches.
    Bags,
}

impl Category {
    /// Every department, in the order of the shop's navigation.
    pub const ALL: [Category; 12] = [
        Category::Kitchen,
        Category::Table,
        Category::Lighting,
        Category::Textiles,
        Category::Furniture,
        Category::Storage,
        Category::Garden,
        Category::Bath,
        Category::Desk,
        Category::Children,
        Category::Pantry,
        Category::Bags,
    ];

    /// The name in addresses, in the database and in JSON.
    pub const fn slug(self) -> &'static str {
        match self {
            Category::Kitchen => "kitchen",
            Category::Table => "table",
            Category::Lighting => "lighting",
            Category::Textiles => "textiles",
            Category::Furniture => "furniture",
            Category::Storage => "storage",
            Category::Garden => "garden",
            Category::Bath => "bath",
            Category::Desk => "desk",
            Category::Children => "children",
            Category::Pantry => "pantry",
            Category::Bags => "bags",
        }
    }

    /// The name people read.
    pub const fn title(self) -> &'static str {
        match self {
            Category::Kitchen => "Kitchen",
            Category::Table => "Table",
            Category::Lighting => "Lighting",
            Category::Textiles => "Textiles",
            Category::Furniture => "Furniture",
            Category::Storage => "Storage",
            Category::Garden => "Garden",
            Category::Bath => "Bath",
            Category::Desk => "Desk",
            Category::Children => "Children",
            Category::Pantry => "Pantry",
            Category::Bags => "Bags",
        }
    }

    /// One sentence above the department's shelf.
    pub const fn tagline(self) -> &'static str {
        match self {
            Category::Kitchen => "Pots, pans and kettles that outlive the stove.",
            Category::Table => "For breakfasts alone and dinners that run late.",
            Category::Lighting => "Warm light for the corner you sit in.",
            Category::Textiles => "Wool, linen and cotton, woven to be washed and kept.",
            Category::Furniture => "Solid wood, honest joints, no instructions lost.",
            Category::Storage => "A place for everything, and a handsome one.",
            Category::Garden => "Tools and pots for balconies, borders and beds.",
            Category::Bath => "Towels that dry and mirrors that flatter.",
            Category::Desk => "Paper, pens and order for clear thinking.",
            Category::Children => "Toys without batteries, made to be handed on.",
            Category::Pantry => "Small makers, short lists of ingredients.",
            Category::Bags => "Carry the day, the week, the weekend.",
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.slug())
    }
}

burgeon::db::text_enum!(Category);

/// The text names no department.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownCategory;

impl fmt::Display for UnknownCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no such department")
    }
}

impl std::error::Error for UnknownCategory {}

impl FromStr for Category {
    type Err = UnknownCategory;

    fn from_str(text: &str) -> Result<Self, UnknownCategory> {
        Self::ALL.into_iter().find(|category| category.slug() == text).ok_or(UnknownCategory)
    }
}
