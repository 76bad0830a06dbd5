//! The shop's binary, and the real invoices that it is given.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// How the shop is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// As `cargo run -p shop` does.
    Debug,
    /// As an operator runs it.
    Release,
}

/// Builds the shop and answers where the binary is.
///
/// # Errors
/// When cargo cannot be run, or does not build it.
pub fn build(profile: Profile) -> Result<PathBuf, String> {
    let release = (profile == Profile::Release).then_some("--release");
    let output = Command::new("cargo")
        .args(["build", "--quiet", "--package", "shop", "--message-format", "json"])
        .args(release)
        .current_dir(repository())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo cannot be run: {error}"))?;
    if !output.status.success() {
        return Err(format!("building the shop failed: {}", output.status));
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == "shop" && message["target"]["kind"][0] == "bin")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .ok_or_else(|| "cargo built no binary named shop".to_owned())
}

/// A year of real invoices, the Online Retail export: where `ONLINE_RETAIL` says, or beside the repository. `None` if it is at neither,
/// which is then said.
pub fn export(bench: &str) -> Option<PathBuf> {
    let beside = repository().join("../shared/data/online-retail-2010-12_2011-10.csv.gz");
    let export = std::env::var_os("ONLINE_RETAIL").map_or(beside, PathBuf::from).canonicalize().ok();
    if export.is_none() {
        eprintln!(
            "bench {bench}: SKIPPED, nothing was measured: no Online Retail export; set ONLINE_RETAIL to its path"
        );
    }
    export
}

fn repository() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own).to_owned()
}
