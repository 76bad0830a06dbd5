//! What Redis answers.

use burgeon_core::Result;
use bytes::Bytes;

use crate::Fault;

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// There is no such thing.
    Nil,
    /// A whole number; truth is 1 and 0.
    Int(i64),
    /// Anything that was stored.
    Bytes(Bytes),
    /// A word of the server's own, such as `OK`.
    Text(String),
    /// A number that need not be whole.
    Double(f64),
    /// Several; of a map its keys and values in turn.
    Array(Vec<Value>),
}

impl Value {
    /// A whole number.
    ///
    /// # Errors
    /// [`Fault::Unexpected`] when it is something else.
    pub fn int(&self) -> Result<i64> {
        match self {
            Value::Int(number) => Ok(*number),
            other => Err(other.unexpected("a whole number")),
        }
    }

    /// What was stored; none where nothing was.
    ///
    /// # Errors
    /// [`Fault::Unexpected`] when it is something else.
    pub fn bytes(self) -> Result<Option<Bytes>> {
        match self {
            Value::Nil => Ok(None),
            Value::Bytes(bytes) => Ok(Some(bytes)),
            Value::Text(text) => Ok(Some(text.into())),
            other => Err(other.unexpected("bytes, or nothing")),
        }
    }

    /// Several.
    ///
    /// # Errors
    /// [`Fault::Unexpected`] when it is something else.
    pub fn array(self) -> Result<Vec<Value>> {
        match self {
            Value::Array(values) => Ok(values),
            other => Err(other.unexpected("several values")),
        }
    }

    /// None where there is no such thing: an expired key, a `SET .. NX` that did not set.
    pub fn is_nil(&self) -> bool {
        matches!(self, Value::Nil)
    }

    fn unexpected(&self, wanted: &'static str) -> burgeon_core::Error {
        // What it holds is the user's, and not for a message.
        let got = match self {
            Value::Nil => "nothing",
            Value::Int(_) => "a whole number",
            Value::Bytes(_) => "bytes",
            Value::Text(_) => "a word",
            Value::Double(_) => "a number",
            Value::Array(_) => "several values",
        };
        Fault::Unexpected { wanted, got }.into_error()
    }

    /// An answer of the driver; an error among several answers of one command stands as its text.
    pub(crate) fn of(value: redis::Value) -> Value {
        use redis::Value as Driver;
        let all = |values: Vec<Driver>| Value::Array(values.into_iter().map(Value::of).collect());
        match value {
            Driver::Nil => Value::Nil,
            Driver::Int(number) => Value::Int(number),
            Driver::BulkString(bytes) => Value::Bytes(bytes.into()),
            Driver::SimpleString(text) => Value::Text(text),
            Driver::Okay => Value::Text("OK".to_owned()),
            Driver::Double(number) => Value::Double(number),
            Driver::Boolean(truth) => Value::Int(truth.into()),
            Driver::VerbatimString { text, .. } => Value::Bytes(text.into()),
            Driver::Array(values) | Driver::Set(values) | Driver::Push { data: values, .. } => all(values),
            Driver::Map(pairs) => all(pairs.into_iter().flat_map(|(key, value)| [key, value]).collect()),
            Driver::Attribute { data, .. } => Value::of(*data),
            Driver::ServerError(error) => Value::Text(error.to_string()),
            other => Value::Text(format!("{other:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_answer_than_expected_names_both_and_shows_nothing() {
        let secret = Value::Bytes("hunter2".into());
        let why = secret.int().unwrap_err().detail();
        assert!(why.contains("a whole number") && why.contains("bytes") && !why.contains("hunter2"), "{why}");
        assert!(Value::Int(1).bytes().is_err() && Value::Nil.array().is_err());
        assert_eq!(Value::Nil.bytes().unwrap(), None);
        assert_eq!(Value::Text("OK".to_owned()).bytes().unwrap().as_deref(), Some(&b"OK"[..]));
    }
}
