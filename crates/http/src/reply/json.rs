//! JSON responses.

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
