//! `cargo xtask test`: every test of the workspace, on a machine that may have nothing but Rust.

use std::process::ExitCode;

use cargo_metadata::{MetadataCommand, Package};

use crate::command::{cargo, has_cargo, root};
use crate::install;
use crate::steps::Steps;

/// Installs what is missing and runs the tests, doctests included
///
/// Finds Postgres, Redis, NATS, PgBouncer, Chromium and faketime. Where one is missing it is installed from the
/// distribution's packages if this is root and `apt-get` is there, without starting system services; otherwise the
/// command to run is printed. Tests start their own servers on free ports. `cargo nextest` is used when installed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask test
  cargo xtask test -p burgeon-db
  cargo xtask test -p burgeon-http a_request_id     the tests whose names contain these words")]
pub(crate) struct Args {
    /// Handed on to the test runner: `-p CRATE`, a part of a test's name, ...
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, String> {
    install::whatever_is_missing()?;
    let mut steps = Steps::default();
    tests(&mut steps, &args.args, &[]);
    Ok(steps.finish())
}

/// The steps that test: build, run, doctests.
pub(crate) fn tests(steps: &mut Steps, args: &[String], environment: &[(&str, &str)]) {
    let Selection { packages, rest } = Selection::of(args);
    let packages: Vec<&str> =
        if packages.is_empty() { vec!["--workspace"] } else { packages.iter().map(String::as_str).collect() };
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    let mut command = |name: &str, words: &[&[&str]]| {
        let mut command = cargo(words.concat());
        command.envs(environment.iter().copied());
        steps.command(name, command);
    };

    if has_cargo("nextest") {
        command("build tests", &[&["nextest", "run", "--no-run"], &packages]);
        command("tests", &[&["nextest", "run", "--no-fail-fast", "--no-tests=pass"], &packages, &rest]);
    } else {
        command("build tests", &[&["test", "--no-run"], &packages]);
        // `--all-targets` leaves out doctests, which have their own step.
        command("tests", &[&["test", "--no-fail-fast", "--all-targets"], &packages, &rest]);
    }
    // A filter names tests; whoever gives one does not wait for doctests.
    if rest.is_empty() && documented(&packages) {
        command("doctests", &[&["test", "--doc", "--no-fail-fast"], &packages]);
    }
}

/// Whether any of these packages has a library: cargo refuses to look for doctests where there is none.
fn documented(packages: &[&str]) -> bool {
    let Ok(metadata) = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec()
    else {
        // Cargo will say what is wrong better than we could.
        return true;
    };
    let has_library =
        |package: &&Package| package.targets.iter().any(|target| target.is_lib() || target.is_proc_macro());
    let mut libraries = metadata.packages.iter().filter(has_library);
    packages.contains(&"--workspace") || libraries.any(|package| packages.contains(&package.name.as_str()))
}

/// Which packages, and everything else.
#[derive(Debug, PartialEq, Eq)]
struct Selection {
    packages: Vec<String>,
    rest: Vec<String>,
}

impl Selection {
    fn of(args: &[String]) -> Selection {
        let mut selection = Selection { packages: Vec::new(), rest: Vec::new() };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "-p" | "--package" | "--exclude" => {
                    selection.packages.push(arg.clone());
                    selection.packages.extend(args.next().cloned());
                }
                "--workspace" => selection.packages.push(arg.clone()),
                word => match word.split_once('=') {
                    Some((flag @ ("--package" | "--exclude"), name)) => {
                        selection.packages.extend([flag.to_owned(), name.to_owned()]);
                    }
                    _ => match word.strip_prefix("-p") {
                        Some(name) => selection.packages.extend(["-p".to_owned(), name.to_owned()]),
                        None => selection.rest.push(arg.clone()),
                    },
                },
            }
        }
        selection
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(line: &str) -> (String, String) {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let Selection { packages, rest } = Selection::of(&args);
        (packages.join(" "), rest.join(" "))
    }

    #[test]
    fn only_a_library_has_doctests() {
        assert!(documented(&["--workspace"]));
        assert!(documented(&["-p", "burgeon-core"]) && documented(&["-p", "xtask", "-p", "burgeon-core"]));
        assert!(!documented(&["-p", "xtask"]));
    }

    #[test]
    fn packages_are_told_from_filters() {
        assert_eq!(selection("-p burgeon-db a_lock"), ("-p burgeon-db".into(), "a_lock".into()));
        assert_eq!(selection("--package=shop -pxtask"), ("--package shop -p xtask".into(), String::new()));
        assert_eq!(
            selection("--workspace --exclude shop -- --nocapture"),
            ("--workspace --exclude shop".into(), "-- --nocapture".into())
        );
        assert_eq!(selection("-p"), ("-p".into(), String::new()));
    }
}
