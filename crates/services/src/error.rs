//! What went wrong with a server, in words for the person who runs the tests.

use std::fmt;

/// The result of everything that a server may refuse.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A text for a person. `Debug` prints it as it is, so that `unwrap` in a test is readable.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(String);

impl Error {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// "reading /tmp/x: permission denied"
    pub(crate) fn io(doing: impl fmt::Display, error: std::io::Error) -> Self {
        Self(format!("{doing}: {error}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}
