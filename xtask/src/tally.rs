//! Counting tests from what their runners print.

use std::ops::AddAssign;

/// So many passed, so many did not.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl Tally {
    /// What one line of output says; nothing, for most lines.
    pub(crate) fn of(line: &str) -> Tally {
        // nextest indents what a failed test printed, a libtest result among it, which must not count twice.
        let line = line.trim_end();
        let found = line
            .strip_prefix("test result:")
            .and_then(libtest)
            .or_else(|| line.trim_start().strip_prefix("Summary [").and_then(nextest))
            .or_else(|| experiment(line));
        found.unwrap_or_default()
    }
}

/// `ok. 23 passed; 0 failed; 0 ignored; ...`
fn libtest(rest: &str) -> Option<Tally> {
    let (_, counts) = rest.split_once(". ")?;
    let mut counts = counts.split(';').map(str::trim);
    let passed = counts.next()?.strip_suffix(" passed")?.parse().ok()?;
    let failed = counts.next()?.strip_suffix(" failed")?.parse().ok()?;
    Some(Tally { passed, failed })
}

/// `   4.755s] 24 tests run: 22 passed (1 slow), 1 failed, 1 timed out, 0 skipped`; with a first failure that
/// stops the run, `12/24 tests run`. Whatever ran and did not pass has failed.
fn nextest(rest: &str) -> Option<Tally> {
    let (_, counts) = rest.split_once(']')?;
    let (run, results) = counts.split_once(" run:")?;
    let run: u64 = run.trim().split([' ', '/']).next()?.parse().ok()?;
    let passed = results.split(',').find_map(|part| {
        let (number, word) = part.trim().split_once(' ')?;
        (word == "passed" || word.starts_with("passed ")).then(|| number.parse().ok())?
    });
    let passed = passed.unwrap_or(0);
    Some(Tally { passed, failed: run.checked_sub(passed)? })
}

/// `40 passed, 0 failed`, the last line of a chaos experiment.
fn experiment(line: &str) -> Option<Tally> {
    let (passed, failed) = line.split_once(" passed, ")?;
    Some(Tally { passed: passed.parse().ok()?, failed: failed.strip_suffix(" failed")?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(line: &str) -> (u64, u64) {
        let Tally { passed, failed } = Tally::of(line);
        (passed, failed)
    }

    #[test]
    fn every_runner_is_understood() {
        let libtest = "test result: FAILED. 16 passed; 7 failed; 0 ignored; 0 measured; 0 filtered out; finished in 3.76s";
        assert_eq!(counted(libtest), (16, 7));
        assert_eq!(
            counted("     Summary [   4.755s] 24 tests run: 24 passed (2 slow), 3 skipped\n"),
            (24, 0)
        );
        let mixed =
            "Summary [ 120.0s] 24 tests run: 21 passed (1 slow, 1 leaky), 1 failed, 2 timed out, 0 skipped";
        assert_eq!(counted(mixed), (21, 3));
        assert_eq!(counted("Summary [   0.010s] 3/24 tests run: 2 passed, 1 failed, 0 skipped"), (2, 1));
        assert_eq!(counted("Summary [   0.010s] 1 test run: 0 passed, 1 failed, 0 skipped"), (0, 1));
        assert_eq!(counted("40 passed, 2 failed"), (40, 2));
    }

    #[test]
    fn prose_about_tests_counts_nothing() {
        for line in [
            "",
            "3 passed",
            "all 3 passed, none failed",
            "test result: who knows",
            "Summary [",
            "x passed, y failed",
        ] {
            assert_eq!(counted(line), (0, 0), "{line}");
        }
    }
}
