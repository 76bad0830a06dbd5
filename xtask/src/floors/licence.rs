//! Which licences may be in the house: those that ask no more than to be named.

use super::graph::Package;

/// As in `deny.toml`.
const ALLOWED: [&str; 12] = [
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "CC0-1.0",
    "0BSD",
    "Unlicense",
    "BSL-1.0",
];

/// Weak copyleft, one package at a time, because somebody must have read what it asks: (package, licence).
const BY_NAME: [(&str, &str); 1] = [("option-ext", "MPL-2.0")];

/// Why this package's licence keeps it out, if it does.
pub(crate) fn refusal(package: &Package) -> Option<String> {
    let Package { name, version, licence, .. } = package;
    let Some(licence) = licence else {
        return Some(format!("{name} {version} states no licence that a machine can read"));
    };
    let allowed = |one: &str| ALLOWED.contains(&one) || BY_NAME.contains(&(name.as_str(), one));
    match holds(licence, &allowed) {
        Some(true) => None,
        Some(false) => {
            Some(format!("{name} {version} is under `{licence}`, which is not on the list of licences"))
        }
        None => Some(format!("{name} {version} states the licence `{licence}`, which cannot be read")),
    }
}

/// Whether an SPDX expression can be satisfied by what is allowed; `None` when it is no expression. The old `/` is `OR`.
pub(crate) fn holds(expression: &str, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    let value = either(&mut words, allowed)?;
    words.next().is_none().then_some(value)
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn either(words: &mut Words<'_>, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut value = both(words, allowed)?;
    while words.next_if_eq(&"OR").is_some() {
        value |= both(words, allowed)?;
    }
    Some(value)
}

fn both(words: &mut Words<'_>, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut value = one(words, allowed)?;
    while words.next_if_eq(&"AND").is_some() {
        value &= one(words, allowed)?;
    }
    Some(value)
}

fn one(words: &mut Words<'_>, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    match words.next()? {
        "(" => {
            let value = either(words, allowed)?;
            words.next_if_eq(&")").map(|_| value)
        }
        "OR" | "AND" | "WITH" | ")" => None,
        name if words.next_if_eq(&"WITH").is_some() => {
            Some(allowed(&format!("{name} WITH {}", words.next()?)))
        }
        name => Some(allowed(name)),
    }
}
