//! What went wrong in the database, in the distinctions a program can act on.
//!
//! Each engine's codes become a [`Fault`]; a fault becomes the house's [`Error`] with the statement that met it. The
//! public reads the error's sentence, the log reads statement, place and cause, and a program that needs to know asks
//! [`Fault::of`].

use std::fmt;
use std::time::Duration;

use burgeon_core::{Error, Kind};

use crate::Mismatch;
use crate::row::Unreadable;
use crate::stmt::{Place, Text};

/// Why the database did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A row with this key exists already. [`Kind::Conflict`].
    UniqueViolation {
        /// The constraint's name on Postgres; `table.column, table.column` on SQLite.
        constraint: String,
    },
    /// A row points to one that is not there, or is still pointed to. [`Kind::Conflict`].
    ForeignKeyViolation {
        /// The constraint's name on Postgres; empty on SQLite, which does not say.
        constraint: String,
    },
    /// A value is missing. [`Kind::Invalid`].
    NotNullViolation {
        /// The column; `table.column` on SQLite.
        column: String,
    },
    /// A check refused the row. [`Kind::Conflict`]: the state does not allow it (stock below zero).
    CheckViolation {
        /// The constraint's name, or its expression on SQLite where it has none.
        constraint: String,
    },
    /// Another transaction changed what this one had read; another try may succeed, see
    /// [`retry!`](crate::retry). [`Kind::Conflict`].
    SerializationFailure,
    /// Two transactions waited for each other and this one was chosen to give way; another try may succeed.
    /// [`Kind::Conflict`].
    Deadlock,
    /// The database cannot be reached or cannot write now; nothing was done. [`Kind::Unavailable`].
    Unavailable {
        /// What is away, for the operator.
        why: String,
    },
    /// Reading goes on, and nothing may be changed here: the data is being moved elsewhere, or has been. Nothing was done.
    /// [`Kind::Unavailable`].
    ReadOnly {
        /// Where it goes or went, for the operator.
        why: String,
    },
    /// The connection was lost, or the wait ended, after the work had begun: it may have been done, or not.
    /// [`Kind::Unavailable`].
    OutcomeUnknown {
        /// How it came to that, for the operator.
        why: String,
    },
    /// The wait ended and nothing was done. [`Kind::Deadline`].
    Timeout {
        /// Whose limit it was: "waiting for the writer", "the statement `search`".
        whose: String,
        /// How long it had waited.
        after: Duration,
    },
    /// There was no room in a queue or pool before the deadline; nothing was done. [`Kind::Overloaded`].
    Overloaded {
        /// Which queue or pool, and what it was doing, for the operator.
        what: String,
    },
    /// Another process held the lock on the SQLite file until the deadline; nothing was done. [`Kind::Overloaded`].
    Busy {
        /// How long it was tried.
        after: Duration,
    },
    /// `one` found no row. [`Kind::NotFound`].
    NoRow,
    /// `one` or `optional` found several rows. [`Kind::Internal`].
    ManyRows,
    /// A row could not be read as the type that was asked for. [`Kind::Internal`].
    Unreadable {
        /// The Rust type.
        wanted: &'static str,
        /// Which column and why.
        why: String,
    },
    /// The transaction has already failed, or was ended from outside; nothing more runs in it. [`Kind::Conflict`]
    /// where the cause was one, else [`Kind::Internal`].
    TransactionOver {
        /// What ended it.
        why: String,
    },
    /// A transaction, or a write beside it, was begun inside a transaction: it would wait for the one it is in.
    /// [`Kind::Internal`].
    Nested {
        /// Where the outer one was begun.
        outer: Place,
    },
    /// The file is no database, is damaged, or was written by something newer. [`Kind::Internal`].
    Unusable {
        /// What it is and what to do.
        why: String,
    },
    /// The statement itself is wrong: syntax, unknown table, a parameter that fits no column. [`Kind::Internal`].
    Statement {
        /// What the engine said.
        why: String,
    },
    /// A parameter that the engine cannot hold. [`Kind::Invalid`].
    Parameter {
        /// Which, and why.
        why: String,
    },
}

/// A fault and the statement that met it: the private source of an [`Error`].
#[derive(Debug)]
struct Met {
    name: &'static str,
    place: Place,
    fault: Fault,
}

impl Fault {
    /// The fault behind an error, if the database was its cause.
    pub fn of(error: &Error) -> Option<&Fault> {
        error.find::<Fault>()
    }

    /// Whether the same work, done again from its beginning, may succeed at once.
    pub fn is_transient(&self) -> bool {
        matches!(self, Fault::SerializationFailure | Fault::Deadlock)
    }

