//! Rows on their way to SQLite's writer: one run of bytes, written where the rows are made and read where they are bound.
//!
//! Not a list of [`Value`]s: that is an allocation for every text, made by one thread and given back by another, and
//! three times the memory. Not a format either: it never leaves the process.

use std::io::Write as _;

use rusqlite::Statement;
use rusqlite::types::Null;

use crate::{Fault, Value};

const NULL: u8 = 0;
const INTEGER: u8 = 1;
const REAL: u8 = 2;
const TEXT: u8 = 3;
const BLOB: u8 = 4;

/// Values one after the other, in SQLite's own five types.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    bytes: Vec<u8>,
    /// The first that is no value of a column.
    invalid: Option<String>,
}

/// What is left to be bound.
pub(super) struct Cursor<'a>(&'a [u8]);

impl Tape {
    /// Room for so many values of middling length.
    pub(crate) fn with_room(values: usize) -> Self {
        Self { bytes: Vec::with_capacity(values * 16), invalid: None }
    }

    /// Why the rows must not be sent, if one of them must not.
    pub(crate) fn invalid(&self) -> Option<Fault> {
        self.invalid.as_ref().map(|why| Fault::Parameter { why: why.clone() })
    }

    /// Appends a value. Inlined into its caller, which knows of which sort it is.
    #[inline]
    pub(crate) fn push(&mut self, value: Value) {
        match value {
            Value::Null(_) => self.bytes.push(NULL),
            Value::Bool(flag) => self.integer(i64::from(flag)),
            Value::Small(number) => self.integer(i64::from(number)),
            Value::Int(number) => self.integer(i64::from(number)),
            Value::Big(number) => self.integer(number),
            Value::Timestamp(moment) => self.integer(moment.as_microsecond()),
            Value::Float(number) => {
                self.bytes.push(REAL);
                self.bytes.extend_from_slice(&number.to_le_bytes());
            }
            Value::Text(text) | Value::Json(text) => self.sized(TEXT, text.as_bytes()),
            Value::Bytes(bytes) => self.sized(BLOB, &bytes),
            Value::Uuid(uuid) => self.sized(BLOB, uuid.as_bytes()),
            Value::Date(day) => self.displayed(day),
            Value::Decimal(number) => self.displayed(number),
            Value::List(..) => self.refuse("a list is no value of a column".to_owned()),
            Value::Invalid(why) => self.refuse(why),
        }
    }

    /// From the first value on.
    pub(super) fn cursor(&self) -> Cursor<'_> {
        Cursor(&self.bytes)
    }

    #[inline]
    fn integer(&mut self, number: i64) {
        self.bytes.push(INTEGER);
        self.bytes.extend_from_slice(&number.to_le_bytes());
    }

    #[inline]
    fn sized(&mut self, tag: u8, content: &[u8]) {
        self.bytes.push(tag);
        self.bytes.extend_from_slice(&(content.len() as u64).to_le_bytes());
        self.bytes.extend_from_slice(content);
    }

    fn displayed(&mut self, value: impl std::fmt::Display) {
        let length = self.bytes.len() + 1;
        self.sized(TEXT, &[]);
        let start = self.bytes.len();
        if write!(self.bytes, "{value}").is_err() {
            self.refuse("it cannot be written as text".to_owned());
        }
        let written = (self.bytes.len() - start) as u64;
        self.bytes[length..start].copy_from_slice(&written.to_le_bytes());
    }

    #[cold]
    fn refuse(&mut self, why: String) {
        self.invalid.get_or_insert(why);
        self.bytes.push(NULL);
    }
}

impl Cursor<'_> {
    pub(super) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    /// Binds the next value to the parameter of this number, from 1.
    #[inline]
    pub(super) fn bind(&mut self, statement: &mut Statement<'_>, number: usize) -> rusqlite::Result<()> {
        match self.byte() {
            INTEGER => statement.raw_bind_parameter(number, i64::from_le_bytes(self.eight())),
            REAL => statement.raw_bind_parameter(number, f64::from_le_bytes(self.eight())),
            TEXT => {
                let content = self.content();
                // It was a `str` when it was written.
                let text = std::str::from_utf8(content)
                    .map_err(|error| rusqlite::Error::Utf8Error(number, error))?;
                statement.raw_bind_parameter(number, text)
            }
            BLOB => statement.raw_bind_parameter(number, self.content()),
            _ => statement.raw_bind_parameter(number, Null),
        }
    }

    fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(NULL)
    }

    fn eight(&mut self) -> [u8; 8] {
        self.take(8).try_into().unwrap_or_default()
    }

    fn content(&mut self) -> &[u8] {
        let length = u64::from_le_bytes(self.eight()) as usize;
        self.take(length)
    }
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        // A tape ends where a value ends; only this module writes and reads it.
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Type;
    use rusqlite::Connection;
    use rusqlite::types::Value as Read;

    #[test]
    fn what_is_written_is_bound_in_its_place() {
        let mut tape = Tape::with_room(2);
        let day: jiff::civil::Date = "2026-11-21".parse().unwrap();
        let decimal = rust_decimal::Decimal::new(950, 2);
        for value in [
            Value::Null(Type::Big),
            Value::Bool(true),
            Value::Small(-7),
            Value::Float(0.5),
            Value::Text("ü".to_owned()),
            Value::Text(String::new()),
            Value::Bytes(vec![0, 255]),
            Value::Date(day),
            Value::Decimal(decimal),
            Value::Uuid(uuid::Uuid::from_u128(1)),
        ] {
            tape.push(value);
        }
        assert!(tape.invalid().is_none());
        let conn = Connection::open_in_memory().unwrap();
        let mut statement = conn.prepare("select ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10").unwrap();
        let mut cursor = tape.cursor();
        for number in 1..=10 {
            cursor.bind(&mut statement, number).unwrap();
        }
        assert!(cursor.is_at_end());
        let mut rows = statement.raw_query();
        let row = rows.next().unwrap().unwrap();
        let read: Vec<Read> = (0..10).map(|index| row.get(index).unwrap()).collect();
        let text = |text: &str| Read::Text(text.to_owned());
        let mut one = vec![0; 15];
        one.push(1);
        let wanted = [
            Read::Null,
            Read::Integer(1),
            Read::Integer(-7),
            Read::Real(0.5),
            text("ü"),
            text(""),
            Read::Blob(vec![0, 255]),
            text("2026-11-21"),
            text("9.50"),
            Read::Blob(one),
        ];
        assert_eq!(read, wanted);
    }

    #[test]
    fn what_is_no_value_of_a_column_is_told() {
        let mut tape = Tape::default();
        tape.push(Value::Invalid("it is no JSON".to_owned()));
        tape.push(Value::List(Type::Big, vec![]));
        assert!(matches!(tape.invalid(), Some(Fault::Parameter { why }) if why == "it is no JSON"));
    }
}
