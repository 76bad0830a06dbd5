//! What the shop sells: the kinds of things, what they are made of, and the colours they come in.

use super::super::category::Category::{self, *};
use super::super::picture::Shape::{self, *};

/// A kind of thing: a noun that comes in many materials and colours.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) category: Category,
    pub(crate) noun: &'static str,
    pub(crate) shape: Shape,
    pub(crate) materials: &'static [Material],
    pub(crate) colours: &'static [&'static str],
    pub(crate) sizes: &'static [&'static str],
    /// Lowest and highest price in pence.
    pub(crate) price: (i64, i64),
    /// What it is good for, as a sentence.
    pub(crate) detail: &'static str,
}

/// What a thing is made of, and how it is cared for.
#[derive(Clone, Copy)]
pub(crate) struct Material {
    pub(crate) name: &'static str,
    pub(crate) praise: &'static str,
    pub(crate) care: &'static str,
}

const fn material(name: &'static str, praise: &'static str, care: &'static str) -> Material {
    Material { name, praise, care }
}

const METAL: &[Material] = &[
    material(
        "Enamel",
        "Two coats of enamel on steel shrug off acid and heat.",
        "Dishwasher safe; avoid metal scourers.",
    ),
    material(
        "Copper",
        "Copper answers the flame at once and darkens with the years.",
        "Wash by hand, polish when you feel like it.",
    ),
    material(
        "Cast Iron",
        "Cast iron holds its heat long after the stove is off.",
        "Wipe clean and oil lightly; never soak.",
    ),
    material(
        "Steel",
        "Brushed steel, welded rather than riveted, with no seam to scrub.",
        "Dishwasher safe.",
    ),
];
const CLAY: &[Material] = &[
    material(
        "Stoneware",
        "Fired at 1,260 degrees, so it neither chips nor stains easily.",
        "Dishwasher and microwave safe.",
    ),
    material(
        "Porcelain",
        "Thin porcelain that rings when you tap it.",
        "Dishwasher safe; warm it before boiling water.",
    ),
    material("Earthenware", "Each piece is thrown by hand, so no two rims are quite alike.", "Wash by hand."),
    material(
        "Terracotta",
        "Unglazed outside, glazed within, and better with every summer.",
        "Rinse and let it dry in the air.",
    ),
];
const GLASS: &[Material] = &[
    material("Glass", "Mouth-blown glass with a fire-polished rim.", "Dishwasher safe on the upper rack."),
    material(
        "Recycled Glass",
        "Made from old bottles; the small bubbles are meant to be there.",
        "Dishwasher safe.",
    ),
];
const WOOD: &[Material] = &[
    material(
        "Oak",
        "European oak, oiled twice and sanded in between.",
        "Wipe with a damp cloth; oil once a year.",
    ),
    material("Ash", "Pale ash with a straight, calm grain.", "Wipe with a damp cloth; oil once a year."),
    material(
        "Walnut",
        "Walnut from storm-felled trees, finished with hard wax.",
        "Dust dry, wax when it looks thirsty.",
    ),
    material(
        "Beech",
        "Steam-bent beech, light to lift and hard to break.",
        "Wipe clean, keep out of standing water.",
    ),
];
const YARN: &[Material] = &[
    material("Wool", "Lambswool, spun and woven in one mill.", "Air it often, wash it cold and seldom."),
    material(
        "Linen",
        "Stonewashed linen that is soft from the first day.",
        "Machine wash at 40 degrees; ironing is optional.",
    ),
    material("Cotton", "Long-staple organic cotton with a close weave.", "Machine wash at 60 degrees."),
    material(
        "Mohair",
        "Brushed mohair, warm out of all proportion to its weight.",
        "Dry clean or wash by hand, dry flat.",
    ),
];
const WICKER: &[Material] = &[
    material("Willow", "Woven from Somerset willow by four pairs of hands.", "Brush out, keep dry."),
    material("Rattan", "Rattan over a light frame, tied rather than stapled.", "Wipe with a damp cloth."),
    material("Seagrass", "Seagrass that smells of hay for the first week.", "Brush out, keep dry."),
];
const PAPER: &[Material] = &[
    material(
        "Cloth-Bound",
        "Thread-sewn, so it lies flat on any page.",
        "Keep it away from tea. You will not.",
    ),
    material("Kraft", "Recycled kraft board, 100 gram paper that takes ink well.", "Recycle when full."),
    material("Leather", "Vegetable-tanned leather that remembers being used.", "A little wax twice a year."),
];
const CLOTH: &[Material] = &[
    material(
        "Canvas",
        "Heavy cotton canvas, waxed against the rain.",
        "Brush off; re-wax when it lets water through.",
    ),
    material("Leather", "Vegetable-tanned leather that remembers being used.", "A little wax twice a year."),
    material("Felt", "Dense wool felt, cut clean and left unhemmed.", "Spot clean with cold water."),
];
const GROWN: &[Material] = &[
    material(
        "Single-Estate",
        "From one farm, one season, and people we have met.",
        "Keep cool, dry and closed.",
    ),
    material(
        "Small-Batch",
        "Made forty at a time, so it may sell out before the next.",
        "Keep cool, dry and closed.",
    ),
    material(
        "Organic",
        "Certified organic, and nothing in it you could not pronounce.",
        "Keep cool, dry and closed.",
    ),
];

