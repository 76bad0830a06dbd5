//! Protection of forms against other sites (cross-site request forgery).
//!
//! Two locks, each enough alone:
//! 1. A request that changes something, carries cookies, and says that another site caused it (`Sec-Fetch-Site`, or an
//!    `Origin` other than its `Host`) is refused before its handler runs.
//! 2. A form must carry a token that only a page of this site could read: an HMAC over a secret in the visitor's
//!    session ("signed double submit", OWASP). [`Csrf`] gives it to the page; `Form` and its relatives check it.
//!
//! A request without any cookie has nobody's authority, so it needs no token: programs may post forms.

use std::fmt;
use std::time::Duration;

use http::header::{COOKIE, HOST, ORIGIN};
use http::{HeaderMap, Method, Uri};

use burgeon_core::{Error, Result};

use crate::cookies::Session;
use crate::extract::{Extract, Head};
use crate::page::escape;

/// The name of the form field that carries the token.
pub const CSRF_FIELD: &str = "_csrf";

const PURPOSE: &str = "form";
/// Longer than anybody leaves a form open; the session's own end comes first.
const LIFETIME: Duration = Duration::from_secs(14 * 24 * 3600);

/// The token for the forms of a page.
///
/// ```html
/// <form method="post" action="/cart">{csrf.field()} ...</form>
/// ```
#[derive(Clone)]
pub struct Csrf {
    token: String,
}

impl Csrf {
    /// The token, for the field [`CSRF_FIELD`].
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The hidden input as HTML.
    pub fn field(&self) -> String {
        format!("<input type=\"hidden\" name=\"{CSRF_FIELD}\" value=\"{}\">", escape(&self.token))
    }
}

// The token is as good as a key to the forms.
impl fmt::Debug for Csrf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Csrf(***)")
    }
}

impl<S: Sync> Extract<S> for Csrf {
    async fn extract(head: &mut Head, _state: &S) -> Result<Self> {
        let secret = Session::of(head)?.form_secret()?;
        let keys = crate::cookies::keys(head.door())?;
        Ok(Self { token: keys.seal(PURPOSE, &secret, LIFETIME)? })
    }
}

/// Checks the token of a form that came with this request.
pub(crate) fn check_token(head: &mut Head, token: Option<&str>) -> Result<()> {
    if !head.headers().contains_key(COOKIE) {
        return Ok(());
    }
    let secret = Session::of(head)?.known_form_secret();
    let keys = crate::cookies::keys(head.door())?;
    let sent = token.and_then(|token| keys.open(PURPOSE, token));
    match (secret, sent) {
        // Both have been verified as ours, so how long the comparison takes tells nothing new.
        (Some(secret), Some(sent)) if secret == sent => Ok(()),
        (_, sent) => {
            let why = if sent.is_some() { "of another session" } else { "missing, expired or changed" };
            let error = Error::forbidden("This form has expired. Please reload the page and send it again.");
            Err(error.with_source(format!("the form's `{CSRF_FIELD}` is {why}")))
        }
    }
}

/// Refuses what another site caused, if it could change something in a visitor's name.
pub(crate) fn refuse_other_sites(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<()> {
    if method.is_safe() || !headers.contains_key(COOKIE) {
        return Ok(());
    }
    let text = |value: &http::HeaderValue| value.to_str().unwrap_or("?").to_owned();
    let refuse = |why: String| {
        Err(Error::forbidden("This request came from another site and was not carried out.").with_source(why))
    };
    match headers.get("sec-fetch-site").map(text).as_deref() {
        Some("same-origin" | "none") => return Ok(()),
        Some(other) => return refuse(format!("sec-fetch-site is `{other}`")),
        None => {}
    }
    // Browsers older than 2023.
    let Some(origin) = headers.get(ORIGIN).map(text) else { return Ok(()) };
    let host = headers.get(HOST).map(text).or_else(|| uri.authority().map(ToString::to_string));
    let origin_host = origin.split_once("://").map(|(_, host)| host);
    match (origin_host, &host) {
        (Some(origin), Some(host)) if origin.eq_ignore_ascii_case(host) => Ok(()),
        _ => refuse(format!("origin is `{origin}`, host is `{}`", host.unwrap_or_default())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: Method, headers: &[(&str, &str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        refuse_other_sites(&method, &Uri::from_static("/"), &map).is_ok()
    }

    #[test]
    fn what_another_site_caused_is_refused() {
        let cookie = ("cookie", "a=b");
        let host = ("host", "shop.example");
        assert!(!asked(Method::POST, &[cookie, ("sec-fetch-site", "cross-site")]));
        assert!(!asked(Method::POST, &[cookie, ("sec-fetch-site", "same-site")]));
        assert!(!asked(Method::DELETE, &[cookie, host, ("origin", "https://evil.example")]));
        assert!(!asked(Method::POST, &[cookie, host, ("origin", "null")]));
        assert!(!asked(Method::POST, &[cookie, ("origin", "https://evil.example")]));

        assert!(asked(Method::POST, &[cookie, ("sec-fetch-site", "same-origin")]));
        assert!(asked(Method::POST, &[cookie, host, ("origin", "https://shop.example")]));
        assert!(asked(Method::POST, &[cookie, host]));
        assert!(asked(Method::POST, &[("sec-fetch-site", "cross-site")]));
        assert!(asked(Method::GET, &[cookie, ("sec-fetch-site", "cross-site")]));
    }
}
