//! JSON in a column.

use std::ops::{Deref, DerefMut};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::value::Item;
use crate::{Cell, Column, Mismatch, Param, Type, Value};

/// A value stored as JSON: `jsonb` (or `json`) on Postgres, text on SQLite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Json<T>(pub T);

impl<T> Deref for Json<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Json<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Serialize> Param for Json<T> {
    const TYPE: Type = Type::Json;

    fn into_value(self) -> Value {
        match serde_json::to_string(&self.0) {
            Ok(text) => Value::Json(text),
            // A map whose keys are no strings, or a Serialize that refuses: the statement fails, not the process.
            Err(error) => Value::Invalid(format!("{} is no JSON: {error}", std::any::type_name::<T>())),
        }
    }
}

impl<T: Serialize> Item for Json<T> {}

impl<T: DeserializeOwned + Send + 'static> Column for Json<T> {
    const TYPE: Type = Type::Json;

    fn read(cell: Cell<'_>) -> Result<Self, Mismatch> {
        let text = cell.json()?;
        serde_json::from_slice(text).map(Json).map_err(|error| Mismatch::value(format!("as JSON: {error}")))
    }

    /// As it is stored: checked to be JSON, and not taken apart.
    fn write_json(cell: Cell<'_>, out: &mut Vec<u8>) -> Result<(), Mismatch> {
        let text = cell.json()?;
        let checked: Result<serde::de::IgnoredAny, _> = serde_json::from_slice(text);
        checked.map_err(|error| Mismatch::value(format!("as JSON: {error}")))?;
        out.extend_from_slice(text);
        Ok(())
    }
}