const PAINT: &[&str] =
    &["Chalk", "Moss", "Ink", "Clay", "Mustard", "Sage", "Plum", "Sky", "Charcoal", "Brick"];
const GLAZE: &[&str] = &["Chalk", "Oat", "Sea", "Moss", "Ink", "Clay", "Blush", "Sky", "Sand", "Charcoal"];
const DYE: &[&str] =
    &["Oat", "Moss", "Ink", "Rust", "Mustard", "Sage", "Plum", "Blush", "Sea", "Charcoal", "Chalk"];
const STAIN: &[&str] = &["Honey", "Natural", "Smoke", "Chestnut", "Chalk", "Ink"];
const TINT: &[&str] = &["Sea", "Sky", "Moss", "Blush", "Honey", "Smoke"];
const LABEL: &[&str] = &["Honey", "Rust", "Moss", "Plum", "Mustard", "Sage", "Ink"];

const NO_SIZE: &[&str] = &[];
const VOLUMES: &[&str] = &["0.8 l", "1.2 l", "1.8 l", "2.5 l"];
const PANS: &[&str] = &["20 cm", "24 cm", "28 cm"];
const CUPS: &[&str] = &["200 ml", "280 ml", "350 ml"];
const PLATES: &[&str] = &["18 cm", "22 cm", "27 cm"];
const SPANS: &[&str] = &["40 cm", "60 cm", "90 cm"];
const CLOTHS: &[&str] = &["130 x 170 cm", "150 x 200 cm", "200 x 220 cm"];
const SQUARES: &[&str] = &["40 x 40 cm", "50 x 50 cm", "60 x 60 cm"];
const SIZES: &[&str] = &["small", "medium", "large"];
const PAGES: &[&str] = &["A6", "A5", "A4"];
const WEIGHTS: &[&str] = &["125 g", "250 g", "500 g"];
const BOTTLES: &[&str] = &["250 ml", "500 ml"];
const LOADS: &[&str] = &["8 l", "14 l", "22 l"];

macro_rules! kinds {
    ($($category:ident, $noun:literal, $shape:ident, $materials:ident, $colours:ident, $sizes:ident, $from:literal..$to:literal, $detail:literal;)*) => {
        /// Everything the shop sells.
        pub(crate) const KINDS: &[Kind] = &[$(Kind {
            category: $category,
            noun: $noun,
            shape: $shape,
            materials: $materials,
            colours: $colours,
            sizes: $sizes,
            price: ($from, $to),
            detail: $detail,
        }),*];
    };
}

