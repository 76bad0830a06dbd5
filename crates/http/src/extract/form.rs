//! Forms of a page.

use http::StatusCode;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use burgeon_core::{Error, Field, Result};

use crate::Body;
use crate::csrf::{self, CSRF_FIELD};
use crate::extract::{ExtractBody, Head, ViaBody, content_type_is};
use crate::openapi::Operation;
use crate::problem::status_error;
use crate::text::{self, Pairs};

/// What a form was filled in with (`application/x-www-form-urlencoded`), after its token was checked; see
/// [`Csrf`](crate::Csrf).
///
/// Values that do not parse are refused together, each with its field (422). To show the form again with what was typed
/// and what is wrong with it, take [`Submitted`](crate::Submitted).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form<T>(pub T);

impl<S: Sync, T: DeserializeOwned + JsonSchema> ExtractBody<S, ViaBody> for Form<T> {
    async fn extract_body(head: &mut Head, body: Body, _state: &S) -> Result<Self> {
        let bytes = read(head, body).await?;
        let pairs = checked(head, &bytes)?;
        parse(&pairs).map(Form).map_err(Error::invalid_fields)
    }

    fn describe_body(operation: &mut Operation<'_>) {
        operation.body::<T>("application/x-www-form-urlencoded");
    }
}

/// The body of a form.
pub(super) async fn read(head: &Head, body: Body) -> Result<bytes::Bytes> {
    if !content_type_is(head.headers(), |essence| essence == "application/x-www-form-urlencoded") {
        return Err(status_error(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Send a form with `Content-Type: application/x-www-form-urlencoded`.",
        ));
    }
    body.read(head.body_limit()).await
}

/// Names and values without the token, which has been checked.
pub(super) fn checked<'a>(head: &mut Head, bytes: &'a [u8]) -> Result<Pairs<'a>> {
    let mut pairs = text::pairs(bytes)?;
    let token = pairs.iter().find(|(name, _)| name == CSRF_FIELD).map(|(_, value)| value.clone());
    csrf::check_token(head, token.as_deref())?;
    pairs.retain(|(name, _)| name != CSRF_FIELD);
    Ok(pairs)
}

pub(super) fn parse<T: DeserializeOwned>(pairs: &Pairs<'_>) -> Result<T, Vec<Field>> {
    text::from_pairs(pairs)
}
