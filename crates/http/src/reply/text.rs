//! Pages and plain text.

use http::{HeaderValue, StatusCode};
use serde_json::json;

use burgeon_core::Result;

use crate::openapi::Operation;
use crate::reply::{Reply, with_type};
use crate::{Body, Response};

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Html<T = String>(pub T);

impl<T: Into<Body>> Reply for Html<T> {
    fn reply(self) -> Result<Response> {
        Ok(with_type(HTML, self.0))
    }

    fn describe(operation: &mut Operation<'_>) {
        operation.response_of(StatusCode::OK, "text/html", json!({"type": "string"}));
    }
}

macro_rules! plain_text {
    ($($of:ty)*) => {$(
        impl Reply for $of {
            fn reply(self) -> Result<Response> {
                Ok(with_type(TEXT, self))
            }

            fn describe(operation: &mut Operation<'_>) {
                operation.response_of(StatusCode::OK, "text/plain", json!({"type": "string"}));
            }
        }
    )*};
}

plain_text!(String &'static str);
