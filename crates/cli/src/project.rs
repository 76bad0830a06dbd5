//! Verbs that only the application itself can answer: its own binary is built and asked.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// Runs `cargo run --quiet -- VERB REST..` in the project around the working directory.
///
/// # Errors
/// A sentence, when there is no project, or Cargo cannot be run.
pub(crate) fn run(verb: &str, package: Option<&str>, rest: &[String]) -> Result<ExitCode, String> {
    let manifest = manifest()?;
    let mut cargo = Command::new(variable("CARGO").unwrap_or_else(|| "cargo".to_owned()));
    cargo.args(["run", "--quiet", "--manifest-path"]).arg(&manifest);
    if let Some(package) = package {
        cargo.args(["--package", package]);
    }
    cargo.args(["--", verb]).args(rest);
    let status =
        cargo.status().map_err(|error| format!("cargo cannot be run: {error}; is Rust installed?"))?;
    Ok(match status.code() {
        Some(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        None => ExitCode::FAILURE,
    })
}

/// The nearest `Cargo.toml`, if it has to do with Burgeon.
fn manifest() -> Result<PathBuf, String> {
    let here =
        std::env::current_dir().map_err(|error| format!("the working directory cannot be read: {error}"))?;
    let manifest = here
        .ancestors()
        .map(|directory| directory.join("Cargo.toml"))
        .find(|manifest| manifest.is_file())
        .ok_or_else(|| {
            format!(
                "there is no Cargo.toml in {} or above it; go into an application's directory, or make one with `burgeon new NAME`",
                here.display()
            )
        })?;
    let text =
        std::fs::read_to_string(&manifest).map_err(|error| format!("{}: {error}", manifest.display()))?;
    match text.contains("burgeon") || text.contains("[workspace]") {
        true => Ok(manifest),
        false => Err(format!(
            "{} does not depend on burgeon; go into an application's directory, or make one with `burgeon new NAME`",
            manifest.display()
        )),
    }
}

#[expect(clippy::disallowed_methods, reason = "the command line tool reads what Cargo gives it")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
