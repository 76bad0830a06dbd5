//! What a handler may return.

mod json;
mod redirect;
mod text;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use burgeon_core::{Error, Result};

use crate::openapi::Operation;
use crate::{Body, Response};

pub use json::{Created, JsonText};
pub use redirect::Redirect;
pub use text::Html;

/// Becomes a response.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be answered",
    label = "does not implement `Reply`",
    note = "return `Json<T>`, `Html`, `Redirect`, `NoContent`, `Created<T>`, `StatusCode`, `String`, `Bytes`, `Response`, `(StatusCode, T)`, or a `Result` of one of them",
    note = "the `T` of `Json<T>` must implement `serde::Serialize` and `JsonSchema`; an axum response is wrapped: `Axum<..>`"
)]
pub trait Reply: Sized {
    /// The response.
    ///
    /// # Errors
    /// What the door shall answer instead.
    fn reply(self) -> Result<Response>;

    /// What it says about the operation in the API document. Default: nothing.
    fn describe(operation: &mut Operation<'_>) {
        let _ = operation;
    }
}

/// 204.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoContent;

impl<T: Reply, E: Into<Error>> Reply for Result<T, E> {
    fn reply(self) -> Result<Response> {
        self.map_err(Into::into)?.reply()
    }

    fn describe(operation: &mut Operation<'_>) {
        T::describe(operation);
    }
}

impl Reply for Response {
    fn reply(self) -> Result<Response> {
        Ok(self)
    }
}

impl Reply for Body {
    fn reply(self) -> Result<Response> {
        Ok(Response::new(self))
    }
}

impl Reply for NoContent {
    fn reply(self) -> Result<Response> {
        StatusCode::NO_CONTENT.reply()
    }

    fn describe(operation: &mut Operation<'_>) {
        operation.response_empty(StatusCode::NO_CONTENT);
    }
}

impl Reply for () {
    fn reply(self) -> Result<Response> {
        Ok(Response::new(Body::empty()))
    }

    fn describe(operation: &mut Operation<'_>) {
        operation.response_empty(StatusCode::OK);
    }
}

impl Reply for StatusCode {
    fn reply(self) -> Result<Response> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self;
        Ok(response)
    }
}

impl Reply for Bytes {
    fn reply(self) -> Result<Response> {
        Ok(with_type(const { HeaderValue::from_static("application/octet-stream") }, self))
    }

    fn describe(operation: &mut Operation<'_>) {
        let schema = serde_json::json!({"type": "string", "format": "binary"});
        operation.response_of(StatusCode::OK, "application/octet-stream", schema);
    }
}

impl<T: Reply> Reply for (StatusCode, T) {
    fn reply(self) -> Result<Response> {
        let mut response = self.1.reply()?;
        *response.status_mut() = self.0;
        Ok(response)
    }

    fn describe(operation: &mut Operation<'_>) {
        T::describe(operation);
    }
}

impl<T: Reply> Reply for (HeaderMap, T) {
    fn reply(self) -> Result<Response> {
        let mut response = self.1.reply()?;
        response.headers_mut().extend(self.0);
        Ok(response)
    }

    fn describe(operation: &mut Operation<'_>) {
        T::describe(operation);
    }
}

impl<T: Reply, const N: usize> Reply for ([(HeaderName, HeaderValue); N], T) {
    fn reply(self) -> Result<Response> {
        let mut response = self.1.reply()?;
        for (name, value) in self.0 {
            response.headers_mut().insert(name, value);
        }
        Ok(response)
    }

    fn describe(operation: &mut Operation<'_>) {
        T::describe(operation);
    }
}

pub(crate) fn with_type(content_type: HeaderValue, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
