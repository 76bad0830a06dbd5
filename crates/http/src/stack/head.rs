//! What a request's head must be like before anything else looks at it (RFC 9112, 3.2 and 7.2; RFC 9113, 8.3.1).
//!
//! hyper's parser leaves these to us. A head with two readings is refused, because whoever stands before or behind us
//! may read it the other way.

use http::{StatusCode, Uri, Version};

use burgeon_core::{Error, Result};

use super::fields::Fields;
use crate::octets::Octets;
use crate::status_error;

/// # Errors
/// 400 for a host that is missing, repeated, malformed or contradicted by the target; 417 for an unknown expectation.
pub(super) fn check(version: Version, uri: &Uri, fields: &Fields<'_>) -> Result<()> {
    let host = fields.host;
    if fields.several_hosts {
        return Err(refuse("The request names more than one host."));
    }
    if let Some(host) = host
        && !is_authority(host.as_bytes())
    {
        return Err(refuse("The request's host is not valid."));
    }
    match (uri.authority(), host) {
        (None, None) if version == Version::HTTP_11 => return Err(refuse("The request names no host.")),
        (Some(target), _) if !is_authority(target.as_str().as_bytes()) => {
            return Err(refuse("The request's target is not valid."));
        }
        (Some(target), Some(host)) if !target.as_str().as_bytes().eq_ignore_ascii_case(host.as_bytes()) => {
            return Err(refuse("The request's target and its host disagree."));
        }
        _ => {}
    }
    match fields.expect {
        Some(expected) if !expected.as_bytes().eq_ignore_ascii_case(b"100-continue") => {
            Err(status_error(StatusCode::EXPECTATION_FAILED, "This server can only meet 100-continue."))
        }
        _ => Ok(()),
    }
}

fn refuse(sentence: &'static str) -> Error {
    status_error(StatusCode::BAD_REQUEST, sentence)
}

/// Host and port without user information. Empty is allowed: RFC 9112 wants it where a target has no authority.
fn is_authority(text: &[u8]) -> bool {
    const ALLOWED: Octets = Octets::alphanumeric_and(b".-_:[]~!$&'()*+,;=%");
    text.iter().all(|byte| ALLOWED.has(*byte))
}

#[cfg(test)]
mod tests {
    use http::header::{EXPECT, HOST};
    use http::{HeaderMap, HeaderValue};

    use super::*;
    use crate::status_of;

    fn asked(version: Version, target: &str, hosts: &[&str]) -> Result<()> {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(HOST, HeaderValue::from_str(host).unwrap());
        }
        check(version, &target.parse().unwrap(), &Fields::of(&headers))
    }

    #[test]
    fn one_valid_host_is_wanted() {
        for (target, hosts) in [
            ("/", &["example.com"][..]),
            ("/", &["example.com:8080"]),
            ("/", &["[::1]:3000"]),
            ("/", &[""]),
            ("http://example.com/", &["EXAMPLE.com"]),
        ] {
            assert!(asked(Version::HTTP_11, target, hosts).is_ok(), "{target} {hosts:?}");
        }
        for (target, hosts) in [
            ("/", &[][..]),
            ("/", &["a", "a"]),
            ("/", &["a", "b"]),
            ("/", &["user@example.com"]),
            ("/", &["a b"]),
            ("/", &["a/b"]),
            ("http://other/", &["example.com"]),
            ("http://user@example.com/", &["user@example.com"]),
        ] {
            let error = asked(Version::HTTP_11, target, hosts).unwrap_err();
            assert_eq!(status_of(&error), 400, "{target} {hosts:?}");
        }
        assert!(asked(Version::HTTP_10, "/", &[]).is_ok());
        assert!(asked(Version::HTTP_2, "http://example.com/", &[]).is_ok());
    }

    #[test]
    fn only_one_expectation_can_be_met() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("a"));
        headers.insert(EXPECT, HeaderValue::from_static("100-Continue"));
        assert!(check(Version::HTTP_11, &Uri::from_static("/"), &Fields::of(&headers)).is_ok());
        headers.insert(EXPECT, HeaderValue::from_static("miracles"));
        let error = check(Version::HTTP_11, &Uri::from_static("/"), &Fields::of(&headers)).unwrap_err();
        assert_eq!(status_of(&error), 417);
    }
}
