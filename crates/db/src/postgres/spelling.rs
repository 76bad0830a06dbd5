//! How parameters are told to a server that remembers nothing: behind a transaction pooler.
//!
//! There each statement may meet another server connection, so none can be prepared by name; a statement is parsed
//! anew each time, with the types of its parameters beside it, in one round trip. A prepared statement's types are
//! inferred by the server; here the program must say them, and what it says can be wrong for the place where the
//! parameter stands. So there are three spellings, tried in order until one is understood. A statement that is not
//! understood was not run, so trying is safe for writes too.
//!
//! ```text
//!   Typed ── not understood ──> Literal ── not understood ──> Whole ── not understood ──> the error
//! ```

use tokio_postgres::types::Type as PgType;

use super::bind;
use crate::Value;

/// How the parameters of one statement are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// Each with its own type, but texts without one, as they may be meant for an enum or a network address.
    Typed,
    /// All as a literal in quotes would be: the server finds their types by where they stand.
    Literal,
    /// Each with its own type, texts too.
    Whole,
}

impl Spelling {
    /// What to try next.
    pub(super) fn next(self) -> Option<Self> {
        match self {
            Spelling::Typed => Some(Spelling::Literal),
            Spelling::Literal => Some(Spelling::Whole),
            Spelling::Whole => None,
        }
    }

    /// The type that the server is told.
    pub(super) fn of(self, value: &Value) -> PgType {
        match (self, bind::hint(value)) {
            (Spelling::Literal, _) | (Spelling::Typed, PgType::TEXT) => PgType::UNKNOWN,
            (_, hint) => hint,
        }
    }
}
