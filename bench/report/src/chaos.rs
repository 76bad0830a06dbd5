//! How every chaos experiment is asked and how it answers: the seed first, a line per part, `N passed, N failed` at the end.

use std::fmt::Display;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{CommandFactory as _, FromArgMatches as _, Parser};

#[derive(Parser)]
struct Options {
    /// What the dice start from; printed first, so that a failure can be replayed.
    #[arg(long)]
    seed: Option<u64>,
    /// The long form: for people, not for CI.
    #[arg(long)]
    long: bool,
    /// Only this part.
    #[arg(long, value_name = "PART")]
    only: Option<String>,
}

/// One run of an experiment.
pub struct Chaos {
    /// What the dice start from.
    pub seed: u64,
    /// Whether this is the long form.
    pub long: bool,
    only: Option<String>,
    passed: u32,
    failed: u32,
}

impl Chaos {
    /// What the command line asks for, of an experiment with these parts; ends the process where it asks for anything else.
    #[must_use]
    pub fn from_args(about: &'static str, parts: &'static [&'static str]) -> Self {
        let only = PossibleValuesParser::new(parts);
        let command = Options::command().about(about).mut_arg("only", |arg| arg.value_parser(only));
        let options = Options::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit());
        let seed = options.seed.unwrap_or_else(|| u64::from(std::process::id()));
        println!("seed {seed}");
        Self { seed, long: options.long, only: options.only, passed: 0, failed: 0 }
    }

    /// Whether this part is to run.
    #[must_use]
    pub fn wants(&self, part: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == part)
    }

    /// Says how a part ended.
    pub fn tell(&mut self, part: &str, ended: Result<String, impl Display>) {
        match ended {
            Ok(story) => {
                self.passed += 1;
                println!("{part}: {story}");
            }
            Err(error) => {
                self.failed += 1;
                println!("{part}: FAILED: {error}");
            }
        }
    }

    /// The last line, and what the process ends with.
    #[must_use]
    pub fn finish(self) -> ExitCode {
        println!("{} passed, {} failed", self.passed, self.failed);
        if self.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
