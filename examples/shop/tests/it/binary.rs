//! Running the shop's binary against a database.

use std::path::Path;
use std::process::{Command, Output};

/// Runs a verb of the shop to its end.
pub(crate) fn shop(folder: &Path, database: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_shop"))
        .args(arguments)
        .current_dir(folder)
        .env("DATABASE_URL", database)
        // No test of a verb looks at the catalogue, and a full one takes longer to make than most verbs run.
        .env("BURGEON__SHOP__CATALOG", "20")
        .output()
        .expect("the shop's binary starts")
}

/// What a verb that must succeed printed.
pub(crate) fn printed(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    String::from_utf8(output.stdout.clone()).expect("the shop prints text")
}

/// The one JSON value that a verb printed.
pub(crate) fn json(output: &Output) -> serde_json::Value {
    let printed = printed(output);
    serde_json::from_str(&printed).expect("the shop prints one JSON value")
}
