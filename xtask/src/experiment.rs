//! Benches and chaos experiments: binaries of the workspace `bench/`, one package each, found by name.
//!
//! That workspace is apart so that no peer which is measured against ever enters the framework's lock file.
//! A package `bench-NAME` is a bench, `chaos-NAME` an experiment. Its `description` is what `--help` says of it, and
//! `[package.metadata.xtask] ci = true` has `cargo xtask ci` run its short form.

use std::process::Command;

use cargo_metadata::MetadataCommand;

use crate::command::{cargo, root};

/// The two sorts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    Bench,
    Chaos,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Experiment {
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) in_ci: bool,
    package: String,
    sort: Sort,
}

impl Sort {
    fn prefix(self) -> &'static str {
        match self {
            Sort::Bench => "bench-",
            Sort::Chaos => "chaos-",
        }
    }

    /// All that exist, by name. None, when there is no `bench/`.
    pub(crate) fn all(self) -> Result<Vec<Experiment>, String> {
        let manifest = root().join("bench/Cargo.toml");
        if !manifest.exists() {
            return Ok(Vec::new());
        }
        let metadata = MetadataCommand::new()
            .manifest_path(&manifest)
            .no_deps()
            .exec()
            .map_err(|error| format!("reading {}: {error}", manifest.display()))?;
        let mut all: Vec<Experiment> = metadata
            .packages
            .iter()
            .filter(|package| package.targets.iter().any(|target| target.is_bin()))
            .filter_map(|package| {
                let name = package.name.strip_prefix(self.prefix())?.to_owned();
                let in_ci = package.metadata["xtask"]["ci"].as_bool().unwrap_or(false);
                let about = package.description.clone().unwrap_or_default();
                Some(Experiment { name, about, in_ci, package: package.name.to_string(), sort: self })
            })
            .collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all)
    }

    /// The one of this name.
    ///
    /// # Errors
    ///
    /// The names there are.
    pub(crate) fn named(self, name: &str) -> Result<Experiment, String> {
        pick(self.all()?, name)
    }
}

impl Experiment {
    /// Builds and runs it: a bench optimised, because a debug build would measure the compiler; an experiment with debug
    /// assertions and overflow checks, because it looks for what is wrong and not for how fast it is, and waits for others
    /// most of the time.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command =
            cargo(["run", "--quiet", "--manifest-path", "bench/Cargo.toml", "--package", &self.package]);
        if self.sort == Sort::Bench {
            command.arg("--release");
        }
        command.arg("--").args(args);
        command
    }
}

fn pick(all: Vec<Experiment>, name: &str) -> Result<Experiment, String> {
    let known: Vec<String> =
        all.iter().map(|one| format!("\n  {:12} {}", one.name, one.about).trim_end().to_owned()).collect();
    let known = if known.is_empty() { " none yet, in bench/".to_owned() } else { known.concat() };
    all.into_iter()
        .find(|one| one.name == name)
        .ok_or_else(|| format!("there is no `{name}`. There is:{known}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let http = Experiment {
            name: "http".into(),
            about: "What a request costs.".into(),
            in_ci: false,
            package: "bench-http".into(),
            sort: Sort::Bench,
        };
        assert_eq!(pick(vec![http.clone()], "http"), Ok(http.clone()));
        let refused = pick(vec![http], "htpp").unwrap_err();
        assert_eq!(refused, "there is no `htpp`. There is:\n  http         What a request costs.");
        assert_eq!(pick(Vec::new(), "db").unwrap_err(), "there is no `db`. There is: none yet, in bench/");
    }
}
