//! What the process was given: its variables and the directory it runs in, read once and handed on as a value.
//!
//! This is the only file that reads the process's environment. Everything else takes an [`Environment`], so two
//! applications with different surroundings live in one process, and a test needs no global.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Variables and working directory of one application.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    directory: PathBuf,
}

impl Environment {
    /// That of this process. Variables that are not UTF-8 are left out: no key or value of ours can be among them.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the process's environment"
    )]
    pub fn of_process() -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self { variables, directory: PathBuf::new() }
    }

    /// No variables at all, in this directory.
    pub fn empty(directory: impl Into<PathBuf>) -> Self {
        Self { variables: BTreeMap::new(), directory: directory.into() }
    }

    /// The same with one more variable.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// The variable's value, if it is set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// Every variable, by name.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Where a relative path leads.
    pub fn resolve(&self, path: impl AsRef<Path>) -> PathBuf {
        self.directory.join(path)
    }
}
