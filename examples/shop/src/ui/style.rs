//! The style sheet, named by its content.

use burgeon::http::{HeaderName, HeaderValue, header};

const SHEET: &str = include_str!("style.css");

/// Its address.
pub(super) const PATH: &str = match std::str::from_utf8(&NAMED) {
    Ok(path) => path,
    Err(_) => panic!("hexadecimal digits are text"),
};

const NAMED: [u8; 33] = named();

/// `/assets/shop-0123456789abcdef.css`, computed when the program is compiled.
const fn named() -> [u8; 33] {
    let mut path = *b"/assets/shop-0000000000000000.css";
    let bytes = SHEET.as_bytes();
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut index = 0;
    while index < bytes.len() {
        hash = (hash ^ bytes[index] as u64).wrapping_mul(0x100_0000_01b3);
        index += 1;
    }
    let mut digit = 0;
    while digit < 16 {
        path[28 - digit] = b"0123456789abcdef"[(hash >> (4 * digit)) as usize & 15];
        digit += 1;
    }
    path
}

pub(super) async fn sheet() -> ([(HeaderName, HeaderValue); 2], &'static str) {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
    ];
    (headers, SHEET)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// WCAG 2.2, 1.4.3: text.
    const TEXT: f64 = 4.5;
    /// WCAG 2.2, 1.4.11: what shows where a control is.
    const CONTROL: f64 = 3.0;

    /// What stands on what, and how clearly it must.
    const PAIRS: &[(&str, &[&str], f64)] = &[
        ("ink", &["paper", "card", "wash"], TEXT),
        ("quiet", &["paper", "card", "wash"], TEXT),
        ("leaf", &["paper", "card", "wash"], TEXT),
        ("leaf-deep", &["paper", "card", "wash"], TEXT),
        ("clay", &["paper", "card", "wash"], TEXT),
        ("on-leaf", &["leaf", "leaf-deep"], TEXT),
        // The number in the basket.
        ("card", &["clay"], TEXT),
        ("good-ink", &["good", "paper", "card"], TEXT),
        ("bad-ink", &["bad"], TEXT),
        ("edge", &["paper", "card", "wash"], CONTROL),
        // The ring around what has the keyboard, and stars.
        ("sun", &["paper", "card", "wash"], CONTROL),
    ];

    #[test]
    fn everything_can_be_read_by_day_and_by_night() {
        let (day, night) = SHEET.split_once("prefers-color-scheme: dark").expect("the sheet knows the night");
        let (night, _) = night.split_once('}').expect("its names end");
        for (time, palette) in [("day", palette(day)), ("night", palette(night))] {
            for (over, grounds, least) in PAIRS {
                for under in *grounds {
                    let found = contrast(palette[over], palette[under]);
                    assert!(
                        found >= *least,
                        "by {time}, {over} on {under} is {found:.2}, and must be {least}"
                    );
                }
            }
        }
    }

    #[test]
    fn contrast_is_what_the_guideline_says() {
        assert!((contrast([0, 0, 0], [255, 255, 255]) - 21.0).abs() < 1e-9);
        assert!((contrast([0x76, 0x76, 0x76], [255, 255, 255]) - 4.54).abs() < 0.01);
    }

    /// The names that are colours: `--ink: #26231f`.
    fn palette(sheet: &str) -> BTreeMap<&str, [u8; 3]> {
        let names = sheet.split("--").filter_map(|rest| rest.split_once(": #"));
        names
            .filter_map(|(name, value)| {
                let number = u32::from_str_radix(value.get(..6)?, 16).ok()?;
                let [_, red, green, blue] = number.to_be_bytes();
                Some((name, [red, green, blue]))
            })
            .collect()
    }

    fn contrast(one: [u8; 3], other: [u8; 3]) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    fn luminance(colour: [u8; 3]) -> f64 {
        let [red, green, blue] = colour.map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }
}
