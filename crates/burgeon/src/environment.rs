//! What the process was given: its variables, its arguments and the directory it runs in, read once and handed on as a
//! value.
//!
//! This is the only file that reads the process's surroundings. Everything else takes an [`Environment`], so two
//! applications with different surroundings live in one process, and a test needs no global.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Variables, arguments and working directory of one application.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    arguments: Vec<OsString>,
    directory: PathBuf,
    host: String,
}

impl Environment {
    /// That of this process. Variables that are not UTF-8 are left out: no key or value of ours can be among them.
    pub fn of_process() -> Self {
        let variables: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let host = host(variables.get("HOSTNAME"));
        Self { variables, arguments: std::env::args_os().collect(), directory: PathBuf::new(), host }
    }

    /// No variables at all, in this directory.
    pub fn empty(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), host: host(None), ..Self::default() }
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

    /// The command line, the program's own name first.
    pub fn arguments(&self) -> &[OsString] {
        &self.arguments
    }

    /// What the machine is called, as far as it says so.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Where a relative path leads.
    pub fn resolve(&self, path: impl AsRef<Path>) -> PathBuf {
        self.directory.join(path)
    }
}

/// Linux says it in a file; elsewhere the shell may have exported it.
fn host(exported: Option<&String>) -> String {
    let told = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| exported.cloned());
    told.map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}
