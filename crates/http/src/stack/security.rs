//! The headers that keep browsers from doing more than a page means.

use std::time::Duration;

use http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{Config, Scheme};

const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// The values, made once.
#[derive(Debug)]
pub(super) struct Security {
    policy: Option<HeaderValue>,
    hsts: Option<HeaderValue>,
}

impl Security {
    /// # Errors
    /// A sentence naming the key, when a value cannot stand in a header.
    pub(super) fn new(config: &Config) -> Result<Self, String> {
        let policy = match config.content_security_policy.trim() {
            "" => None,
            policy => Some(HeaderValue::from_str(policy).map_err(|_| {
                "http.content_security_policy has a character that no header may have (a line break?)"
                    .to_owned()
            })?),
        };
        let hsts = (config.hsts > Duration::ZERO).then(|| format!("max-age={}", config.hsts.as_secs()));
        let hsts =
            hsts.map(|value| HeaderValue::from_str(&value)).transpose().map_err(|error| error.to_string())?;
        Ok(Self { policy, hsts })
    }

    /// Adds what the response does not say itself.
    pub(super) fn apply(&self, headers: &mut HeaderMap, scheme: Scheme) {
        let mut say = |name: HeaderName, value: &HeaderValue| {
            headers.entry(name).or_insert_with(|| value.clone());
        };
        say(X_CONTENT_TYPE_OPTIONS, &const { HeaderValue::from_static("nosniff") });
        if let (Scheme::Https, Some(hsts)) = (scheme, &self.hsts) {
            say(STRICT_TRANSPORT_SECURITY, hsts);
        }
        // The rest governs pages; on JSON it would only cost bytes.
        let is_page = headers.get(CONTENT_TYPE).is_some_and(|sort| sort.as_bytes().starts_with(b"text/html"));
        if is_page {
            let mut say = |name: HeaderName, value: &HeaderValue| {
                headers.entry(name).or_insert_with(|| value.clone());
            };
            say(REFERRER_POLICY, &HeaderValue::from_static("strict-origin-when-cross-origin"));
            say(OPENER, &HeaderValue::from_static("same-origin"));
            if let Some(policy) = &self.policy {
                say(CONTENT_SECURITY_POLICY, policy);
            }
        }
    }
}
