//! Postgres's errors as the house's faults.

use std::error::Error as _;
use std::time::{Duration, Instant};

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

use crate::stmt::{Class, Text};
use crate::{Fault, clock};

/// What befell a statement.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server answered with an error, or the statement could not be sent as it was. The connection lives.
    Answered(Fault),
    /// The connection is gone, or speaks nonsense; whether the statement ran is not known.
    Lost(String),
}

impl Failure {
    /// The fault, where a lost answer to a read is merely unavailability: nothing can have changed.
    pub(super) fn into_fault(self, class: Class) -> Fault {
        match (self, class) {
            (Failure::Answered(fault), _) => fault,
            (Failure::Lost(why), Class::Read) => Fault::Unavailable { why },
            (Failure::Lost(why), Class::Write) => Fault::OutcomeUnknown { why },
        }
    }
}

/// Sorts an error of the driver.
pub(super) fn failure(error: Error) -> Failure {
    let Some(db) = error.as_db_error() else {
        return match error.source() {
            // A value that does not fit its parameter: known before anything was sent.
            Some(cause) if is_of_parameter(&error) => {
                Failure::Answered(Fault::Parameter { why: format!("{}: {cause}", parameter(&error)) })
            }
            None if is_of_count(&error) => Failure::Answered(Fault::Statement { why: error.to_string() }),
            Some(cause) => Failure::Lost(format!("{error}: {cause}")),
            None => Failure::Lost(error.to_string()),
        };
    };
    match fatal(db) {
        Some(why) => Failure::Lost(why),
        None => Failure::Answered(fault(db)),
    }
}

/// Whether the prepared statement, not the work, is at fault, so that preparing it again may help: its result has
/// changed with a migration, or the server does not know its name.
pub(super) fn is_stale(error: &Error) -> bool {
    error.as_db_error().is_some_and(|db| {
        *db.code() == SqlState::INVALID_SQL_STATEMENT_NAME
            || (*db.code() == SqlState::FEATURE_NOT_SUPPORTED && db.message().contains("cached plan"))
    })
}

/// Whether a statement without a name was not understood with the parameter types it was told, so that telling them
/// otherwise may help.
pub(super) fn is_misspelt(error: &Error) -> bool {
    is_untyped(error)
        || error.as_db_error().is_some_and(|db| {
            matches!(*db.code(), SqlState::DATATYPE_MISMATCH | SqlState::UNDEFINED_FUNCTION)
        })
}

/// Whether the limits of a shared connection ended the statement, which was not done and may take longer elsewhere.
pub(super) fn was_too_long(error: &Error) -> bool {
    error.code().is_some_and(|code| matches!(*code, SqlState::QUERY_CANCELED | SqlState::LOCK_NOT_AVAILABLE))
}

/// Whether the server could not tell a parameter's type, or found two for it, and wants to be told.
pub(super) fn is_untyped(error: &Error) -> bool {
    error.as_db_error().is_some_and(|db| {
        matches!(
            *db.code(),
            SqlState::INDETERMINATE_DATATYPE | SqlState::AMBIGUOUS_FUNCTION | SqlState::AMBIGUOUS_PARAMETER
        )
    })
}

/// Whether the server says that it is going, so that the connection is no more.
fn fatal(db: &DbError) -> Option<String> {
    let code = db.code();
    let going = [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW]
        .contains(code)
        || code.code().starts_with("08")
        || *code == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
        || matches!(db.severity(), "FATAL" | "PANIC");
    going.then(|| format!("the server ended the connection: {} ({})", db.message(), code.code()))
}

fn fault(db: &DbError) -> Fault {
    let constraint = || db.constraint().unwrap_or_default().to_owned();
    match db.code().code() {
        "23505" => Fault::UniqueViolation { constraint: constraint() },
        "23503" => Fault::ForeignKeyViolation { constraint: constraint() },
        "23502" => Fault::NotNullViolation {
            column: match (db.table(), db.column()) {
                (Some(table), Some(column)) => format!("{table}.{column}"),
                _ => db.column().unwrap_or("a column").to_owned(),
            },
        },
        "23514" | "23P01" => Fault::CheckViolation { constraint: constraint() },
        "40001" => Fault::SerializationFailure,
        "40P01" => Fault::Deadlock,
        "57014" => Fault::Timeout { whose: "the statement".to_owned(), after: Duration::ZERO },
        "55P03" => Fault::Timeout { whose: "waiting for a lock in".to_owned(), after: Duration::ZERO },
        "25P02" => Fault::TransactionOver { why: "an earlier statement in it failed".to_owned() },
        // Out of memory, disk, connections; a standby that takes no writes.
        "53100" | "53200" | "53300" | "53400" | "25006" | "55000" | "58030" => {
            Fault::Unavailable { why: words(db) }
        }
        // A value that the column's type cannot hold: too long, out of range, not a date, not text.
        "22001" | "22003" | "22007" | "22008" | "22021" | "22P02" | "22P05" => {
            Fault::Parameter { why: words(db) }
        }
        _ => Fault::Statement { why: words(db) },
    }
}

/// The server's own words, with its advice and without the row's content, which may be private.
pub(crate) fn words(db: &DbError) -> String {
    let mut text = format!("{} ({})", db.message(), db.code().code());
    if let Some(tokio_postgres::error::ErrorPosition::Original(position)) = db.position() {
        text.push_str(&format!(" at character {position}"));
    }
    if let Some(hint) = db.hint() {
        text.push_str("; ");
        text.push_str(hint);
    }
    text
}

/// Whether the statement was ended by a timeout or a cancel.
pub(super) fn is_cancelled(error: &Error) -> bool {
    error.code() == Some(&SqlState::QUERY_CANCELED)
}

/// Says of a timeout that the server noticed whose it was and how long it took.
pub(super) fn timed(fault: Fault, text: &Text, started: Instant) -> Fault {
    match fault {
        Fault::Timeout { whose, .. } => Fault::Timeout {
            whose: format!("{whose} `{}`", text.name()),
            after: clock::now().saturating_duration_since(started),
        },
        other => other,
    }
}

// The driver does not show what kind of error it is, only its words.
fn is_of_parameter(error: &Error) -> bool {
    error.to_string().starts_with("error serializing parameter")
}

/// `$2`, from the driver's "error serializing parameter 1".
fn parameter(error: &Error) -> String {
    let words = error.to_string();
    let number = words.rsplit(' ').next().and_then(|number| number.parse::<usize>().ok());
    number.map_or(words, |number| format!("parameter ${}", number + 1))
}

fn is_of_count(error: &Error) -> bool {
    error.to_string().contains("parameters but got")
}
