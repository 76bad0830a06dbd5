//! `shop import`, as an operator runs it.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Failure;

/// Imports the export into an empty database, `synchronous` as by default, full; lines per second, of the import alone and not of making the tables.
pub fn import(shop: &Path, directory: &Path, database: &str, export: &Path) -> Result<f64, Failure> {
    let output = Command::new(shop)
        .arg("import")
        .arg(export)
        .args(["--json", "--refused"])
        .arg(directory.join("refused.csv"))
        .current_dir(directory)
        .env("DATABASE_URL", database)
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        return Err(format!("shop import failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let summary: Value = serde_json::from_slice(&output.stdout)?;
    if summary["inserted"] != summary["lines"] {
        return Err(format!("shop import left lines out: {summary}").into());
    }
    let (lines, seconds) = (summary["lines"].as_f64(), summary["seconds"].as_f64());
    let (lines, seconds) = lines.zip(seconds).ok_or("shop import printed no lines and seconds")?;
    Ok(lines / seconds)
}
