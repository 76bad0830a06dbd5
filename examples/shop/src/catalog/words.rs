//! The same words for both engines' full text.
//!
//! # Invariants
//! - Both engines index the same normalised words and match them by their beginnings, so both find the same.

/// Most words of a query; people use three.
const MOST_WORDS: usize = 8;

/// Small letters and digits, accents dropped, separated by single spaces.
pub(super) fn words(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    for character in text.chars().flat_map(char::to_lowercase).map(unaccented) {
        if character.is_ascii_alphanumeric() {
            words.push(character);
        } else if !words.ends_with(' ') && !words.is_empty() {
            words.push(' ');
        }
    }
    words.truncate(words.trim_end().len());
    words
}

/// What is looked for: "mugs" shall find a mug. The beginning of a word is as much stemming as a shop needs, and the
/// same on both engines.
pub(super) fn stems(text: &str) -> Vec<String> {
    words(text)
        .split(' ')
        .filter(|word| !matches!(*word, "" | "a" | "an" | "the" | "in" | "of" | "and" | "for" | "with"))
        .take(MOST_WORDS)
        .map(|word| match word.strip_suffix('s') {
            Some(singular) if singular.len() > 2 => singular.to_owned(),
            _ => word.to_owned(),
        })
        .collect()
}

/// The stems as a query of SQLite's FTS5.
pub(super) fn fts5(stems: &[String]) -> String {
    stems.iter().map(|stem| format!("\"{stem}\"*")).collect::<Vec<_>>().join(" ")
}

/// The stems as a query of Postgres.
pub(super) fn tsquery(stems: &[String]) -> String {
    stems.iter().map(|stem| format!("{stem}:*")).collect::<Vec<_>>().join(" & ")
}

/// The letters that shoppers of this shop type with accents.
fn unaccented(character: char) -> char {
    match character {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' => 'a',
        'ç' => 'c',
        'è' | 'é' | 'ê' | 'ë' => 'e',
        'ì' | 'í' | 'î' | 'ï' => 'i',
        'ñ' => 'n',
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' => 'o',
        'ù' | 'ú' | 'û' | 'ü' => 'u',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_small_plain_and_single_spaced() {
        assert_eq!(words("  Café-Crème Mug, 350 ml!"), "cafe creme mug 350 ml");
        assert_eq!(words("...\"'*"), "");
    }

    #[test]
    fn both_engines_get_the_same_beginnings() {
        assert_eq!(fts5(&stems("Blue mugs")), "\"blue\"* \"mug\"*");
        assert_eq!(tsquery(&stems("Blue mugs")), "blue:* & mug:*");
        assert_eq!(tsquery(&stems("the '; drop table")), "drop:* & table:*");
        assert_eq!(stems("!!"), Vec::<String>::new());
    }
}
