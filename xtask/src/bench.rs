//! `cargo xtask bench NAME`: a thing and its peers, measured in the same run.

use std::process::ExitCode;

use crate::command::typed;
use crate::experiment::Sort;

/// Measures a thing beside its peers
///
/// Machines are noisy: the ratio is the result. Peers are built too, so the first run takes minutes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench                    what there is
  cargo xtask bench http               a table for people
  cargo xtask bench db --quick --json  within 45 s once built; an object per line:
    {\"bench\",\"measure\",\"value\",\"unit\",\"peer\",\"ratio\",\"target\",\"holds\"}")]
pub(crate) struct Args {
    /// Which; without a name, those that exist are listed
    name: Option<String>,
    /// End within 45 s once built; less precise
    #[arg(long)]
    quick: bool,
    /// One JSON object per line instead of a table
    #[arg(long)]
    json: bool,
    /// Handed on to the bench
    #[arg(last = true)]
    args: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, String> {
    let Some(name) = &args.name else {
        for bench in Sort::Bench.all()? {
            println!("{:12} {}", bench.name, bench.about);
        }
        return Ok(ExitCode::SUCCESS);
    };
    let bench = Sort::Bench.named(name)?;
    let mut flags: Vec<&str> = Vec::new();
    flags.extend(args.quick.then_some("--quick"));
    flags.extend(args.json.then_some("--json"));
    flags.extend(args.args.iter().map(String::as_str));
    let mut command = bench.command(&flags);
    let status = command.status().map_err(|error| format!("running `{}`: {error}", typed(&command)))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
