//! Product pictures, drawn: a silhouette, a colour, a pattern and a light from the left.
//!
//! What this is: a pure function from what a product looks like to an SVG document, so a picture needs no file,
//! no upload and no network, and its address can be cached for ever. What it is not: a drawing library.
//!
//! # Invariants
//! - The same look gives the same bytes, so the bytes can be named by their look.

mod shapes;

use std::fmt::Write as _;

use crate::dice::Dice;
pub(crate) use shapes::Shape;

/// What a product looks like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look<'a> {
    pub(crate) shape: Shape,
    /// A colour's name, in small letters.
    pub(crate) colour: &'a str,
    /// Varies wall, pattern and light between products of one shape and colour.
    pub(crate) variation: u64,
}

/// A colour and its shadow.
struct Paint {
    base: &'static str,
    dark: &'static str,
}

/// Wall, table, and the light on the wall behind the thing.
const ROOMS: [(&str, &str, &str); 6] = [
    ("#efe9df", "#ddd3c4", "#f8f4ec"),
    ("#e6ebe4", "#cfd8cc", "#f3f6f1"),
    ("#ece4e1", "#dacbc6", "#f7f1ef"),
    ("#e3e9ee", "#cbd5de", "#f1f5f8"),
    ("#f1e8d6", "#e0d2b6", "#faf5ea"),
    ("#e7e4ea", "#d2cdd9", "#f4f2f6"),
];

fn paint(colour: &str) -> Paint {
    let (base, dark) = match colour {
        "chalk" => ("#f4f0e8", "#cfc6b6"),
        "oat" => ("#dccdb2", "#b7a482"),
        "sand" => ("#d8bd94", "#b09265"),
        "honey" => ("#d99f3f", "#a87320"),
        "natural" => ("#d8b384", "#ad8452"),
        "mustard" => ("#cf9a2b", "#9a6f14"),
        "rust" => ("#b75b33", "#833b1c"),
        "clay" => ("#c07a58", "#8f5236"),
        "brick" => ("#a8452f", "#76291a"),
        "chestnut" => ("#7c4a2c", "#54301a"),
        "blush" => ("#dfaea2", "#b98074"),
        "plum" => ("#6d3f58", "#47263a"),
        "ink" => ("#2f4059", "#1b273a"),
        "sky" => ("#93b5c9", "#62879e"),
        "sea" => ("#4f8a8b", "#2e6061"),
        "sage" => ("#9bae8f", "#6f8463"),
        "moss" => ("#5b7247", "#3b4d2c"),
        "smoke" => ("#8b8a88", "#605f5d"),
        "charcoal" => ("#45474a", "#292b2d"),
        _ => ("#b9b2a6", "#8d8578"),
    };
    Paint { base, dark }
}

