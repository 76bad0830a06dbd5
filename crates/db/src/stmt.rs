//! Statements are known values: a name, a place in the source, a text per engine.
//!
//! [`sql!`](crate::sql) makes one static of each statement and lists it in [`STATEMENTS`], so that each has meters of
//! its own, can be prepared against both engines in a test, and is named with its line when it misbehaves.
//!
//! # Invariants
//! - A static statement's text never changes, so its address is its identity and its place in the list a dense id.
//! - A dynamic statement has a name from the source; only its text varies.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use crate::Engine;

/// Every statement of the program that was written with [`sql!`](crate::sql), in no particular order.
#[linkme::distributed_slice]
pub static STATEMENTS: [Stmt];

/// A statement: what it is called, where it is written, and its text for either engine.
#[derive(Debug)]
pub struct Stmt {
    name: &'static str,
    place: Place,
    sqlite: &'static str,
    postgres: &'static str,
    class: Class,
    params: usize,
}

/// Where in the source a statement stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// The file, as the compiler was told.
    pub file: &'static str,
    /// The line, from 1.
    pub line: u32,
}

/// Whether a statement may run where nothing may be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// It changes nothing; a replica may answer it.
    Read,
    /// It changes something, or takes locks.
    Write,
}

/// A statement whose text was made at run time, such as a list with filters.
#[derive(Debug)]
pub(crate) struct Dynamic {
    /// What meters and messages call it: the name of the shape, from the source.
    pub(crate) name: &'static str,
    /// Where it was made.
    pub(crate) place: Place,
    /// The text, already in the engine's dialect.
    pub(crate) sql: String,
    /// Whether it changes anything.
    pub(crate) class: Class,
}

/// Either sort of statement, cheap to clone and to send.
#[derive(Debug, Clone)]
pub(crate) enum Text {
    /// Of [`sql!`](crate::sql).
    Static(&'static Stmt),
    /// Of the query builder.
    Dynamic(Arc<Dynamic>),
}

impl Stmt {
    /// What [`sql!`](crate::sql) expands to. Not for calling by hand: it takes the texts as already rewritten.
    #[doc(hidden)]
    pub const fn new(
        name: &'static str,
        place: Place,
        [sqlite, postgres]: [&'static str; 2],
        class: Class,
        params: usize,
    ) -> Self {
        Self { name, place, sqlite, postgres, class, params }
    }

    /// Its name, unique in its module by custom.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Where it is written.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Its text for this engine, with the engine's own parameters.
    pub fn sql(&self, engine: Engine) -> &'static str {
        match engine {
            Engine::Sqlite => self.sqlite,
            Engine::Postgres => self.postgres,
        }
    }

    /// Whether it changes anything.
    pub fn class(&self) -> Class {
        self.class
    }

    /// How many parameters it takes.
    pub fn params(&self) -> usize {
        self.params
    }

    /// Its place in [`STATEMENTS`]; `None` for one that was not listed there.
    pub fn id(&'static self) -> Option<usize> {
        let offset = (&raw const *self).addr().checked_sub(STATEMENTS.as_ptr().addr())?;
        let id = offset / size_of::<Stmt>();
        (id < STATEMENTS.len()).then_some(id)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl From<&Location<'static>> for Place {
    fn from(location: &Location<'static>) -> Self {
        Place { file: location.file(), line: location.line() }
    }
}

impl Text {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Text::Static(stmt) => stmt.name,
            Text::Dynamic(dynamic) => dynamic.name,
        }
    }

    pub(crate) fn place(&self) -> Place {
        match self {
            Text::Static(stmt) => stmt.place,
            Text::Dynamic(dynamic) => dynamic.place,
        }
    }

    pub(crate) fn class(&self) -> Class {
        match self {
            Text::Static(stmt) => stmt.class,
            Text::Dynamic(dynamic) => dynamic.class,
        }
    }

    pub(crate) fn sql(&self, engine: Engine) -> &str {
        match self {
            Text::Static(stmt) => stmt.sql(engine),
            Text::Dynamic(dynamic) => &dynamic.sql,
        }
    }

    /// The dense id of a static statement.
    pub(crate) fn id(&self) -> Option<usize> {
        match self {
            Text::Static(stmt) => stmt.id(),
            Text::Dynamic(_) => None,
        }
    }
}
