//! `cargo xtask loom`: the tests that try every interleaving of threads.

use std::process::{Command, ExitCode};

use crate::command::{cargo, root};
use crate::steps::Steps;

/// Tries every interleaving of threads over the shared state machines
///
/// Compiles burgeon-resilience with `--cfg loom`, which puts loom's atomics in the place of the standard library's, into a target
/// directory of its own, because that flag would rebuild everything else.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask loom                    what CI runs
  cargo xtask loom --preemptions 4    more interleavings, and minutes more
  cargo xtask loom breaker            the tests whose names contain this")]
pub(crate) struct Args {
    /// How often a thread may be interrupted against its will; loom's authors find nearly all faults with two or three
    #[arg(long, default_value_t = 2)]
    preemptions: u32,
    /// Only tests whose names contain this
    filter: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, String> {
    let mut steps = Steps::default();
    steps.command("loom", command(args.preemptions, args.filter.as_deref()));
    Ok(steps.finish())
}

/// The short form, for CI.
pub(crate) fn short() -> Command {
    command(2, None)
}

fn command(preemptions: u32, filter: Option<&str>) -> Command {
    let words = ["test", "--locked", "-p", "burgeon-resilience", "--test", "loom"];
    let mut command = cargo(words.into_iter().chain(filter));
    command
        .env("RUSTFLAGS", "--cfg loom")
        .env("LOOM_MAX_PREEMPTIONS", preemptions.to_string())
        .env("CARGO_TARGET_DIR", root().join("target/loom"));
    command
}
