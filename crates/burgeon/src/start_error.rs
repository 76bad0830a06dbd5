//! Why an application did not start, for the person who started it: what, where, what to do.

use std::fmt;

use burgeon_core::Error;

use crate::config::Problems;

/// Why an application did not start, or a command failed.
///
/// Displays as text for people, several lines where there is more than one thing to say; never a backtrace.
#[derive(Debug)]
pub struct StartError {
    what: String,
    /// One more line each: why, where, what to do.
    more: Vec<String>,
    exit_code: u8,
    source: Option<Error>,
}

impl StartError {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), more: Vec::new(), exit_code: 1, source: None }
    }

    /// What failed, and the error that says why.
    pub(crate) fn because(what: impl Into<String>, error: Error) -> Self {
        let mut failure = Self::new(what);
        failure.more.extend(reasons(&error));
        failure.exit_code = error.find::<burgeon_runtime::Interrupted>().map_or(1, |why| why.exit_code());
        failure.source = Some(error);
        failure
    }

    pub(crate) fn and(mut self, line: impl Into<String>) -> Self {
        self.more.push(line.into());
        self
    }

    /// What the process should exit with.
    pub fn exit_code(&self) -> u8 {
        self.exit_code
    }
}

/// The error's own sentence, unless it says nothing, and each of its sources. Here the operator reads, so the private
/// part is told.
fn reasons(error: &Error) -> Vec<String> {
    let mut lines = Vec::new();
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = next {
        let line = error.to_string();
        // A sentence that every error of its kind has helps no operator; what is behind it does.
        let says_nothing = error.downcast_ref::<Error>().is_some_and(|own| {
            own.public() == Error::from_source(own.kind(), "").public()
                && std::error::Error::source(own).is_some()
        });
        // Nor is one repeated that the line before has told.
        let told = lines.last().is_some_and(|before: &String| before.contains(&line));
        if !says_nothing && !told {
            lines.push(line);
        }
        next = error.source();
    }
    lines
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        self.more.iter().flat_map(|line| line.lines()).try_for_each(|line| write!(f, "\n  {line}"))
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|error| error as &(dyn std::error::Error + 'static))
    }
}

impl From<Problems> for StartError {
    fn from(problems: Problems) -> Self {
        let text = problems.to_string();
        let mut lines = text.lines().map(|line| line.trim_start().to_owned());
        let what = lines.next().unwrap_or_default();
        let more =
            lines.chain(["`config explain` shows every key, once these are mended".to_owned()]).collect();
        Self { what, more, exit_code: 2, source: None }
    }
}
