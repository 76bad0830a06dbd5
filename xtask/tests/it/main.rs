//! The verbs, as a person types them.

#![expect(
    clippy::unwrap_used,
    reason = "in a test an error is a failure, wherever the test has put the line"
)]

use std::process::{Command, Output, Stdio};

fn xtask(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask")).args(args).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn every_verb_explains_itself() {
    let help = text(&xtask(&["--help"]).stdout);
    for verb in ["ci", "test", "bench", "chaos", "services", "floors"] {
        assert!(help.contains(&format!("\n  {verb} ")), "{verb} is not in:\n{help}");
        let own = xtask(&[verb, "--help"]);
        assert!(own.status.success());
        assert!(text(&own.stdout).contains(&format!("Usage: cargo xtask {verb}")));
    }
    assert!(help.contains("Examples:\n  cargo xtask test"), "{help}");
}

#[test]
fn the_floors_are_drawn_and_kept() {
    let floors = xtask(&["floors"]);
    let said = text(&floors.stdout);
    assert!(floors.status.success(), "{said}");
    assert!(said.contains("0 ground    burgeon-core"), "{said}");
    assert!(said.trim_end().ends_with("broken rules: 0"), "{said}");
}

#[test]
fn an_unknown_bench_or_experiment_names_the_known_ones() {
    for verb in ["bench", "chaos"] {
        let refused = xtask(&[verb, "no-such-thing"]);
        assert!(!refused.status.success());
        let said = text(&refused.stderr);
        assert!(said.contains("there is no `no-such-thing`. There is:"), "{said}");
    }
    let listed = text(&xtask(&["bench"]).stdout);
    assert!(listed.lines().any(|line| line.starts_with("build ")), "{listed}");
}
