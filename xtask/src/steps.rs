//! Steps one after another: each announced, timed, and written into the table at the end.

use std::process::{Command, ExitCode};
use std::time::Duration;

use crate::command::follow;
use crate::tally::Tally;

/// What became of a step.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// All is well.
    Passed(Tally),
    /// Something is wrong, in a few words.
    Failed(Tally, String),
    /// It was not done, and why.
    Skipped(String),
}

/// The steps done so far.
#[derive(Debug, Default)]
pub(crate) struct Steps(Vec<Step>);

#[derive(Debug)]
struct Step {
    name: String,
    took: Duration,
    outcome: Outcome,
}

impl Steps {
    /// Does a step. One that fails does not keep the next from being done: a person wants to see all that is red.
    pub(crate) fn step(&mut self, name: &str, work: impl FnOnce() -> Outcome) {
        println!("\n=== {name}");
        #[expect(clippy::disallowed_methods, reason = "a person waits here; no test pauses this clock")]
        let started = std::time::Instant::now();
        let outcome = work();
        let took = started.elapsed();
        println!("--- {name}: {} in {}", outcome.word(), seconds(took));
        self.0.push(Step { name: name.to_owned(), took, outcome });
    }

    /// A step that is one command.
    pub(crate) fn command(&mut self, name: &str, mut command: Command) {
        self.step(name, || Outcome::of(&mut command));
    }

    /// Prints the table and, as the last line, `N passed, N failed`: tests, and steps that failed without one.
    pub(crate) fn finish(self) -> ExitCode {
        println!("\n{}", self.table());
        let total = self.total();
        println!("{} passed, {} failed", total.passed, total.failed);
        if total.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn total(&self) -> Tally {
        let mut total = Tally::default();
        for step in &self.0 {
            match &step.outcome {
                Outcome::Passed(tally) => total += *tally,
                // A step that broke before its tests ran is a failure all the same.
                Outcome::Failed(tally, _) => total += Tally { failed: tally.failed.max(1), ..*tally },
                Outcome::Skipped(_) => {}
            }
        }
        total
    }

    fn table(&self) -> String {
        let width = self.0.iter().map(|step| step.name.chars().count()).max().unwrap_or(0);
        let mut table: Vec<String> = self
            .0
            .iter()
            .map(|step| format!("{:width$}  {:>9}  {}", step.name, seconds(step.took), step.outcome.said()))
            .collect();
        let all: Duration = self.0.iter().map(|step| step.took).sum();
        table.push(format!("{:width$}  {:>9}", "all", seconds(all)));
        table.join("\n")
    }
}

impl Outcome {
    /// What became of a command: its exit code decides, its output counts.
    pub(crate) fn of(command: &mut Command) -> Outcome {
        match follow(command) {
            Ok(ended) => Outcome::judged(ended.success, ended.tally),
            Err(error) => Outcome::Failed(Tally::default(), error),
        }
    }

    fn judged(success: bool, tally: Tally) -> Outcome {
        if success && tally.failed == 0 {
            return Outcome::Passed(tally);
        }
        Outcome::Failed(tally, "see above".to_owned())
    }

    fn word(&self) -> &'static str {
        match self {
            Outcome::Passed(_) => "ok",
            Outcome::Failed(..) => "FAILED",
            Outcome::Skipped(_) => "skipped",
        }
    }

    fn said(&self) -> String {
        let word = self.word();
        match self {
            Outcome::Passed(Tally { passed: 0, .. }) => word.to_owned(),
            Outcome::Passed(tally) => format!("{word}, {} tests", tally.passed),
            Outcome::Failed(Tally { passed: 0, failed: 0 }, why) => format!("{word}: {why}"),
            Outcome::Failed(tally, why) => {
                format!("{word}: {} of {} tests, {why}", tally.failed, tally.passed + tally.failed)
            }
            Outcome::Skipped(why) => format!("{word}: {why}"),
        }
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &str, outcome: Outcome) -> Step {
        Step { name: name.to_owned(), took: Duration::from_millis(1500), outcome }
    }

    #[test]
    fn the_total_counts_tests_and_steps_that_broke_without_one() {
        let tally = |passed, failed| Tally { passed, failed };
        let steps = Steps(vec![
            step("format", Outcome::Passed(tally(0, 0))),
            step("clippy", Outcome::Failed(tally(0, 0), "see above".into())),
            step("tests", Outcome::Failed(tally(40, 2), "see above".into())),
            step("deny", Outcome::Skipped("not installed".into())),
        ]);
        assert_eq!(steps.total(), tally(40, 3));
        assert_eq!(
            steps.table(),
            "format      1.5 s  ok\n\
             clippy      1.5 s  FAILED: see above\n\
             tests       1.5 s  FAILED: 2 of 42 tests, see above\n\
             deny        1.5 s  skipped: not installed\n\
             all         6.0 s"
        );
    }

    #[test]
    fn a_command_that_claims_success_and_counts_a_failure_has_failed() {
        let tally = |failed| Tally { passed: 3, failed };
        assert!(matches!(Outcome::judged(true, tally(0)), Outcome::Passed(_)));
        assert!(matches!(Outcome::judged(true, tally(1)), Outcome::Failed(..)));
        assert!(matches!(Outcome::judged(false, tally(0)), Outcome::Failed(..)));
    }
}
