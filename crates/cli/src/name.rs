//! The name of an application: a package for Cargo, a crate for Rust.

/// A name that Cargo and Rust both take.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Name(String);

/// What would not compile as the name of a crate, or would hide a crate that everybody uses.
const TAKEN: [&str; 60] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "burgeon",
    "burgeon-test",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "serde",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "tests",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

const LONGEST: usize = 64;

impl Name {
    /// Takes a name as it was typed.
    ///
    /// # Errors
    /// A sentence that says what a name looks like, with one that would do where one is near.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let shape = "a name has lower-case letters, digits, `-` and `_`, and begins with a letter";
        if text.is_empty() || text.len() > LONGEST {
            return Err(format!("a name has 1 to {LONGEST} characters"));
        }
        if TAKEN.contains(&text.replace('_', "-").as_str()) {
            return Err(format!(
                "`{text}` means something else to Rust or Cargo; take another name, such as `{text}-app`"
            ));
        }
        let fits = |character: char| {
            character.is_ascii_lowercase() || character.is_ascii_digit() || "-_".contains(character)
        };
        if text.starts_with(|first: char| first.is_ascii_lowercase()) && text.chars().all(fits) {
            return Ok(Self(text.to_owned()));
        }
        let near: String = text
            .to_ascii_lowercase()
            .chars()
            .map(|character| if fits(character) { character } else { '-' })
            .collect::<String>()
            .trim_matches(|edge: char| !edge.is_ascii_lowercase() && !edge.is_ascii_digit())
            .to_owned();
        match near.starts_with(|first: char| first.is_ascii_lowercase()) {
            true => Err(format!("`{text}` cannot be a name: {shape}; `{near}` would do")),
            false => Err(format!("`{text}` cannot be a name: {shape}")),
        }
    }

    /// As Cargo writes it.
    pub(crate) fn package(&self) -> &str {
        &self.0
    }

    /// As Rust writes it.
    pub(crate) fn crate_name(&self) -> String {
        self.0.replace('-', "_")
    }

    /// As people read it.
    pub(crate) fn title(&self) -> String {
        let words = self.0.replace(['-', '_'], " ");
        let mut letters = words.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_and_rust_take_is_taken() {
        let name = Name::parse("book-shop2").unwrap();
        assert_eq!(
            (name.package(), name.crate_name().as_str(), name.title().as_str()),
            ("book-shop2", "book_shop2", "Book shop2")
        );
    }

    #[test]
    fn what_they_do_not_take_is_refused_with_a_way_out() {
        for (text, expected) in [
            ("Book Shop", "`book-shop` would do"),
            ("../etc", "`etc` would do"),
            ("7up", "begins with a letter"),
            ("日本", "begins with a letter"),
            ("", "1 to 64 characters"),
            ("match", "`match-app`"),
            ("test", "`test-app`"),
            ("burgeon_test", "another name"),
        ] {
            let refused = Name::parse(text).unwrap_err();
            assert!(refused.contains(expected), "{text}: {refused}");
        }
        assert!(Name::parse(&"a".repeat(65)).is_err());
    }

    #[test]
    fn the_list_of_taken_names_is_in_order() {
        assert!(TAKEN.is_sorted());
    }
}