kinds! {
    Kitchen, "Kettle", Kettle, METAL, PAINT, VOLUMES, 3900..9500, "It pours without a drip and sings before it boils.";
    Kitchen, "Saucepan", Saucepan, METAL, PAINT, PANS, 2900..8900, "The lid doubles as a strainer, the handle stays cool.";
    Kitchen, "Casserole", Casserole, METAL, PAINT, PANS, 5900..18900, "From stove to oven to table, and back for seconds.";
    Kitchen, "Mixing Bowl", Bowl, CLAY, GLAZE, PANS, 1600..4200, "The foot is left unglazed so it stays put while you whisk.";
    Kitchen, "Storage Jar", Jar, CLAY, GLAZE, VOLUMES, 1200..3600, "The lid closes with a soft thud and keeps coffee fresh for weeks.";
    Kitchen, "Chopping Board", Board, WOOD, STAIN, SPANS, 1800..6400, "End grain that heals around the knife, with a groove for juice.";
    Table, "Mug", Mug, CLAY, GLAZE, CUPS, 900..2600, "The handle fits three fingers and the saucer of none.";
    Table, "Dinner Plate", Plate, CLAY, GLAZE, PLATES, 1100..3200, "A low rim keeps the sauce where it belongs.";
    Table, "Serving Bowl", Bowl, CLAY, GLAZE, PLATES, 1900..5400, "Wide enough for a salad, deep enough for soup.";
    Table, "Jug", Jug, CLAY, GLAZE, VOLUMES, 1700..4800, "For milk in the morning, water at noon and tulips in spring.";
    Table, "Teapot", Teapot, CLAY, GLAZE, VOLUMES, 2800..7200, "The strainer is built in, and the spout was argued about for a year.";
    Table, "Tumbler", Tumbler, GLASS, TINT, CUPS, 700..1900, "Stacks without sticking and survives the stone floor more often than not.";
    Table, "Carafe", Carafe, GLASS, TINT, VOLUMES, 1900..4900, "The neck is cut for one hand, the stopper is cork.";
    Lighting, "Table Lamp", TableLamp, CLAY, GLAZE, SIZES, 5900..16900, "A linen shade softens the light; the flex is woven.";
    Lighting, "Pendant", Pendant, METAL, PAINT, SIZES, 4900..19900, "Hang it low over the table and everyone looks ten years younger.";
    Lighting, "Floor Lamp", FloorLamp, WOOD, STAIN, NO_SIZE, 11900..32900, "It leans where you read and stands back when you do not.";
    Lighting, "Lantern", Lantern, METAL, PAINT, SIZES, 1900..6900, "For a candle or a bulb, indoors or under the porch.";
    Lighting, "Desk Lamp", DeskLamp, METAL, PAINT, NO_SIZE, 5400..14900, "Three joints, one hand, and it stays where you leave it.";
    Textiles, "Throw", Throw, YARN, DYE, CLOTHS, 3900..16900, "Big enough for two on a sofa that is meant for one.";
    Textiles, "Cushion", Cushion, YARN, DYE, SQUARES, 1900..6900, "The cover comes off in four seconds; the filling is feather.";
    Textiles, "Quilt", Throw, YARN, DYE, CLOTHS, 8900..24900, "Quilted by hand along lines you only see in the evening sun.";
    Textiles, "Tea Towel", Towel, YARN, DYE, NO_SIZE, 700..1800, "Dries glasses without a trace, and better after the tenth wash.";
    Textiles, "Table Runner", Towel, YARN, DYE, SPANS, 2200..5900, "Hides the scratch on the table and makes Tuesday look planned.";
    Textiles, "Rug", Rug, YARN, DYE, CLOTHS, 8900..39900, "Flat-woven, so that doors clear it and crumbs do not hide.";
    Furniture, "Stool", Stool, WOOD, STAIN, NO_SIZE, 6900..18900, "A seat, a step, a bedside table: it does not mind.";
    Furniture, "Chair", Chair, WOOD, STAIN, NO_SIZE, 12900..34900, "Seven joints, no screws, and a back that leans as yours does.";
    Furniture, "Side Table", SideTable, WOOD, STAIN, SIZES, 9900..27900, "The top lifts off as a tray.";
    Furniture, "Bench", Bench, WOOD, STAIN, SPANS, 14900..42900, "For the hall, the foot of the bed, or four children at a table.";
    Furniture, "Wall Shelf", Shelf, WOOD, STAIN, SPANS, 4900..15900, "Two hidden brackets carry thirty kilograms of books.";
    Storage, "Basket", Basket, WICKER, STAIN, SIZES, 1900..7900, "For logs, for washing, for the things on the stairs.";
    Storage, "Hamper", Hamper, WICKER, STAIN, SIZES, 3900..11900, "With a lid for the order outside and the chaos inside.";
    Storage, "Hook Rail", Hooks, WOOD, STAIN, SPANS, 2400..6900, "Five hooks, each deep enough for a winter coat.";
    Storage, "Crate", Crate, WOOD, STAIN, SIZES, 1600..5400, "Stacks, slides, and looks as good full as empty.";
    Storage, "Storage Tin", Tin, METAL, PAINT, SIZES, 900..3200, "For flour, screws, or letters you mean to keep.";
    Garden, "Planter", Planter, CLAY, GLAZE, SIZES, 1400..8900, "The saucer is part of it, so the floor stays dry.";
    Garden, "Watering Can", WateringCan, METAL, PAINT, VOLUMES, 2200..6400, "A long spout for the back row and a brass rose for seedlings.";
    Garden, "Trowel", Trowel, WOOD, STAIN, NO_SIZE, 1400..3900, "A stiff blade, a warm handle, and a mark for bulb depth.";
    Garden, "Bird House", BirdHouse, WOOD, PAINT, NO_SIZE, 2400..5900, "The entrance suits tits and wrens; the roof lifts for cleaning.";
    Garden, "Garden Lantern", Lantern, METAL, PAINT, SIZES, 2400..7900, "Stays lit in any breeze you would still sit out in.";
    Garden, "Hanging Pot", HangingPot, CLAY, GLAZE, SIZES, 1600..4900, "On a waxed cord, with one knot you can undo.";
    Bath, "Bath Towel", Towel, YARN, DYE, CLOTHS, 2400..6900, "Drinks water from the first day and dries by the second morning.";
    Bath, "Mirror", Mirror, WOOD, STAIN, SPANS, 6900..22900, "Bevelled glass, silvered the slow way.";
    Bath, "Soap Dish", Dish, CLAY, GLAZE, NO_SIZE, 900..2400, "Ribs lift the bar so it lasts twice as long.";
    Bath, "Bath Mat", Rug, YARN, DYE, SQUARES, 2200..5900, "Thick where you stand, and quick to dry.";
    Bath, "Soap Bottle", Bottle, GLASS, TINT, BOTTLES, 1400..3400, "A brass pump that can be taken apart and mended.";
    Desk, "Notebook", Notebook, PAPER, DYE, PAGES, 900..3400, "192 numbered pages, a ribbon, and a pocket for tickets.";
    Desk, "Pen Pot", Tumbler, CLAY, GLAZE, NO_SIZE, 900..2600, "Heavy enough not to fall when you look for the good pencil.";
    Desk, "Desk Tray", Tray, WOOD, STAIN, SIZES, 2400..6900, "Three of them stack into an in-tray that you may even empty.";
    Desk, "Pencil Case", Pouch, CLOTH, DYE, NO_SIZE, 1400..3900, "Holds twelve pencils and the sharpener you always lose.";
    Desk, "Wall Clock", Clock, WOOD, STAIN, SIZES, 3900..11900, "A sweeping hand: it does not tick.";
    Children, "Building Blocks", Blocks, WOOD, PAINT, SIZES, 1900..6400, "Cut to a tenth of a millimetre, so towers grow tall.";
    Children, "Pull-Along Duck", Duck, WOOD, PAINT, NO_SIZE, 1900..4200, "It waddles, because the axle is off centre on purpose.";
    Children, "Rocking Horse", Horse, WOOD, PAINT, NO_SIZE, 8900..24900, "Rocks far, tips never, and looks patient about it.";
    Children, "Soft Bear", Bear, YARN, DYE, SIZES, 1900..5400, "Sewn eyes, washable fur, a serious expression.";
    Children, "Stacking Rings", Rings, WOOD, PAINT, NO_SIZE, 1600..3600, "Seven rings, one rod, and endless right answers.";
    Pantry, "Tea", Tin, GROWN, LABEL, WEIGHTS, 700..2400, "Whole leaves that can be brewed three times.";
    Pantry, "Coffee", Packet, GROWN, LABEL, WEIGHTS, 800..2600, "Roasted on Monday, packed on Tuesday.";
    Pantry, "Honey", HoneyJar, GROWN, LABEL, WEIGHTS, 600..2200, "Never heated; it will set, and that is how you know.";
    Pantry, "Olive Oil", Bottle, GROWN, LABEL, BOTTLES, 1200..3400, "Pressed within four hours of the harvest; peppery at the back.";
    Pantry, "Marmalade", HoneyJar, GROWN, LABEL, WEIGHTS, 500..1400, "Coarse cut, dark, and honest about the bitter.";
    Pantry, "Chocolate", Bar, GROWN, LABEL, WEIGHTS, 400..1600, "Stone-ground, with a snap you hear across the room.";
    Bags, "Tote", Tote, CLOTH, DYE, LOADS, 2400..12900, "Two handles for the shoulder, two for the hand.";
    Bags, "Rucksack", Rucksack, CLOTH, DYE, LOADS, 6900..22900, "One big pocket, one flat one, and straps that do not squeak.";
    Bags, "Weekender", Weekender, CLOTH, DYE, LOADS, 9900..32900, "Three days of clothes and still under the seat.";
    Bags, "Wash Bag", Pouch, CLOTH, DYE, SIZES, 1900..5900, "Stands open by itself and wipes clean inside.";
}

