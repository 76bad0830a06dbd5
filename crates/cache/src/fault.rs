//! What can go wrong in a cache, and a failure that several callers share.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use burgeon_core::units::format_duration;
use burgeon_core::{Error, Kind};

/// Why a cache has no answer of its own; found in an [`Error`] with [`Error::find`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The load took longer than `load_timeout`, or than the caller had left.
    Timeout {
        /// Of which cache.
        cache: Arc<str>,
        /// How long the caller waited.
        after: Duration,
    },
    /// The cache has no loader.
    NoLoader {
        /// Which one.
        cache: Arc<str>,
    },
    /// The loader said "not modified" or "keep", and nothing was there.
    NothingToKeep {
        /// Which one.
        cache: Arc<str>,
    },
    /// The second tier is out of reach, and as many loads as are allowed then are under way: see
    /// [`far::Config::loads_when_down`](crate::far::Config::loads_when_down).
    Crowded {
        /// Which one.
        cache: Arc<str>,
    },
    /// The loader panicked, or the application stopped under it.
    Broken {
        /// Which one.
        cache: Arc<str>,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Timeout { cache, after } => {
                write!(f, "loading into the cache `{cache}` timed out after {}", format_duration(*after))
            }
            Fault::NoLoader { cache } => write!(f, "the cache `{cache}` has no loader: use `get_or_load`"),
            Fault::NothingToKeep { cache } => {
                write!(f, "the loader of the cache `{cache}` kept a value where there was none")
            }
            Fault::Crowded { cache } => write!(
                f,
                "the cache `{cache}` does not reach its second tier, and no more may be loaded at once without it"
            ),
            Fault::Broken { cache } => {
                write!(f, "the loader of the cache `{cache}` panicked, or the application is stopping")
            }
        }
    }
}

impl StdError for Fault {}

impl Fault {
    pub(crate) fn into_error(self) -> Error {
        let kind = match self {
            Fault::Timeout { .. } => Kind::Deadline,
            Fault::Crowded { .. } => Kind::Overloaded,
            Fault::NoLoader { .. } | Fault::NothingToKeep { .. } | Fault::Broken { .. } => Kind::Internal,
        };
        Error::from_source(kind, self)
    }
}

/// A failure of one load that all who waited for it get.
#[derive(Debug, Clone)]
pub(crate) struct Shared(Arc<Error>);

impl Shared {
    pub(crate) fn new(error: Error) -> Self {
        Self(Arc::new(error))
    }

    /// The same failure for one more caller.
    pub(crate) fn into_error(self) -> Error {
        let error = Error::new(self.0.kind(), self.0.public().to_owned());
        let error = match self.0.retry_after() {
            Some(after) => error.with_retry_after(after),
            None => error,
        };
        error.with_source(self)
    }
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl StdError for Shared {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}
