//! The project's own verbs, `cargo xtask VERB`: what a developer runs is what CI runs.
//!
//! One file per verb. Nothing here is published, and nothing published depends on it.

mod bench;
mod chaos;
mod ci;
mod command;
mod experiment;
mod floors;
mod install;
mod loom;
mod services;
mod steps;
mod tally;
mod test;

use std::process::ExitCode;

use clap::Parser;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Burgeon's own verbs", after_help = EXAMPLES)]
enum Verb {
    Ci(ci::Args),
    Test(test::Args),
    Bench(bench::Args),
    Chaos(chaos::Args),
    Loom(loom::Args),
    Services(services::Args),
    Floors(floors::Args),
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask test                    install what is missing, then run every test
  cargo xtask test -p burgeon-db      the tests of one crate
  cargo xtask ci                      all that runs before a change is taken
  cargo xtask services                Postgres, Redis and NATS to play with
  cargo xtask bench http --quick      what a request costs, beside its peers
  cargo xtask chaos checkout          kill things and look for lost orders
  cargo xtask loom                    every interleaving of threads over the shared machines";

fn main() -> ExitCode {
    let done = match Verb::parse() {
        Verb::Ci(args) => ci::run(&args),
        Verb::Test(args) => test::run(&args),
        Verb::Bench(args) => bench::run(&args),
        Verb::Chaos(args) => chaos::run(&args),
        Verb::Loom(args) => loom::run(&args),
        Verb::Services(args) => services::run(&args),
        Verb::Floors(args) => floors::run(&args),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