/// The picture as an SVG document.
pub(crate) fn draw(look: Look<'_>) -> String {
    let mut dice = Dice::of("picture", look.variation);
    let Paint { base, dark } = paint(look.colour);
    let (wall, table, glow) = dice.pick(&ROOMS);
    let sketch = look.shape.sketch();
    let pattern = if sketch.patterned { dice.pick(&PATTERNS) } else { "" };
    let lean = dice.between(-24, 24);

    let mut svg = String::with_capacity(4_096);
    // Writing to a String cannot fail.
    let _ = write!(
        svg,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 400"><style>.d{{fill:{dark}}}.w{{fill:#b98a57}}.k{{fill:#8a6238}}.m{{fill:#c3a15c}}.i{{fill:#3a3a3c}}.l{{fill:#fffaf0}}.g{{fill:#6f8b52}}.s{{fill:none;stroke:{dark};stroke-width:9;stroke-linecap:round;stroke-linejoin:round}}.t{{fill:none;stroke:#3a3a3c;stroke-width:5;stroke-linecap:round}}.c{{fill:{base}}}</style><defs><linearGradient id="v" gradientUnits="userSpaceOnUse" x1="70" y1="0" x2="330" y2="40"><stop offset="0" stop-color="#fff" stop-opacity=".34"/><stop offset=".38" stop-color="#fff" stop-opacity="0"/><stop offset="1" stop-color="#000" stop-opacity=".3"/></linearGradient><radialGradient id="h" cx=".5" cy=".45" r=".55"><stop offset="0" stop-color="{glow}"/><stop offset="1" stop-color="{glow}" stop-opacity="0"/></radialGradient><radialGradient id="z"><stop offset="0" stop-opacity=".32"/><stop offset="1" stop-opacity="0"/></radialGradient>{pattern}<g id="b">{body}</g></defs><path fill="{wall}" d="M0 0h400v400H0z"/><ellipse cx="{light}" cy="185" rx="210" ry="190" fill="url(#h)"/>"##,
        body = sketch.body,
        light = 200 + lean,
    );
    if sketch.stands {
        let _ = write!(
            svg,
            r#"<path fill="{table}" d="M0 306h400v94H0z"/><ellipse cx="{shade}" cy="332" rx="{width}" ry="15" fill="url(#z)"/>"#,
            shade = 208 + lean / 4,
            width = sketch.width,
        );
    }
    let _ = write!(svg, r##"{under}<use href="#b" fill="{base}"/>"##, under = sketch.under);
    if !pattern.is_empty() {
        svg.push_str(r##"<use href="#b" fill="url(#p)"/>"##);
    }
    let _ = write!(svg, r##"<use href="#b" fill="url(#v)"/>{over}</svg>"##, over = sketch.over);
    svg
}

/// Plain most of the time; dots, stripes, checks or speckles otherwise.
const PATTERNS: [&str; 8] = [
    "",
    "",
    "",
    r##"<pattern id="p" width="26" height="26" patternUnits="userSpaceOnUse"><circle cx="7" cy="7" r="3.2" fill="#fff" opacity=".5"/><circle cx="20" cy="20" r="3.2" fill="#fff" opacity=".5"/></pattern>"##,
    r##"<pattern id="p" width="22" height="22" patternUnits="userSpaceOnUse"><path d="M0 5h22M0 9h22" stroke="#fff" stroke-width="2" opacity=".42"/></pattern>"##,
    r##"<pattern id="p" width="30" height="30" patternUnits="userSpaceOnUse"><path d="M0 0h15v30H0z" fill="#000" opacity=".09"/><path d="M0 0h30v15H0z" fill="#000" opacity=".09"/></pattern>"##,
    r##"<pattern id="p" width="40" height="40" patternUnits="userSpaceOnUse"><g fill="#000" opacity=".26"><circle cx="6" cy="9" r="1.5"/><circle cx="23" cy="4" r="1"/><circle cx="33" cy="17" r="1.7"/><circle cx="14" cy="25" r="1.1"/><circle cx="28" cy="34" r="1.4"/><circle cx="4" cy="36" r="1"/></g></pattern>"##,
    r##"<pattern id="p" width="24" height="24" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path d="M0 0v24" stroke="#fff" stroke-width="7" opacity=".22"/></pattern>"##,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_look_gives_the_same_picture_and_another_gives_another() {
        let look = Look { shape: Shape::Mug, colour: "moss", variation: 7 };
        assert_eq!(draw(look), draw(look));
        assert_ne!(draw(look), draw(Look { colour: "ink", ..look }));
        assert_ne!(draw(look), draw(Look { shape: Shape::Jug, ..look }));
    }

    #[test]
    fn every_shape_is_well_formed_and_survives_its_name() {
        for &shape in Shape::ALL {
            let svg = draw(Look { shape, colour: "sage", variation: 3 });
            let opened = svg.matches('<').count() - svg.matches("</").count();
            let closed = svg.matches("/>").count() + svg.matches("</").count();
            assert_eq!(opened, closed, "{shape}");
            assert_eq!(shape.to_string().parse(), Ok(shape));
        }
    }
}