/// The makers' lines; each name carries a mood for the description.
pub(crate) const LINES: &[(&str, &str)] = &[
    ("Alder", "Made for homes in which things are used, not shown."),
    ("Brae", "Quiet shapes from a workshop on a Scottish hillside."),
    ("Calder", "A river town's idea of elegance: plain, and meant."),
    ("Dune", "Low, soft lines, as if the wind had drawn them."),
    ("Esker", "Rounded by use before it ever reached you."),
    ("Fennel", "Cheerful without shouting about it."),
    ("Garrick", "A classic that never needed a second look, and gets one anyway."),
    ("Hazel", "Small, warm, and always within reach."),
    ("Isla", "Drawn on an island where things are mended rather than replaced."),
    ("Juniper", "Crisp edges, and a sense of humour in the details."),
    ("Kestrel", "Light on its feet and sure of its place."),
    ("Linden", "The one you will give as a present and then buy for yourself."),
    ("Marlow", "Our own house line, and the reason there is a house."),
    ("Nettle", "Plain at first, and the favourite by the second week."),
    ("Osier", "Old ways of making, with the measurements of today's homes."),
    ("Pippin", "Cheeky, sturdy, and easily cleaned."),
    ("Quarry", "Weighty in the hand, easy on the eye."),
    ("Rowan", "Made by a family of four and their very old machine."),
    ("Sorrel", "Colours taken from a hedge in October."),
    ("Tarn", "Deep, calm, and a little cool to the touch."),
    ("Umber", "Earthy, patient, and better with age."),
    ("Vesper", "For evenings."),
    ("Wren", "Small workshop, loud opinions about quality."),
    ("Yarrow", "Generous proportions, modest everything else."),
];

/// Where the workshops are.
pub(crate) const ORIGINS: &[&str] = &[
    "Stoke-on-Trent, England",
    "Yorkshire, England",
    "Somerset, England",
    "Hawick, Scotland",
    "Pembrokeshire, Wales",
    "County Cork, Ireland",
    "Alentejo, Portugal",
    "Jutland, Denmark",
    "Bohemia, Czechia",
    "Umbria, Italy",
];
