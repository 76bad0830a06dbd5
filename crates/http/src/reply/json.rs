//! JSON responses.

use std::marker::PhantomData;

use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;

use burgeon_core::{Error, Result};

use crate::Response;
use crate::extract::Json;
use crate::openapi::Operation;
use crate::reply::redirect::location;
use crate::reply::{Reply, with_type};

const JSON: &str = "application/json";

impl<T: Serialize + JsonSchema> Reply for Json<T> {
    fn reply(self) -> Result<Response> {
        Ok(with_type(
            const { HeaderValue::from_static(JSON) },
            serde_json::to_vec(&self.0).map_err(Error::internal)?,
        ))
    }

    fn describe(operation: &mut Operation<'_>) {
        operation.response::<T>(StatusCode::OK, JSON);
    }
}

/// A JSON document that is written already, and is documented as a `T`: what serde would write of one. For lists that
/// go out as they come in, such as rows read with `burgeon_db::json_row!`, which are never a `T` in memory.
///
/// ```
/// use burgeon_http::JsonText;
///
/// let list = JsonText::<Vec<u32>>::new("[1,2,3]");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonText<T> {
    text: String,
    of: PhantomData<fn() -> T>,
}

impl<T> JsonText<T> {
    /// Nobody checks that it is one; a test that reads it back into a `T` does.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), of: PhantomData }
    }
}

impl<T: JsonSchema> Reply for JsonText<T> {
    fn reply(self) -> Result<Response> {
        Ok(with_type(const { HeaderValue::from_static(JSON) }, self.text))
    }

    fn describe(operation: &mut Operation<'_>) {
        operation.response::<T>(StatusCode::OK, JSON);
    }
}

/// 201: what was made, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created<T> {
    location: String,
    value: T,
}

impl<T> Created<T> {
    /// `value` was made, and is now at `location`.
    pub fn new(location: impl Into<String>, value: T) -> Self {
        Self { location: location.into(), value }
    }
}

impl<T: Serialize + JsonSchema> Reply for Created<T> {
    fn reply(self) -> Result<Response> {
        let mut response = (StatusCode::CREATED, Json(self.value)).reply()?;
        response.headers_mut().insert(LOCATION, location(&self.location)?);
        Ok(response)
    }

    fn describe(operation: &mut Operation<'_>) {
        operation.response::<T>(StatusCode::CREATED, JSON);
    }
}
