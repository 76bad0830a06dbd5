//! Configuration: layers, sections, and where each value came from.
//!
//! What this is: values are read in layers, each over the one before,
//!
//! 1. the default of the section's own type,
//! 2. `burgeon.toml` in the working directory (or the file that `--config` or `BURGEON_CONFIG` names),
//! 3. the conventional variables `DATABASE_URL` and `PORT`,
//! 4. variables `BURGEON__SECTION__KEY`,
//! 5. files that variables name (`BURGEON__DATABASE__URL_FILE`, `DATABASE_URL_FILE`),
//! 6. systemd credentials named as a key (`$CREDENTIALS_DIRECTORY/database.url`),
//!
//! and then given to the sections' types. The narrower the audience of a layer, the stronger it is: a file in the
//! repository is for everybody, a credential for this one service.
//!
//! What it is not: it does not watch anything. A configuration changes by a restart.
//!
//! # Invariants
//! - What a key is is known from the sections' types alone: from serde's derive and from the default's serialisation.
//! - A key that nobody reads is an error, as is a value of the wrong type; all errors are told at once.
//! - No secret is printed: not by `explain`, not in an error.
//!
//! When it breaks: [`Problems`] names each key, the line or variable, and what to do; nothing has been started.

mod explain;
mod file;
mod problem;
mod read;
mod surroundings;
mod tree;

use std::any::Any;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use explain::Entry;
pub(crate) use explain::{columns, database_url, json, table};
pub(crate) use problem::did_you_mean;
pub use problem::{Problem, Problems};
pub use tree::Origin;

use read::{Refused, Why};
use tree::{Node, Step, Value};

use crate::Environment;

/// A named part of the configuration and the type that reads it.
pub(crate) struct Section {
    pub(crate) name: String,
    default: serde_json::Value,
    read: Box<Read>,
}

/// Reads one section; `None` when a problem was found.
type Read = dyn Fn(&Node, &mut dyn FnMut(Refused)) -> Option<Reading> + Send + Sync;

struct Reading {
    value: Box<dyn Any + Send + Sync>,
    shown: serde_json::Value,
}

impl Section {
    /// A section read as `T`, refused when `check` says why.
    pub(crate) fn new<T>(name: impl Into<String>, check: fn(&T) -> Result<(), String>) -> Self
    where
        T: Serialize + DeserializeOwned + Default + Clone + Send + Sync + 'static,
    {
        let read = move |node: &Node, report: &mut dyn FnMut(Refused)| {
            let value = read_all::<T>(node, report)?;
            if let Err(sentence) = check(&value) {
                report(Refused {
                    path: Vec::new(),
                    origin: Some(Origin::Default),
                    why: Why::Other(sentence),
                });
                return None;
            }
            Some(Reading { shown: as_json(&value), value: Box::new(value) })
        };
        Self { name: name.into(), default: as_json(&T::default()), read: Box::new(read) }
    }
}

/// A type that cannot be JSON has no keys to show; reading it then fails with its own message.
fn as_json<T: Serialize>(value: &T) -> serde_json::Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// Reads the section, and after each problem reads on without the value in question, so that all are found.
fn read_all<T: DeserializeOwned>(node: &Node, report: &mut dyn FnMut(Refused)) -> Option<T> {
    let mut node = node.clone();
    let mut refusals: Vec<Vec<Step>> = Vec::new();
    loop {
        match read::read::<T>(&node) {
            Ok(value) => return refusals.is_empty().then_some(value),
            Err(refused) => {
                let path = refused.path.clone();
                let more = node.remove(&path);
                // What was taken out because it was wrong is not missing as well.
                let told = match refused.why {
                    Why::Missing(key) => {
                        let whole = [path.as_slice(), &[Step::Key(key.to_owned())]].concat();
                        refusals.contains(&whole)
                    }
                    _ => false,
                };
                if !told {
                    report(refused);
                }
                refusals.push(path);
                if !more {
                    return None;
                }
            }
        }
    }
}

