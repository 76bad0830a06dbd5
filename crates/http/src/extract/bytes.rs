//! The body as it is.

use bytes::Bytes;
use http::StatusCode;

use burgeon_core::Result;

use crate::Body;
use crate::extract::{ExtractBody, Head, ViaBody};
use crate::openapi::Operation;
use crate::problem::status_error_from;

impl<S: Sync> ExtractBody<S, ViaBody> for Bytes {
    async fn extract_body(head: &mut Head, body: Body, _state: &S) -> Result<Self> {
        body.read(head.body_limit()).await
    }

    fn describe_body(operation: &mut Operation<'_>) {
        operation
            .body_of("application/octet-stream", serde_json::json!({"type": "string", "format": "binary"}));
    }
}

impl<S: Sync> ExtractBody<S, ViaBody> for String {
    async fn extract_body(head: &mut Head, body: Body, _state: &S) -> Result<Self> {
        String::from_utf8(body.read(head.body_limit()).await?.into()).map_err(|error| {
            status_error_from(StatusCode::BAD_REQUEST, "The body is not valid UTF-8.", error.utf8_error())
        })
    }

    fn describe_body(operation: &mut Operation<'_>) {
        operation.body_of("text/plain", serde_json::json!({"type": "string"}));
    }
}

/// The body unread, for streaming.
impl<S: Sync> ExtractBody<S, ViaBody> for Body {
    async fn extract_body(_head: &mut Head, body: Body, _state: &S) -> Result<Self> {
        Ok(body)
    }

    fn describe_body(operation: &mut Operation<'_>) {
        operation
            .body_of("application/octet-stream", serde_json::json!({"type": "string", "format": "binary"}));
    }
}
