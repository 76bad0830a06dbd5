//! What a decision costs: CPU nanoseconds, by one thread and by eight that share the machine, ours and the peers' in turns.
//!
//! A decision is everything a call pays: to be admitted, and to say how it ended. CPU time and not wall time, because other work on
//! the machine lengthens the one and hardly the other. Ours are handed the time, as in a server that reads the clock once per
//! request; "clock read" adds a reading of the system's clock, as the peers do it inside.

mod case;
mod measure;
mod pipeline;

use std::process::ExitCode;

use bench_report::{Report, Target};
use clap::Parser;

use crate::case::Case;

/// Nanoseconds of CPU per decision, alone and from eight threads, beside tower-resilience, failsafe and governor.
#[derive(Parser)]
struct Args {
    /// Fewer and shorter rounds.
    #[arg(long)]
    quick: bool,
    /// One JSON object per line.
    #[arg(long)]
    json: bool,
}

const THREADS: [usize; 2] = [1, 8];

fn main() -> ExitCode {
    let args = Args::parse();
    let (rounds, seconds) = if args.quick { (3, 0.1) } else { (9, 0.5) };
    let cases = case::all();
    let mut report = Report::new("resilience", args.json);
    for threads in THREADS {
        let mut took: Vec<Vec<f64>> = vec![Vec::new(); cases.len()];
        for _ in 0..rounds {
            for (case, took) in cases.iter().zip(&mut took) {
                took.push(measure::nanos(case, threads, seconds));
            }
        }
        let medians: Vec<f64> = took.iter_mut().map(|list| bench_report::median(list)).collect();
        let of = |name: &str| cases.iter().position(|case| case.name == name).map(|index| medians[index]);
        for (case, nanos) in cases.iter().zip(&medians) {
            let measure = format!("{}, {threads} thread{}", case.name, if threads == 1 { "" } else { "s" });
            match case.limit.filter(|_| threads == 1) {
                Some(limit) => report.against(&measure, *nanos, "ns CPU", Target::AtMost(limit)),
                None => report.value(&measure, case.peer, *nanos, "ns CPU"),
            }
            if let Some(theirs) = case.beside.and_then(of) {
                report.ratio(&measure, *nanos, "ns CPU", case.beside.unwrap_or_default(), theirs, None);
            }
        }
    }
    if report.finish() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