    /// The kind of error it becomes.
    pub fn kind(&self) -> Kind {
        match self {
            Fault::UniqueViolation { .. }
            | Fault::ForeignKeyViolation { .. }
            | Fault::CheckViolation { .. }
            | Fault::SerializationFailure
            | Fault::Deadlock => Kind::Conflict,
            Fault::NotNullViolation { .. } | Fault::Parameter { .. } => Kind::Invalid,
            Fault::Unavailable { .. } | Fault::ReadOnly { .. } | Fault::OutcomeUnknown { .. } => {
                Kind::Unavailable
            }
            Fault::Timeout { .. } => Kind::Deadline,
            Fault::Overloaded { .. } | Fault::Busy { .. } => Kind::Overloaded,
            Fault::NoRow => Kind::NotFound,
            Fault::ManyRows
            | Fault::Unreadable { .. }
            | Fault::TransactionOver { .. }
            | Fault::Nested { .. }
            | Fault::Unusable { .. }
            | Fault::Statement { .. } => Kind::Internal,
        }
    }

    /// A row that could not be read as `T`.
    pub(crate) fn unreadable<T>(Unreadable { column, why }: Unreadable) -> Self {
        Fault::Unreadable { wanted: std::any::type_name::<T>(), why: format!("column `{column}` {why}") }
    }

    /// A result whose columns are not those of `T`.
    pub(crate) fn misfit<T>(why: Mismatch) -> Self {
        Fault::Unreadable { wanted: std::any::type_name::<T>(), why: why.to_string() }
    }

    /// The error, naming neither statement nor place. Not a `From`: a second one for `Error` would cost every `Ok(())`
    /// in an async block its inferred type.
    pub(crate) fn into_error(self) -> Error {
        Error::from_source(self.kind(), self)
    }

    /// The error, naming the statement.
    pub(crate) fn of_statement(self, text: &Text) -> Error {
        self.error_from(text.name(), text.place())
    }

    /// The error, naming what was tried where: `transaction` at the caller's line.
    pub(crate) fn at(self, name: &'static str, place: Place) -> Error {
        self.error_from(name, place)
    }

    fn error_from(self, name: &'static str, place: Place) -> Error {
        let kind = self.kind();
        let error = match self.sentence() {
            Some(sentence) => Error::new(kind, sentence).with_source(Met { name, place, fault: self }),
            None => Error::from_source(kind, Met { name, place, fault: self }),
        };
        match kind {
            Kind::Overloaded | Kind::Unavailable => error.with_retry_after(Duration::from_secs(1)),
            _ => error,
        }
    }

    /// What the public may read, where the kind's own sentence is not enough.
    fn sentence(&self) -> Option<&'static str> {
        match self {
            Fault::UniqueViolation { .. } => Some("This exists already."),
            Fault::SerializationFailure | Fault::Deadlock => {
                Some("Somebody else changed this at the same moment; please try again.")
            }
            Fault::ReadOnly { .. } => Some("Nothing can be changed at the moment; please come back later."),
            Fault::OutcomeUnknown { .. } => {
                Some("It is not known whether this was done; please look before trying again.")
            }
            _ => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::UniqueViolation { constraint } => write!(f, "unique violation of {constraint}"),
            Fault::ForeignKeyViolation { constraint } if constraint.is_empty() => {
                f.write_str("foreign key violation")
            }
            Fault::ForeignKeyViolation { constraint } => write!(f, "foreign key violation of {constraint}"),
            Fault::NotNullViolation { column } => write!(f, "{column} must not be null"),
            Fault::CheckViolation { constraint } => write!(f, "check violation of {constraint}"),
            Fault::SerializationFailure => f.write_str("serialization failure"),
            Fault::Deadlock => f.write_str("deadlock"),
            Fault::Unavailable { why } => write!(f, "the database is unavailable: {why}"),
            Fault::ReadOnly { why } => write!(f, "the database takes no writes: {why}"),
            Fault::OutcomeUnknown { why } => write!(f, "outcome unknown: {why}"),
            Fault::Timeout { whose, after } => write!(f, "{whose} timed out after {after:?}"),
            Fault::Overloaded { what } => write!(f, "no room: {what}"),
            Fault::Busy { after } => {
                write!(f, "another process held the lock on the database file for {after:?}")
            }
            Fault::NoRow => f.write_str("no row where one was expected"),
            Fault::ManyRows => f.write_str("several rows where one was expected"),
            Fault::Unreadable { wanted, why } => write!(f, "cannot read `{wanted}`: {why}"),
            Fault::TransactionOver { why } => write!(f, "the transaction is over: {why}"),
            Fault::Nested { outer } => write!(
                f,
                "it was begun inside the transaction of {outer}, for which it would wait; run it on that transaction's `tx`"
            ),
            Fault::Unusable { why } | Fault::Statement { why } | Fault::Parameter { why } => f.write_str(why),
        }
    }
}

impl std::error::Error for Fault {}

impl fmt::Display for Met {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({})", self.name, self.place)
    }
}

impl std::error::Error for Met {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.fault)
    }
}