/// What is read, beside the sections: surroundings, the file, keys that have another name now.
pub(crate) struct Source<'a> {
    pub(crate) environment: &'a Environment,
    /// The file asked for on the command line.
    pub(crate) file: Option<&'a Path>,
    /// Defaults that depend on the application, by key.
    pub(crate) defaults: &'a [(&'a str, String)],
    /// Old key, new key.
    pub(crate) renamed: &'a [(String, String)],
}

/// The configuration of one application, read and checked.
pub struct Configuration {
    values: Vec<(String, Box<dyn Any + Send + Sync>)>,
    entries: Vec<Entry>,
    file: Option<PathBuf>,
}

impl Configuration {
    /// The section of this name and type.
    pub fn section<T: Clone + 'static>(&self, name: &str) -> Option<T> {
        let (_, value) = self.values.iter().find(|(section, _)| section == name)?;
        value.downcast_ref().cloned()
    }

    /// Every key, its value and where it came from.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The file that was read, if there was one.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
}

/// Reads all layers into all sections, or says everything that is wrong.
pub(crate) fn load(sections: &[Section], source: &Source<'_>) -> Result<Configuration, Problems> {
    let known = Known(sections);
    let mut problems = Vec::new();
    let (mut tree, file) = match read_file(source) {
        Ok(found) => found,
        Err(problem) => {
            problems.push(problem);
            (Node::table(Origin::Default), None)
        }
    };
    surroundings::lay_over(&mut tree, source.environment, &known, &mut problems);
    refuse_renamed(&mut tree, source.renamed, &mut problems);
    refuse_strangers(&mut tree, &known, &mut problems);
    let mut defaults = Node::table(Origin::Default);
    for (key, value) in source.defaults {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        let node = Node { value: Value::Text(value.clone()), origin: Origin::Default };
        if tree.origin_of(&key.split('.').collect::<Vec<_>>()) == Origin::Default {
            tree.put(&path, node.clone());
        }
        defaults.put(&path, node);
    }

    let mut values = Vec::new();
    let mut entries = Vec::new();
    let nothing = Node::table(Origin::Default);
    for section in sections {
        let node = tree.child(&section.name).unwrap_or(&nothing);
        let mut report = |refused| problems.push(told(&section.name, refused, &known, node));
        if let Some(reading) = (section.read)(node, &mut report) {
            entries.extend(explain::entries(
                &section.name,
                &reading.shown,
                &section.default,
                &tree,
                &defaults,
            ));
            values.push((section.name.clone(), reading.value));
        }
    }
    if problems.is_empty() { Ok(Configuration { values, entries, file }) } else { Err(Problems(problems)) }
}

