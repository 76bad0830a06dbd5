//! How a call through an upstream fails.

use std::fmt;
use std::time::Duration;

use burgeon_core::Kind;

use crate::Refused;

/// Why there is no answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error<E> {
    /// Nothing was sent.
    Refused(Refused),
    /// The last try was not answered in its time. Whether it had an effect is not known.
    TimedOut {
        /// Who did not answer.
        upstream: String,
        /// How long was waited.
        after: Duration,
    },
    /// The service's own error, of the last try.
    Service(E),
}

impl<E> From<Refused> for Error<E> {
    fn from(refused: Refused) -> Self {
        Error::Refused(refused)
    }
}

impl<E: std::error::Error + Send + Sync + 'static> Error<E> {
    /// As the error of a handler: what was refused as the machine says, what timed out as a deadline, the rest as unavailable.
    pub fn into_error(self) -> burgeon_core::Error {
        match self {
            Error::Refused(refused) => refused.into_error(),
            Error::TimedOut { .. } => burgeon_core::Error::from_source(Kind::Deadline, self),
            Error::Service(_) => burgeon_core::Error::from_source(Kind::Unavailable, self),
        }
    }
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Refused(refused) => refused.fmt(f),
            Error::TimedOut { upstream, after } => write!(f, "`{upstream}` did not answer within {after:?}"),
            Error::Service(error) => error.fmt(f),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for Error<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Refused(refused) => Some(refused),
            Error::TimedOut { .. } => None,
            Error::Service(error) => error.source(),
        }
    }
}
