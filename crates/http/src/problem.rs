//! What a client reads when something failed: problem details (RFC 9457), and the status for every kind of error.
//!
//! | kind | status | why |
//! |---|---|---|
//! | invalid, with fields | 422 | the request was understood, its values were refused |
//! | invalid, without | 400 | it was not understood |
//! | unauthenticated / forbidden / not found / conflict | 401 / 403 / 404 / 409 | |
//! | too many | 429 with `Retry-After` | the caller's own allowance |
//! | overloaded, unavailable | 503 with `Retry-After` | try again, here or elsewhere |
//! | deadline | 504 | whether it had an effect is not known here |
//! | internal | 500 | a defect; the sentence says nothing about it |
//!
//! [`status_error`] names another status where a kind is too coarse (413, 415, 405).

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use burgeon_core::{Error, Field, Kind};

/// The content type of a problem.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// An error as a client sees it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Problem {
    /// A URI naming the sort of problem. `about:blank` means: the status says it all.
    #[serde(rename = "type")]
    pub kind: Cow<'static, str>,
    /// The status in words.
    pub title: Cow<'static, str>,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong and what to do, for people.
    pub detail: String,
    /// A stable, machine-readable name of the sort of failure: `invalid`, `not_found`, `overloaded`.
    pub code: Cow<'static, str>,
    /// Names this occurrence: the request's id, as it stands in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The fields that were refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Field>,
    /// In how many seconds another try makes sense.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

impl Problem {
    /// What the client may read of `error`.
    pub fn of(error: &Error) -> Self {
        let status = status_of(error);
        Self {
            kind: "about:blank".into(),
            title: status.canonical_reason().unwrap_or("Error").into(),
            status: status.as_u16(),
            detail: error.public().to_owned(),
            code: error.kind().name().into(),
            instance: None,
            errors: error.fields().to_vec(),
            retry_after: retry_after(error).map(seconds_up),
        }
    }
}

/// The status of an error's response.
pub fn status_of(error: &Error) -> StatusCode {
    if let Some(Exactly { status, .. }) = error.find() {
        return *status;
    }
    match error.kind() {
        Kind::Invalid if error.fields().is_empty() => StatusCode::BAD_REQUEST,
        Kind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Kind::Overloaded | Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Deadline => StatusCode::GATEWAY_TIMEOUT,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// An error with exactly this status, where a kind is too coarse.
///
/// ```
/// use burgeon_http::{StatusCode, status_error, status_of};
///
/// let refused = status_error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Send JSON.");
/// assert_eq!(status_of(&refused), StatusCode::UNSUPPORTED_MEDIA_TYPE);
/// assert_eq!(refused.kind(), burgeon_core::Kind::Invalid);
/// ```
pub fn status_error(status: StatusCode, sentence: impl Into<Cow<'static, str>>) -> Error {
    let kind = match status {
        StatusCode::UNAUTHORIZED => Kind::Unauthenticated,
        StatusCode::FORBIDDEN => Kind::Forbidden,
        StatusCode::NOT_FOUND => Kind::NotFound,
        StatusCode::CONFLICT => Kind::Conflict,
        StatusCode::TOO_MANY_REQUESTS => Kind::TooMany,
        StatusCode::SERVICE_UNAVAILABLE => Kind::Unavailable,
        StatusCode::GATEWAY_TIMEOUT => Kind::Deadline,
        status if status.is_server_error() => Kind::Internal,
        _ => Kind::Invalid,
    };
    Error::new(kind, sentence).with_source(Exactly { status, cause: None })
}

/// As [`status_error`], with a private cause for the log.
pub(crate) fn status_error_from(
    status: StatusCode,
    sentence: impl Into<Cow<'static, str>>,
    cause: impl Into<crate::BoxError>,
) -> Error {
    let error = status_error(status, sentence);
    error.with_source(Exactly { status, cause: Some(cause.into()) })
}

/// When the client should try again; those who are told to come back are always told when.
pub(crate) fn retry_after(error: &Error) -> Option<Duration> {
    error.retry_after().or(match error.kind() {
        Kind::TooMany | Kind::Overloaded | Kind::Unavailable => Some(Duration::from_secs(1)),
        _ => None,
    })
}

// Rounded up: one who comes back early is refused again.
fn seconds_up(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// The private source that names a status.
#[derive(Debug)]
struct Exactly {
    status: StatusCode,
    cause: Option<crate::BoxError>,
}

impl fmt::Display for Exactly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "answered with {}", self.status.as_u16())
    }
}

impl std::error::Error for Exactly {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_told_to_come_back_are_told_when() {
        for kind in Kind::ALL {
            let problem = Problem::of(&Error::new(kind, "x"));
            let told = matches!(problem.status, 429 | 503);
            assert_eq!(problem.retry_after.is_some(), told, "{kind}");
        }
        let error = Error::too_many("x").with_retry_after(Duration::from_millis(1_001));
        assert_eq!(Problem::of(&error).retry_after, Some(2));
    }

    #[test]
    fn a_named_status_is_found_below_its_cause() {
        let error = status_error_from(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Send JSON.", "it was XML");
        assert_eq!(status_of(&error), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert!(error.detail().contains("it was XML"));
        assert!(!Problem::of(&error).detail.contains("XML"));
    }

    #[test]
    fn refused_values_are_422_and_nonsense_is_400() {
        let field = Field { field: "email".into(), message: "must not be empty".into() };
        assert_eq!(status_of(&Error::invalid_fields(vec![field])).as_u16(), 422);
        assert_eq!(status_of(&Error::invalid("what?")).as_u16(), 400);
    }
}