fn read_file(source: &Source<'_>) -> Result<(Node, Option<PathBuf>), Problem> {
    let asked = match (source.file, source.environment.get("BURGEON_CONFIG")) {
        (Some(path), _) => Some((path.to_owned(), Origin::Default)),
        (None, Some(path)) if !path.is_empty() => {
            Some((PathBuf::from(path), Origin::Variable("BURGEON_CONFIG".to_owned())))
        }
        _ => None,
    };
    let (name, origin) = asked.clone().unwrap_or_else(|| (PathBuf::from("burgeon.toml"), Origin::Default));
    match std::fs::read_to_string(source.environment.resolve(&name)) {
        Ok(text) => Ok((file::parse(&name, &text)?, Some(name))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && asked.is_none() => {
            Ok((Node::table(Origin::Default), None))
        }
        Err(error) => {
            Err(Problem::at(origin, format!("the file {} cannot be read: {error}", name.display())))
        }
    }
}

fn refuse_renamed(tree: &mut Node, renamed: &[(String, String)], problems: &mut Vec<Problem>) {
    for (old, new) in renamed {
        let steps: Vec<&str> = old.split('.').collect();
        let origin = tree.origin_of(&steps);
        let path: Vec<Step> = steps.iter().map(|step| Step::Key((*step).to_owned())).collect();
        if tree.remove(&path) {
            problems.push(Problem::at(origin, format!("`{old}` is called `{new}` now; write that instead")));
        }
    }
}

/// Sections that no part of the application reads.
fn refuse_strangers(tree: &mut Node, known: &Known<'_>, problems: &mut Vec<Problem>) {
    let Value::Table(entries) = &mut tree.value else { return };
    let names: Vec<String> = known.0.iter().map(|section| section.name.clone()).collect();
    entries.retain(|name, node| {
        let stranger = known.section(name).is_none();
        if stranger {
            problems.push(Problem::at(node.origin.clone(), surroundings::unknown(name, &names, known)));
        }
        !stranger
    });
}

/// A refusal in words.
fn told(section: &str, refused: Refused, known: &Known<'_>, node: &Node) -> Problem {
    let mut key = section.to_owned();
    let mut around = section.to_owned();
    for step in &refused.path {
        around.clone_from(&key);
        match step {
            Step::Key(name) => key.extend([".", name]),
            Step::Index(index) => key.push_str(&format!("[{index}]")),
        }
    }
    let origin = refused.origin.unwrap_or_else(|| node.origin.clone());
    let message = match refused.why {
        Why::Unknown(siblings) if siblings.is_empty() => {
            surroundings::unknown(&key, &known.below(&around), known)
        }
        Why::Unknown(siblings) => surroundings::unknown(&key, &siblings, known),
        Why::Missing(missing) => {
            let variable = format!("{key}.{missing}").replace('.', "__").to_uppercase();
            format!("`{key}.{missing}` is missing; set it in the file, or by BURGEON__{variable}")
        }
        Why::Other(message) if refused.path.is_empty() => {
            format!("[{section}] {message}{}", origins_of_keys_in(&message, node))
        }
        Why::Other(message) => format!("`{key}`: {message}"),
    };
    Problem::at(origin, message)
}

/// Where the keys that a sentence names in backticks were set: a check over several keys speaks of names alone.
fn origins_of_keys_in(sentence: &str, node: &Node) -> String {
    let named = sentence.split('`').skip(1).step_by(2).map(|key| key.rsplit('.').next().unwrap_or(key));
    let mut told: Vec<String> = named
        .filter_map(|key| match node.origin_of(&[key]) {
            Origin::Default => None,
            origin => Some(format!(" (`{key}` is set in {origin})")),
        })
        .collect();
    told.dedup();
    told.concat()
}

/// What keys there are, from the defaults of the sections.
struct Known<'a>(&'a [Section]);

impl Known<'_> {
    fn section(&self, name: &str) -> Option<&Section> {
        self.0.iter().find(|section| section.name == name)
    }

    /// Whether the default has a place of this name, be it a value or a table.
    fn has(&self, key: &str) -> bool {
        self.at(key).is_some()
    }

    fn at(&self, key: &str) -> Option<&serde_json::Value> {
        let (section, rest) = key.split_once('.').unwrap_or((key, ""));
        let default = &self.section(section)?.default;
        rest.split('.').filter(|step| !step.is_empty()).try_fold(default, |at, step| at.get(step))
    }

    /// The names right below this place.
    fn below(&self, key: &str) -> Vec<String> {
        match self.at(key) {
            Some(serde_json::Value::Object(entries)) => entries.keys().cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// Every key that holds a value.
    fn keys(&self) -> impl Iterator<Item = String> {
        self.0.iter().flat_map(|section| {
            let mut leaves = Vec::new();
            explain::flatten(vec![section.name.clone()], &section.default, &mut leaves);
            leaves.into_iter().map(|(path, _)| path.join("."))
        })
    }
}

#[cfg(test)]
mod tests;
