//! The cache beside others: what a hit costs with one worker and with eight, what one in Redis costs, and how often there is
//! one on real traces.

mod allocations;
mod far;
mod ratio;
mod speed;
mod trace;

use std::process::ExitCode;

use bench_report::Report;
use clap::Parser;

/// A hit in memory and hit ratios, beside moka, quick_cache, foyer and amalgam.
#[derive(Parser)]
struct Args {
    /// Fewer rounds, and the first million accesses of the long trace.
    #[arg(long)]
    quick: bool,
    /// One JSON object per line.
    #[arg(long)]
    json: bool,
    /// Only `speed`, only `far` or only `ratio`.
    #[arg(long)]
    only: Option<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut report = Report::new("cache", args.json);
    let wanted = |part: &str| args.only.as_deref().is_none_or(|only| only == part);
    if wanted("speed") {
        speed::run(&mut report, args.quick);
    }
    if wanted("far") {
        far::run(&mut report, args.quick);
    }
    if wanted("ratio") {
        ratio::run(&mut report, args.quick);
    }
    match report.finish() {
        0 => ExitCode::SUCCESS,
        missed => {
            eprintln!("{missed} targets missed");
            ExitCode::FAILURE
        }
    }
}
