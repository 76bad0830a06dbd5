//! `cargo xtask services`: servers for a person to play with.

use std::process::ExitCode;

use crate::command::{cargo, typed};
use crate::install;

/// Starts Postgres, Redis and NATS, prints their URLs, and stops them at Ctrl-C
///
/// Each runs on a free port of the loopback interface, without a password, in a temporary directory that is removed
/// with it. The machine's own servers are not touched.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask services                 all three
  cargo xtask services postgres        one of them
  DATABASE_URL=<the printed URL> cargo run -p shop")]
pub(crate) struct Args {
    /// postgres, redis, nats; all of them when none is named
    names: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, String> {
    install::whatever_is_missing()?;
    let mut command = cargo(["run", "--quiet", "--package", "burgeon-services", "--"]);
    command.args(&args.names);
    let status = command.status().map_err(|error| format!("running `{}`: {error}", typed(&command)))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
