//! Why something was not even started.

use std::fmt;
use std::time::Duration;

use burgeon_core::{Error, Kind};

/// The decision of a machine against starting something. Nothing was done, nothing is held.
///
/// [`into_error`](Self::into_error) turns it into the house's error, so that a handler need not know who refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Refused {
    /// Who refused.
    pub why: Why,
    /// After how long another try may be admitted; `None` when that cannot be known.
    pub after: Option<Duration>,
}

/// Who refused. [`name`](Self::name) is what metrics and logs call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It could not be done before its deadline any more.
    Deadline,
    /// The client throttle: the other side answers too little of what we send.
    Throttle,
    /// The circuit breaker is open.
    Breaker,
    /// The bulkhead is full.
    Bulkhead,
    /// The retry budget is spent.
    Budget,
    /// The key's rate is used up.
    Rate,
    /// The adaptive limit is reached, and there is no queue to wait in.
    Limit,
    /// The queue is full, or it was waited in too long.
    ShedQueue,
    /// Its class is being shed to keep room for greater ones.
    ShedClass,
    /// Every endpoint is ejected or refuses.
    Ejected,
}

impl Refused {
    /// A refusal that does not know when another try makes sense.
    pub const fn new(why: Why) -> Self {
        Self { why, after: None }
    }

    /// A refusal after which another try makes sense in `after`.
    pub const fn until(why: Why, after: Duration) -> Self {
        Self { why, after: Some(after) }
    }

    /// The error for whoever asked. Not a `From`: a second one for `Error` would cost every `Ok(())` in an async block
    /// its inferred type, in every crate above this one.
    pub fn into_error(self) -> Error {
        let error = Error::from_source(self.why.kind(), self);
        match self.after {
            Some(after) => error.with_retry_after(after),
            None => error,
        }
    }
}

impl Why {
    /// Every reason, in order of declaration.
    pub const ALL: [Why; 10] = [
        Why::Deadline,
        Why::Throttle,
        Why::Breaker,
        Why::Bulkhead,
        Why::Budget,
        Why::Rate,
        Why::Limit,
        Why::ShedQueue,
        Why::ShedClass,
        Why::Ejected,
    ];

    /// `deadline`, `throttle`, `breaker`, `bulkhead`, `budget`, `rate`, `limit`, `shed.queue`, `shed.class`, `ejected`.
    pub const fn name(self) -> &'static str {
        match self {
            Why::Deadline => "deadline",
            Why::Throttle => "throttle",
            Why::Breaker => "breaker",
            Why::Bulkhead => "bulkhead",
            Why::Budget => "budget",
            Why::Rate => "rate",
            Why::Limit => "limit",
            Why::ShedQueue => "shed.queue",
            Why::ShedClass => "shed.class",
            Why::Ejected => "ejected",
        }
    }

    /// What kind of error it is for whoever asked.
    pub const fn kind(self) -> Kind {
        match self {
            Why::Deadline => Kind::Deadline,
            Why::Rate => Kind::TooMany,
            Why::Throttle | Why::Breaker | Why::Budget | Why::Ejected => Kind::Unavailable,
            Why::Bulkhead | Why::Limit | Why::ShedQueue | Why::ShedClass => Kind::Overloaded,
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not started, refused by {}", self.why)?;
        match self.after {
            Some(after) => write!(f, "; another try may be admitted in {after:?}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Refused {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_refusal_becomes_an_error_that_still_knows_who_refused() {
        let refused = Refused::until(Why::Breaker, Duration::from_secs(5));
        let error = refused.into_error();
        assert_eq!(error.kind(), Kind::Unavailable);
        assert_eq!(error.retry_after(), Some(Duration::from_secs(5)));
        assert_eq!(error.find::<Refused>(), Some(&refused));
    }

    #[test]
    fn every_reason_has_a_name_of_its_own_and_is_ours_or_too_many() {
        let names: BTreeSet<&str> = Why::ALL.into_iter().map(Why::name).collect();
        assert_eq!(names.len(), Why::ALL.len());
        assert!(Why::ALL.into_iter().all(|why| why.kind().is_ours() || why == Why::Rate));
    }
}
