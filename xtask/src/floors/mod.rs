//! `cargo xtask floors`: the table of floors and the other rules of the dependency graph, checked against
//! `cargo metadata`.
//!
//! A crate depends on crates of lower floors only: never sideways, never up. A dev-dependency on `burgeon-services` or
//! `burgeon-test` may point upward, because tests of everything use them and nothing ships with them; any other one
//! obeys the rule too. (Cargo itself refuses a cycle of ordinary dependencies.)

mod graph;
mod licence;
mod rules;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use crate::command::root;
use crate::steps::Outcome;
use crate::tally::Tally;
use graph::Graph;

/// Checks which crate may depend on which
///
/// Floors, one owner per heavy crate, banned crates, crates that must exist once, licences.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask floors           prints the house and what is wrong with it
  cargo test -p xtask floors   the same, as a test")]
pub(crate) struct Args {}

pub(crate) fn run(Args {}: &Args) -> Result<ExitCode, String> {
    println!("{}", rules::picture());
    Ok(match step() {
        Outcome::Passed(_) => ExitCode::SUCCESS,
        Outcome::Failed(..) | Outcome::Skipped(_) => ExitCode::FAILURE,
    })
}

/// The check as a step of CI.
pub(crate) fn step() -> Outcome {
    let graph = match Graph::read(root()) {
        Ok(graph) => graph,
        Err(error) => return Outcome::Failed(Tally::default(), error),
    };
    let broken = rules::broken(&graph);
    for sentence in &broken {
        println!("{sentence}");
    }
    let (ours, all) = (graph.ours().count(), graph.packages.len());
    println!("{ours} crates of ours among {all}; broken rules: {}", broken.len());
    match broken.len() {
        0 => Outcome::Passed(Tally::default()),
        number => Outcome::Failed(Tally::default(), format!("broken rules: {number}, see above")),
    }
}
