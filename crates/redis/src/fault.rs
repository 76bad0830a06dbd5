//! What went wrong at Redis, in the distinctions a program can act on.

use std::fmt;
use std::time::Duration;

use burgeon_core::{Error, Kind};

use crate::command::Effect;

/// Why Redis did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// There is no connection, or a read's answer was lost with it; nothing was done. [`Kind::Unavailable`].
    Unavailable {
        /// Why, for the operator.
        why: String,
    },
    /// A write's answer was lost or waited for too long: it may have been done, may be done later, or not.
    /// [`Kind::Unavailable`].
    OutcomeUnknown {
        /// How it came to that, for the operator.
        why: String,
    },
    /// The wait ended and nothing was done, or nothing but reading. [`Kind::Deadline`].
    Timeout {
        /// How long it had waited.
        after: Duration,
    },
    /// Redis answered with an error. [`Kind::Unavailable`] while it cannot do anything like it (`LOADING`, `BUSY`, `OOM`,
    /// `READONLY` and others), else [`Kind::Internal`]: the command is wrong, or the user may not use it.
    Answered {
        /// Its first word: `WRONGTYPE`, `OOM`.
        code: String,
        /// The rest.
        message: String,
    },
    /// Redis answered with another sort of value than the caller can use. [`Kind::Internal`].
    Unexpected {
        /// What was expected.
        wanted: &'static str,
        /// What came.
        got: &'static str,
    },
}

/// What befell a call on the wire.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server answered with an error. The connection lives.
    Answered { code: String, message: String },
    /// The connection is gone; whether the call was done is not known.
    Lost(String),
    /// No answer in time.
    Late(Duration),
}

/// Errors that say something about the server and nothing about the command: another try elsewhere or later may succeed.
const ILL: [&str; 10] = [
    "LOADING",
    "BUSY",
    "OOM",
    "READONLY",
    "MISCONF",
    "MASTERDOWN",
    "NOREPLICAS",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "UNKILLABLE",
];

impl Fault {
    /// The fault behind an error, if Redis was its cause.
    pub fn of(error: &Error) -> Option<&Fault> {
        error.find::<Fault>()
    }

    /// The kind of error it becomes.
    pub fn kind(&self) -> Kind {
        match self {
            Fault::Unavailable { .. } | Fault::OutcomeUnknown { .. } => Kind::Unavailable,
            Fault::Timeout { .. } => Kind::Deadline,
            Fault::Answered { code, .. } if is_ill(code) => Kind::Unavailable,
            Fault::Answered { .. } | Fault::Unexpected { .. } => Kind::Internal,
        }
    }

    /// The error. Not a `From`: a second one for `Error` would cost every `Ok(())` in an async block its inferred type.
    pub(crate) fn into_error(self) -> Error {
        let kind = self.kind();
        let error = match self {
            Fault::OutcomeUnknown { .. } => {
                Error::new(kind, "It is not known whether this was done; please look before trying again.")
                    .with_source(self)
            }
            fault => Error::from_source(kind, fault),
        };
        match kind {
            Kind::Unavailable => error.with_retry_after(Duration::from_secs(1)),
            _ => error,
        }
    }
}

/// Whether the server is in no state to do such things.
pub(crate) fn is_ill(code: &str) -> bool {
    ILL.contains(&code)
}

impl Failure {
    /// Sorts an error of the driver.
    pub(crate) fn of(error: &redis::RedisError) -> Self {
        match error.code() {
            Some(code) => Failure::Answered {
                code: code.to_owned(),
                message: error.detail().unwrap_or_default().to_owned(),
            },
            None => Failure::Lost(error.to_string()),
        }
    }

    /// The fault, where a lost answer to a read is merely unavailability: nothing can have changed.
    pub(crate) fn into_fault(self, effect: Effect) -> Fault {
        match (self, effect) {
            (Failure::Answered { code, message }, _) => Fault::Answered { code, message },
            (Failure::Lost(why), Effect::Reads) => Fault::Unavailable { why },
            (Failure::Lost(why), Effect::Writes) => Fault::OutcomeUnknown { why },
            (Failure::Late(after), Effect::Reads) => Fault::Timeout { after },
            (Failure::Late(after), Effect::Writes) => {
                Fault::OutcomeUnknown { why: format!("no answer within {after:?}") }
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Unavailable { why } => write!(f, "Redis is unavailable: {why}"),
            Fault::OutcomeUnknown { why } => write!(f, "outcome unknown: Redis: {why}"),
            Fault::Timeout { after } => write!(f, "waiting for Redis timed out after {after:?}"),
            Fault::Answered { code, message } => write!(f, "Redis answered {code} {message}"),
            Fault::Unexpected { wanted, got } => {
                write!(f, "Redis answered with {got}, expected was {wanted}")
            }
        }
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_lost_write_is_unknown() {
        let lost = || Failure::Lost("reset".to_owned());
        let late = || Failure::Late(Duration::from_secs(1));
        assert!(matches!(lost().into_fault(Effect::Reads), Fault::Unavailable { .. }));
        assert!(matches!(late().into_fault(Effect::Reads), Fault::Timeout { .. }));
        for failure in [lost(), late()] {
            let error = failure.into_fault(Effect::Writes).into_error();
            assert!(matches!(Fault::of(&error), Some(Fault::OutcomeUnknown { .. })));
            assert_eq!(error.kind(), Kind::Unavailable);
        }
    }

    #[test]
    fn an_ill_server_is_unavailable_and_a_wrong_command_is_a_defect() {
        let kind = |code: &str| Fault::Answered { code: code.to_owned(), message: String::new() }.kind();
        assert_eq!((kind("OOM"), kind("READONLY")), (Kind::Unavailable, Kind::Unavailable));
        assert_eq!((kind("WRONGTYPE"), kind("NOPERM")), (Kind::Internal, Kind::Internal));
    }
}
