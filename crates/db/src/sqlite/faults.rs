//! SQLite's result codes as faults.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Error, ErrorCode, ffi};

use crate::Fault;

/// The fault behind an error of a statement.
pub(crate) fn of(error: &Error) -> Fault {
    match error {
        Error::SqliteFailure(code, message) => coded(*code, message.as_deref().unwrap_or_default()),
        Error::SqlInputError { error, msg, sql, .. } => {
            Fault::Statement { why: format!("{msg} ({error}) in: {sql}") }
        }
        Error::MultipleStatement => Fault::Statement { why: "several statements in one text".to_owned() },
        Error::ExecuteReturnedResults => Fault::Statement {
            why: "it returns rows; use `one`, `optional` or `all` instead of `execute`".to_owned(),
        },
        other => Fault::Statement { why: other.to_string() },
    }
}

/// The fault behind an error of opening the file: names it, and says what to do. A right that is missing does not come by
/// waiting, so it is no unavailability.
pub(crate) fn at_open(error: &Error, path: &Path) -> Fault {
    let file = path.display();
    let why = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => format!(
            "the file {file} is not a SQLite database; move it away, or name another file in `database.url`"
        ),
        Some(ErrorCode::DatabaseCorrupt) => {
            format!("the database file {file} is damaged ({error}); restore it from a backup")
        }
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => format!(
            "the database file {file} cannot be opened for writing ({error}); this user needs the right to write the file \
             and its directory, where SQLite keeps its log"
        ),
        _ => return of(error),
    };
    Fault::Unusable { why }
}

fn coded(code: ffi::Error, message: &str) -> Fault {
    // "UNIQUE constraint failed: product.name" -> "product.name"
    let named = || message.split_once(": ").map_or(message, |(_, name)| name).to_owned();
    match code.extended_code {
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID => {
            return Fault::UniqueViolation { constraint: named() };
        }
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => {
            return Fault::ForeignKeyViolation { constraint: String::new() };
        }
        ffi::SQLITE_CONSTRAINT_NOTNULL => return Fault::NotNullViolation { column: named() },
        ffi::SQLITE_CONSTRAINT_CHECK => return Fault::CheckViolation { constraint: named() },
        // The fence of a file whose data has been moved.
        ffi::SQLITE_CONSTRAINT_TRIGGER => {
            if let Some(why) = message.strip_prefix(super::fence::CLOSED) {
                return Fault::ReadOnly { why: why.to_owned() };
            }
        }
        // A STRICT table refuses a value of another type.
        ffi::SQLITE_CONSTRAINT_DATATYPE => return Fault::Parameter { why: message.to_owned() },
        _ => {}
    }
    match code.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Fault::Busy { after: Duration::ZERO },
        ErrorCode::OperationInterrupted => {
            Fault::Timeout { whose: "the statement".to_owned(), after: Duration::ZERO }
        }
        ErrorCode::DiskFull => Fault::Unavailable { why: "the disk is full".to_owned() },
        ErrorCode::OutOfMemory => Fault::Unavailable { why: "out of memory".to_owned() },
        ErrorCode::ReadOnly => Fault::Unavailable { why: format!("the file cannot be written: {message}") },
        ErrorCode::SystemIoFailure => {
            Fault::Unavailable { why: format!("the disk failed: {message} (code {})", code.extended_code) }
        }
        ErrorCode::DatabaseCorrupt => Fault::Unusable {
            why: format!("the database file is damaged ({message}); restore it from a backup"),
        },
        ErrorCode::NotADatabase => Fault::Unusable { why: "the file is not a SQLite database".to_owned() },
        ErrorCode::CannotOpen => Fault::Unavailable { why: format!("the file cannot be opened: {message}") },
        ErrorCode::TooBig => {
            Fault::Parameter { why: "a text or blob is larger than SQLite allows".to_owned() }
        }
        _ => Fault::Statement { why: message.to_owned() },
    }
}

/// Whether the error says that another connection holds the lock.
pub(super) fn is_busy(error: &Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}
