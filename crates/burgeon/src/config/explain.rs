//! Every key with its value, its origin and its default, as a table or as JSON.

use std::fmt::Write as _;

use serde_json::Value::Null;

use super::tree::{Node, Origin};

/// One key of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `database.url`.
    pub key: String,
    /// As it would be written; secrets are `***`, of a database's URL only the password is hidden.
    pub value: String,
    /// Where the value was written down.
    pub origin: Origin,
    /// What the value would be if it were written nowhere.
    pub default: String,
}

/// The entries of one section, from its value and its default as JSON, the tree that was read, and the defaults that
/// the application gives.
pub(super) fn entries(
    section: &str,
    value: &serde_json::Value,
    default: &serde_json::Value,
    tree: &Node,
    defaults: &Node,
) -> Vec<Entry> {
    let mut leaves = Vec::new();
    flatten(vec![section.to_owned()], value, &mut leaves);
    leaves
        .into_iter()
        .map(|(path, value)| {
            let steps: Vec<&str> = path.iter().map(String::as_str).collect();
            let by_type = steps[1..].iter().try_fold(default, |at, step| at.get(step)).unwrap_or(&Null);
            let default = match defaults.text_of(&steps) {
                Some(own) => database_url(own).unwrap_or_else(|| own.to_owned()),
                None => shown(by_type, None),
            };
            let value = shown(value, tree.text_of(&steps));
            Entry { key: path.join("."), value, origin: tree.origin_of(&steps), default }
        })
        .collect()
}

/// The keys of a section that hold a value of their own, in order.
pub(super) fn flatten<'a>(
    path: Vec<String>,
    value: &'a serde_json::Value,
    into: &mut Vec<(Vec<String>, &'a serde_json::Value)>,
) {
    match value {
        serde_json::Value::Object(entries) if !entries.is_empty() => {
            for (key, child) in entries {
                let mut path = path.clone();
                path.push(key.clone());
                flatten(path, child, into);
            }
        }
        leaf => into.push((path, leaf)),
    }
}

fn shown(value: &serde_json::Value, raw: Option<&str>) -> String {
    match value {
        serde_json::Value::String(text) if text == "***" => {
            raw.and_then(database_url).unwrap_or(text.clone())
        }
        serde_json::Value::String(text) => text.clone(),
        Null => String::new(),
        other => other.to_string(),
    }
}

/// A database's URL without its password: which database it is should be seen. Other secrets stay hidden whole,
/// for in the URL of a webhook the path is the secret. Parameters go, since they may carry a password as well.
pub(crate) fn database_url(text: &str) -> Option<String> {
    if text.starts_with("sqlite:") {
        return Some(text.to_owned());
    }
    let (scheme, rest) = text.split_once("://").filter(|(scheme, _)| scheme.starts_with("postgres"))?;
    let rest = rest.split('?').next().unwrap_or_default();
    Some(match rest.rsplit_once('@') {
        None => format!("{scheme}://{rest}"),
        Some((user, place)) => match user.split_once(':') {
            None => format!("{scheme}://{user}@{place}"),
            Some((user, _)) => format!("{scheme}://{user}:***@{place}"),
        },
    })
}

/// As a table for people.
pub(crate) fn table(entries: &[Entry]) -> String {
    let head = ["KEY", "VALUE", "ORIGIN", "DEFAULT"].map(str::to_owned);
    let rows = entries.iter().map(|entry| {
        let default = if entry.origin == Origin::Default { String::new() } else { entry.default.clone() };
        [entry.key.clone(), cut(&entry.value), entry.origin.to_string(), cut(&default)]
    });
    columns(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}

/// A long value would push the other columns off the screen; JSON has it whole.
fn cut(value: &str) -> String {
    const WIDEST: usize = 60;
    match value.char_indices().nth(WIDEST) {
        Some((at, _)) => format!("{}..", &value[..at]),
        None => value.to_owned(),
    }
}

/// As JSON for programs.
pub(crate) fn json(entries: &[Entry]) -> serde_json::Value {
    entries
        .iter()
        .map(|entry| {
            serde_json::json!({
                "key": entry.key,
                "value": entry.value,
                "origin": entry.origin.to_string(),
                "default": entry.default,
            })
        })
        .collect()
}

/// Rows as columns, two spaces apart, none trailing.
pub(crate) fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            // Writing to a string cannot fail.
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
