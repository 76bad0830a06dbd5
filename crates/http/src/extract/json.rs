//! JSON bodies.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use burgeon_core::{Error, Field, Result};

use crate::Body;
use crate::extract::{ExtractBody, Head, ViaBody};
use crate::openapi::Operation;
use crate::problem::{status_error, status_error_from};

/// A JSON body; as a reply, a JSON response.
///
/// Refused: another content type (415), text that is not JSON or not UTF-8 or nested deeper than 128 (400), JSON of
/// another shape (422, naming the path of the field), a body above the route's limit (413).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<S: Sync, T: DeserializeOwned + JsonSchema> ExtractBody<S, ViaBody> for Json<T> {
    async fn extract_body(head: &mut Head, body: Body, _state: &S) -> Result<Self> {
        if !content_type_is(head.headers(), is_json) {
            return Err(status_error(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Send a JSON body with `Content-Type: application/json`.",
            ));
        }
        parse(&body.read(head.body_limit()).await?).map(Json)
    }

    fn describe_body(operation: &mut Operation<'_>) {
        operation.body::<T>("application/json");
    }
}

/// Whether the content type, without its parameters, is one that `is` accepts.
pub(crate) fn content_type_is(headers: &HeaderMap, is: impl Fn(&str) -> bool) -> bool {
    let Some(text) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    is(&text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

fn is_json(essence: &str) -> bool {
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let refuse = |sentence: String, error| status_error_from(StatusCode::BAD_REQUEST, sentence, error);
    if let Err(error) = std::str::from_utf8(bytes) {
        let sentence = format!("The body is not valid UTF-8: see byte {}.", error.valid_up_to());
        return Err(status_error_from(StatusCode::BAD_REQUEST, sentence, error));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|located| {
        let field = located.path().to_string();
        let error = located.into_inner();
        match error.classify() {
            serde_json::error::Category::Data => {
                let field = if field == "." { "body".to_owned() } else { field };
                Error::invalid_fields(vec![Field { field: field.into(), message: shape(&error).into() }])
            }
            _ => refuse(format!("The body is not JSON: {error}."), error),
        }
    })?;
    deserializer.end().map_err(|error| refuse(format!("The body is not one JSON value: {error}."), error))?;
    Ok(value)
}

/// serde's message without its place in the text, which the field's path says better.
fn shape(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rfind(" at line ").map_or(text.as_str(), |end| &text[..end]);
    // The name of our type says nothing to a client.
    match text.rsplit_once("expected struct ") {
        Some((before, _)) => format!("{before}expected an object"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[expect(dead_code, reason = "only its shape is asked for")]
    struct Order {
        lines: Vec<Line>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[expect(dead_code, reason = "only its shape is asked for")]
    struct Line {
        quantity: u32,
    }

    #[test]
    fn a_wrong_shape_names_the_path_of_the_field() {
        let error = parse::<Order>(br#"{"lines": [{"quantity": 1}, {"quantity": "two"}]}"#).unwrap_err();
        assert_eq!(error.fields()[0].field, "lines[1].quantity");
        assert_eq!(error.fields()[0].message, "invalid type: string \"two\", expected u32");
        let error = parse::<Order>(b"[]").unwrap_err();
        assert!(crate::status_of(&error) == StatusCode::UNPROCESSABLE_ENTITY, "{error:?}");
        assert!(error.fields()[0].message.ends_with(", expected an object"), "{error:?}");
    }

    #[test]
    fn what_is_not_json_is_not_a_wrong_shape() {
        let deep = "[".repeat(100_000);
        for bytes in [b"".as_slice(), b"{", b"{} {}", b"\xff", deep.as_bytes()] {
            let error = parse::<serde_json::Value>(bytes).unwrap_err();
            assert_eq!(crate::status_of(&error), StatusCode::BAD_REQUEST);
            assert!(error.fields().is_empty());
        }
    }
}
