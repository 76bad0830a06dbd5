//! "It is over there."

use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use burgeon_core::{Error, Result};

use crate::openapi::Operation;
use crate::reply::Reply;
use crate::{Body, Response};

/// What may not stand in a URI as it is (RFC 3986); everything else is left alone, `%` too.
const NOT_URI: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Sends the client elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    status: StatusCode,
    to: String,
}

impl Redirect {
    /// 303: what follows a form, so that reloading does not send it again.
    pub fn to(location: impl Into<String>) -> Self {
        Self { status: StatusCode::SEE_OTHER, to: location.into() }
    }

    /// 307: the same request again, elsewhere, this once.
    pub fn temporary(location: impl Into<String>) -> Self {
        Self { status: StatusCode::TEMPORARY_REDIRECT, to: location.into() }
    }

    /// 308: the same request again, elsewhere, from now on. Browsers remember it.
    pub fn permanent(location: impl Into<String>) -> Self {
        Self { status: StatusCode::PERMANENT_REDIRECT, to: location.into() }
    }

    /// 303 to an address that came from the client (a `?next=`), if it is on this site; otherwise to `otherwise`.
    pub fn back_to(wanted: &str, otherwise: &str) -> Self {
        // `//host` and `/\host` are other hosts to a browser.
        let inside = wanted.starts_with('/') && !wanted[1..].starts_with(['/', '\\']);
        let clean = !wanted.chars().any(|character| character.is_control());
        Self::to(if inside && clean { wanted } else { otherwise })
    }
}

impl Reply for Redirect {
    fn reply(self) -> Result<Response> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        response.headers_mut().insert(LOCATION, location(&self.to)?);
        Ok(response)
    }

    fn describe(operation: &mut Operation<'_>) {
        operation.response_empty(StatusCode::SEE_OTHER);
    }
}

/// An address for a header, encoded where it must be.
pub(super) fn location(to: &str) -> Result<HeaderValue> {
    let encoded = utf8_percent_encode(to, NOT_URI).to_string();
    HeaderValue::from_str(&encoded).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_from_the_client_stays_on_this_site() {
        for elsewhere in [
            "https://evil",
            "//evil",
            "/\\evil",
            "evil",
            "",
            "javascript:x",
            "/a\r\nb",
            "\\/evil",
            "/\t/evil",
        ] {
            assert_eq!(Redirect::back_to(elsewhere, "/home").to, "/home", "{elsewhere}");
        }
        assert_eq!(Redirect::back_to("/orders?page=2", "/home").to, "/orders?page=2");
    }

    #[test]
    fn a_line_end_cannot_become_a_header() {
        let response = Redirect::to("/a\r\nset-cookie: x=y ü").reply().unwrap();
        assert_eq!(response.headers()[LOCATION], "/a%0D%0Aset-cookie:%20x=y%20%C3%BC");
    }
}
