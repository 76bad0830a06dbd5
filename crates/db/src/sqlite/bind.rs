//! Values into SQLite's parameters.

use std::rc::Rc;

use rusqlite::Statement;
use rusqlite::types::{ToSqlOutput, Value as Owned, ValueRef};
use rusqlite::vtab::array::Array;

use crate::{Fault, Value};

use super::faults;

/// Binds every parameter, in order: `?1` is the first.
pub(super) fn bind(statement: &mut Statement<'_>, params: &[Value]) -> Result<(), Fault> {
    let wanted = statement.parameter_count();
    if wanted != params.len() {
        return Err(Fault::Statement { why: format!("{} parameters given, {wanted} wanted", params.len()) });
    }
    for (index, value) in params.iter().enumerate() {
        let bound = match value {
            Value::List(_, items) => {
                let items: Array = Rc::new(items.iter().map(owned).collect());
                statement.raw_bind_parameter(index + 1, items)
            }
            scalar => statement.raw_bind_parameter(index + 1, Bound(scalar)),
        };
        bound.map_err(|error| faults::of(&error))?;
    }
    Ok(())
}

struct Bound<'a>(&'a Value);

impl rusqlite::ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Value::Null(_) => ToSqlOutput::Borrowed(ValueRef::Null),
            Value::Text(text) | Value::Json(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Value::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Value::Uuid(uuid) => ToSqlOutput::Borrowed(ValueRef::Blob(uuid.as_bytes())),
            scalar => ToSqlOutput::Owned(owned(scalar)),
        })
    }
}

fn owned(value: &Value) -> Owned {
    match value {
        // A list in a list and an invalid value never come here: the query refuses both before it is sent.
        Value::Null(_) | Value::List(..) | Value::Invalid(_) => Owned::Null,
        Value::Bool(flag) => Owned::Integer(i64::from(*flag)),
        Value::Small(number) => Owned::Integer(i64::from(*number)),
        Value::Int(number) => Owned::Integer(i64::from(*number)),
        Value::Big(number) => Owned::Integer(*number),
        Value::Float(number) => Owned::Real(*number),
        Value::Text(text) | Value::Json(text) => Owned::Text(text.clone()),
        Value::Bytes(bytes) => Owned::Blob(bytes.clone()),
        Value::Uuid(uuid) => Owned::Blob(uuid.as_bytes().to_vec()),
        Value::Timestamp(moment) => Owned::Integer(moment.as_microsecond()),
        Value::Date(day) => Owned::Text(day.to_string()),
        Value::Decimal(number) => Owned::Text(number.to_string()),
    }
}
