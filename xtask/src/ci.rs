//! `cargo xtask ci`: all that must hold before a change is taken. `.ci/run` calls this and nothing else.

use std::process::ExitCode;

use crate::chaos::new_seed;
use crate::command::{cargo, follow, has_cargo};
use crate::experiment::Sort;
use crate::floors;
use crate::install;
use crate::loom;
use crate::steps::{Outcome, Steps};
use crate::tally::Tally;
use crate::test::tests;

/// Everything that runs before a change is taken
///
/// Format, floors, dependencies, clippy, documents, tests, doctests, loom, and the short forms of those chaos experiments and
/// benches that are marked for it. Runs as root or not, without stdin, in a clean checkout; goes on after a failure, and
/// ends with a table of where the time went and the line `N passed, N failed`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cargo xtask ci")]
pub(crate) struct Args {}

/// A build for CI is made once and thrown away: what incremental builds keep beside it is only work.
const ENVIRONMENT: [(&str, &str); 2] = [("CARGO_INCREMENTAL", "0"), ("RUST_BACKTRACE", "1")];

pub(crate) fn run(Args {}: &Args) -> Result<ExitCode, String> {
    let mut steps = Steps::default();
    let plain = |words: &[&str]| {
        let mut command = cargo(words.iter().copied());
        command.envs(ENVIRONMENT);
        command
    };
    steps.step("install", || match install::whatever_is_missing() {
        Ok(()) => Outcome::Passed(Tally::default()),
        Err(error) => Outcome::Failed(Tally::default(), error),
    });
    steps.command("format", plain(&["fmt", "--all", "--", "--check"]));
    steps.step("floors", floors::step);
    steps.step("deny", deny);
    steps.step("advisories", advisories);
    let clippy =
        ["clippy", "--locked", "--workspace", "--all-targets", "--keep-going", "--", "--deny", "warnings"];
    steps.command("clippy", plain(&clippy));
    // Tests want every feature, and cargo builds for all that it builds at once what any of it wants: what an application
    // gets that asks for no broker is compiled nowhere else.
    let bare = ["clippy", "--locked", "--workspace", "--keep-going", "--", "--deny", "warnings"];
    steps.command("clippy, no brokers", plain(&bare));
    tests(&mut steps, &[], &ENVIRONMENT);
    steps.command("loom", loom::short());
    let mut doc = plain(&["doc", "--locked", "--workspace", "--no-deps", "--lib", "--keep-going"]);
    doc.env("RUSTDOCFLAGS", "--deny warnings");
    steps.command("documents", doc);

    let seed = new_seed().to_string();
    for experiment in marked(Sort::Chaos)? {
        let name = format!("chaos {}", experiment.name);
        steps.command(&name, experiment.command(&["--seed", &seed]));
    }
    for bench in marked(Sort::Bench)? {
        let name = format!("bench {}", bench.name);
        steps.command(&name, bench.command(&["--quick"]));
    }
    Ok(steps.finish())
}

fn marked(sort: Sort) -> Result<Vec<crate::experiment::Experiment>, String> {
    Ok(sort.all()?.into_iter().filter(|one| one.in_ci).collect())
}

const NOT_INSTALLED: &str = "cargo-deny is not installed (`cargo install --locked cargo-deny`)";

/// What `floors` has checked already, by the tool that others trust, and from the same list.
fn deny() -> Outcome {
    if !has_cargo("deny") {
        return Outcome::Skipped(format!("{NOT_INSTALLED}; `floors` has checked owners, bans and licences"));
    }
    Outcome::of(&mut cargo(["deny", "--all-features", "check", "bans", "licenses", "sources"]))
}

/// Apart from `deny`, because the database of advisories lives elsewhere and cannot always be reached.
fn advisories() -> Outcome {
    if !has_cargo("deny") {
        return Outcome::Skipped(NOT_INSTALLED.to_owned());
    }
    match follow(&mut cargo(["deny", "--all-features", "check", "advisories"])) {
        Ok(ended) if ended.success => Outcome::Passed(ended.tally),
        Ok(ended) if is_unreachable(&ended.output) => {
            Outcome::Skipped("the advisory database could not be reached, see above".to_owned())
        }
        Ok(ended) => Outcome::Failed(ended.tally, "see above".to_owned()),
        Err(error) => Outcome::Failed(Tally::default(), error),
    }
}

/// Whether cargo-deny failed to get its database, rather than finding something in it.
fn is_unreachable(output: &str) -> bool {
    output.contains("failed to fetch advisory database")
        || output.contains("failed to load advisory database")
}

#[cfg(test)]
mod tests {
    use super::is_unreachable;

    #[test]
    fn a_finding_is_not_mistaken_for_a_broken_line() {
        assert!(is_unreachable("[ERROR] failed to fetch advisory database https://example.org: no route"));
        assert!(!is_unreachable("error[vulnerability]: use after free\n  advisories FAILED"));
    }
}
