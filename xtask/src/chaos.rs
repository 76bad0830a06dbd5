//! `cargo xtask chaos NAME`: faults, against a ledger outside the system.

use std::hash::{BuildHasher, RandomState};
use std::process::ExitCode;

use crate::command::typed;
use crate::experiment::Sort;

/// Runs a fault experiment: kill, pause, cut, delay
///
/// Prints the seed first, so that a failure can be run again, and closes with `N passed, N failed`. The short form
/// (two seeds) ends within 50 s once built; the long form is for people.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask chaos                       what there is
  cargo xtask chaos checkout              the short form, on a new seed
  cargo xtask chaos checkout --seed 42    again, as it was
  cargo xtask chaos checkout --long")]
pub(crate) struct Args {
    /// Which; without a name, those that exist are listed
    name: Option<String>,
    /// What chance starts from; a new one when not given
    #[arg(long)]
    seed: Option<u32>,
    /// The long form
    #[arg(long)]
    long: bool,
    /// Handed on to the experiment
    #[arg(last = true)]
    args: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, String> {
    let Some(name) = &args.name else {
        for experiment in Sort::Chaos.all()? {
            println!("{:12} {}", experiment.name, experiment.about);
        }
        return Ok(ExitCode::SUCCESS);
    };
    let experiment = Sort::Chaos.named(name)?;
    let seed = args.seed.unwrap_or_else(new_seed).to_string();
    println!("seed {seed}");
    let mut flags = vec!["--seed", seed.as_str()];
    flags.extend(args.long.then_some("--long"));
    flags.extend(args.args.iter().map(String::as_str));
    let mut command = experiment.command(&flags);
    let status = command.status().map_err(|error| format!("running `{}`: {error}", typed(&command)))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Small enough to be typed again.
pub(crate) fn new_seed() -> u32 {
    // The hasher's random keys are the one source of chance in std.
    u32::try_from(RandomState::new().hash_one(0) % 1_000_000).unwrap_or_default()
}
