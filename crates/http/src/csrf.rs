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
use std::sync::OnceLock;
use std::time::Duration;

use http::header::{COOKIE, HOST, ORIGIN};
use http::{HeaderMap, Uri};

use burgeon_core::{Error, Result};

use crate::cookies::Session;
use crate::extract::{Extract, Head};
use crate::keys::Keys;
use crate::page::escape;

/// The name of the form field that carries the token.
pub const CSRF_FIELD: &str = "_csrf";

const PURPOSE: &str = "form";
/// Longer than anybody leaves a form open; the session's own end comes first.
const LIFETIME: Duration = Duration::from_secs(14 * 24 * 3600);

/// The token for the forms of a page. It is made when it is first asked for, and the visitor's session with it: a page
/// without a form sets no cookie, and so can be the same for many.
///
/// ```html
/// <form method="post" action="/cart">{csrf.field()} ...</form>
/// ```
#[derive(Clone)]
pub struct Csrf {
    session: Session,
    keys: Keys,
    token: OnceLock<String>,
}

impl Csrf {
    /// The token, for the field [`CSRF_FIELD`]. Ask before the handler returns: the cookie that belongs to it goes out with
    /// the head of the response. Empty, with a line in the log, when the machine gives no random numbers; a form with it is
    /// refused.
    pub fn token(&self) -> &str {
        self.token.get_or_init(|| {
            self.make().unwrap_or_else(|error| {
                tracing::error!(error = error.detail(), "a form got no token, and will be refused");
                String::new()
            })
        })
    }

    /// The hidden input as HTML.
    pub fn field(&self) -> String {
        format!("<input type=\"hidden\" name=\"{CSRF_FIELD}\" value=\"{}\">", escape(self.token()))
    }

    fn make(&self) -> Result<String> {
        self.keys.seal(PURPOSE, &self.session.form_secret()?, LIFETIME)
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
        let session = Session::of(head)?;
        let keys = crate::cookies::keys(head.door())?.clone();
        Ok(Self { session, keys, token: OnceLock::new() })
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

/// Refuses what another site caused, if it could change something in a visitor's name. The origins that may send cookies
/// by `http.cors` are no other sites.
pub(crate) fn refuse_other_sites(head: &Head) -> Result<()> {
    if head.method().is_safe() || !head.headers().contains_key(COOKIE) {
        return Ok(());
    }
    match other_site(head.uri(), head.headers(), head.door().friends()) {
        None => Ok(()),
        Some(why) => {
            let sentence = "This request came from another site and was not carried out.";
            Err(Error::forbidden(sentence).with_source(why))
        }
    }
}

/// Why another site is behind this request, if one is.
fn other_site(uri: &Uri, headers: &HeaderMap, friends: &[String]) -> Option<String> {
    let text = |value: &http::HeaderValue| value.to_str().unwrap_or("?").to_owned();
    let origin = headers.get(ORIGIN).map(text);
    if origin.as_ref().is_some_and(|origin| friends.contains(origin)) {
        return None;
    }
    match headers.get("sec-fetch-site").map(text).as_deref() {
        Some("same-origin" | "none") => return None,
        Some(other) => return Some(format!("sec-fetch-site is `{other}`")),
        None => {}
    }
    // Browsers older than 2023.
    let origin = origin?;
    let host = headers.get(HOST).map(text).or_else(|| uri.authority().map(ToString::to_string));
    let origin_host = origin.split_once("://").map(|(_, host)| host);
    match (origin_host, &host) {
        (Some(origin), Some(host)) if origin.eq_ignore_ascii_case(host) => None,
        _ => Some(format!("origin is `{origin}`, host is `{}`", host.unwrap_or_default())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_own(headers: &[(&str, &str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        other_site(&Uri::from_static("/"), &map, &["https://friend.example".to_owned()]).is_none()
    }

    #[test]
    fn what_another_site_caused_is_refused() {
        let host = ("host", "shop.example");
        assert!(!is_own(&[("sec-fetch-site", "cross-site")]));
        assert!(!is_own(&[("sec-fetch-site", "same-site")]));
        assert!(!is_own(&[host, ("origin", "https://evil.example")]));
        assert!(!is_own(&[host, ("origin", "null")]));
        assert!(!is_own(&[("origin", "https://evil.example")]));
        assert!(!is_own(&[host, ("origin", "http://friend.example")]), "another scheme is another origin");

        assert!(is_own(&[("sec-fetch-site", "same-origin")]));
        assert!(is_own(&[host, ("origin", "https://shop.example")]));
        assert!(is_own(&[host]));
        assert!(is_own(&[host, ("origin", "https://friend.example")]));
        assert!(is_own(&[("sec-fetch-site", "cross-site"), ("origin", "https://friend.example")]));
    }
}
