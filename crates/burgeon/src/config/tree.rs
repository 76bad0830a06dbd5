//! Values by key, each with the place it came from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Where a value was written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: the default of its type.
    Default,
    /// In the configuration file, on this line (from 1).
    File(PathBuf, usize),
    /// In an environment variable.
    Variable(String),
    /// In a file of its own that an environment variable names.
    NamedFile(PathBuf, String),
    /// In a systemd credential.
    Credential(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(path, line) => write!(f, "{}:{line}", path.display()),
            Origin::Variable(name) => write!(f, "variable {name}"),
            Origin::NamedFile(path, variable) => write!(f, "file {} (from {variable})", path.display()),
            Origin::Credential(path) => write!(f, "credential {}", path.display()),
        }
    }
}

/// A value and its origin.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    Table(BTreeMap<String, Node>),
    List(Vec<Node>),
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    /// Text whose type is decided by whoever reads it: what a variable or a file holds.
    Loose(String),
}

/// One step on the way to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

impl Node {
    pub(crate) fn table(origin: Origin) -> Self {
        Self { value: Value::Table(BTreeMap::new()), origin }
    }

    pub(crate) fn child(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Table(entries) => entries.get(key),
            _ => None,
        }
    }

    /// Puts a value at this path, over what was there. Where a plain value stands in the way nothing is put: that
    /// value is of the wrong type, and whoever reads it will say so.
    pub(crate) fn put(&mut self, path: &[String], node: Node) {
        let Value::Table(entries) = &mut self.value else { return };
        match path {
            [] => {}
            [last] => match (entries.get_mut(last), node) {
                (Some(Node { value: Value::Table(_), .. }), Node { value: Value::Table(new), .. }) => {
                    for (key, child) in new {
                        if let Some(existing) = entries.get_mut(last) {
                            existing.put(&[key], child);
                        }
                    }
                }
                (_, node) => {
                    entries.insert(last.clone(), node);
                }
            },
            [first, rest @ ..] => {
                let origin = node.origin.clone();
                entries.entry(first.clone()).or_insert_with(|| Node::table(origin)).put(rest, node);
            }
        }
    }

    /// The origin of the value at this path: its own, or that of the nearest value around it that holds it whole.
    pub(crate) fn origin_of(&self, path: &[&str]) -> Origin {
        match (path, &self.value) {
            ([], _) => self.origin.clone(),
            ([first, rest @ ..], Value::Table(entries)) => {
                entries.get(*first).map_or(Origin::Default, |child| child.origin_of(rest))
            }
            (_, _) => self.origin.clone(),
        }
    }

    /// The text at this path, where it is one.
    pub(crate) fn text_of(&self, path: &[&str]) -> Option<&str> {
        match (path, &self.value) {
            ([], Value::Text(text) | Value::Loose(text)) => Some(text),
            ([first, rest @ ..], Value::Table(entries)) => entries.get(*first)?.text_of(rest),
            _ => None,
        }
    }

    /// Takes out what is at this path (a list goes as a whole). Says whether anything was there.
    pub(crate) fn remove(&mut self, path: &[Step]) -> bool {
        let Value::Table(entries) = &mut self.value else { return false };
        match path {
            [Step::Key(last)] | [Step::Key(last), Step::Index(_), ..] => entries.remove(last).is_some(),
            [Step::Key(first), rest @ ..] => entries.get_mut(first).is_some_and(|child| child.remove(rest)),
            _ => false,
        }
    }
}
