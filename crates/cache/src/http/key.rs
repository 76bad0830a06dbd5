//! Which requests are the same request.
//!
//! The first key is tenant, host, path and query; where responses differ by `Vary`, a second one adds the values of the
//! fields it names. Both are text, one entry each, and both carry the address as a tag, so that one invalidation hits all
//! variants.

use std::fmt::Write as _;

use burgeon_core::Tenant;
use http::header::{ACCEPT, ACCEPT_CHARSET, ACCEPT_ENCODING, ACCEPT_LANGUAGE, HOST};
use http::{HeaderMap, HeaderName, Uri};

use super::config::Config;

/// Longer keys are not worth their memory, and an attacker's.
pub(super) const LONGEST: usize = 2_048;

/// The key of an address, whatever it varies by.
pub(super) fn primary(config: &Config, uri: &Uri, headers: &HeaderMap, tenant: Option<&Tenant>) -> String {
    let host = uri.authority().map(|authority| authority.as_str());
    let host = host.or_else(|| headers.get(HOST)?.to_str().ok()).unwrap_or_default();
    of(config, tenant, host, uri.path(), uri.query())
}

/// The key of an address that a response of `uri` names, if it is on the same host.
pub(super) fn named(
    config: &Config,
    uri: &Uri,
    headers: &HeaderMap,
    tenant: Option<&Tenant>,
    address: &str,
) -> Option<String> {
    let host = uri.authority().map(|authority| authority.as_str());
    let host = host.or_else(|| headers.get(HOST)?.to_str().ok()).unwrap_or_default();
    let other: Uri = address.parse().ok()?;
    let same = match other.authority() {
        Some(authority) => normal_host(authority.as_str()) == normal_host(host),
        None => address.starts_with('/'),
    };
    same.then(|| of(config, tenant, host, other.path(), other.query()))
}

/// The tag that all variants of an address carry.
pub(super) fn tag(primary: &str) -> String {
    format!("uri:{primary}")
}

fn of(config: &Config, tenant: Option<&Tenant>, host: &str, path: &str, query: Option<&str>) -> String {
    let mut key = String::with_capacity(path.len() + host.len() + query.map_or(0, str::len) + 8);
    if let Some(tenant) = tenant {
        // A line break cannot stand in a host's name, so nobody can name another tenant.
        let _ = writeln!(key, "{tenant}");
    }
    key.push_str(&normal_host(host));
    push_normal(&mut key, path);
    let mut sign = '?';
    for parameter in parameters(config, query.unwrap_or_default()) {
        key.push(sign);
        push_normal(&mut key, parameter);
        sign = '&';
    }
    key
}

/// Without the port that goes without saying, and without regard to case.
fn normal_host(host: &str) -> String {
    let host = host.strip_suffix(":80").or_else(|| host.strip_suffix(":443")).unwrap_or(host);
    host.to_ascii_lowercase()
}

fn parameters<'a>(config: &Config, query: &'a str) -> Vec<&'a str> {
    let name = |parameter: &'a str| parameter.split('=').next().unwrap_or_default();
    let ignored = |name: &str| {
        config.ignored_parameters.iter().any(|rule| match rule.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == rule,
        })
    };
    let mut parameters: Vec<&str> =
        query.split('&').filter(|one| !one.is_empty() && !ignored(name(one))).collect();
    if config.sort_query {
        // Stable: those of one name keep their order.
        parameters.sort_by_key(|parameter| name(parameter));
    }
    parameters
}

/// Escapes that need not be are undone, and the others written in capitals (RFC 3986, 6.2.2).
fn push_normal(key: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let (before, behind) = rest.split_at(at);
        key.push_str(before);
        let escaped = behind.get(1..3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped {
            Some(byte) if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') => {
                key.push(char::from(byte));
                rest = &behind[3..];
            }
            Some(byte) => {
                let _ = write!(key, "%{byte:02X}");
                rest = &behind[3..];
            }
            None => {
                key.push('%');
                rest = &behind[1..];
            }
        }
    }
    key.push_str(rest);
}

/// The key of one variant.
pub(super) fn secondary(primary: &str, names: &[HeaderName], headers: &HeaderMap) -> String {
    let mut key = primary.to_owned();
    for name in names {
        // That it is not there is no value (RFC 9111, 4.1).
        let _ = match headers.contains_key(name) {
            true => write!(key, "\n{name}: {}", value(name, headers)),
            false => write!(key, "\n{name}"),
        };
    }
    key
}

/// What a field says, so that the same written otherwise is the same.
fn value(name: &HeaderName, headers: &HeaderMap) -> String {
    let lines = headers.get_all(name).iter().map(|line| String::from_utf8_lossy(line.as_bytes()));
    if ![ACCEPT, ACCEPT_CHARSET, ACCEPT_ENCODING, ACCEPT_LANGUAGE].contains(name) {
        return lines.map(|line| line.trim().to_owned()).collect::<Vec<_>>().join(", ");
    }
    let mut wanted: Vec<(u16, String)> = Vec::new();
    for line in lines {
        for one in line.split(',').map(str::trim).filter(|one| !one.is_empty()) {
            let mut weight = 1_000;
            let mut text = String::new();
            for part in one.split(';').map(str::trim) {
                match part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")) {
                    Some(quality) => weight = thousandths(quality),
                    None => {
                        if !text.is_empty() {
                            text.push(';');
                        }
                        // Of a parameter only its name is the same in any case.
                        let (name, value) = part.split_at(part.find('=').unwrap_or(part.len()));
                        text.push_str(&name.to_ascii_lowercase());
                        text.push_str(value);
                    }
                }
            }
            wanted.push((weight, text));
        }
    }
    // The most wanted first; those that are wanted alike keep their order, which servers go by.
    wanted.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    let written = |(weight, text): (u16, String)| match weight {
        1_000 => text,
        weight => format!("{text};q={weight}"),
    };
    wanted.into_iter().map(written).collect::<Vec<_>>().join(",")
}

fn thousandths(quality: &str) -> u16 {
    // What is no number is as wanted as can be, as if nothing had been said.
    quality.trim().parse::<f64>().map_or(1_000, |quality| (quality.clamp(0.0, 1.0) * 1_000.0) as u16)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn key(config: &Config, uri: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("Shop.example:443"));
        primary(config, &uri.parse().unwrap(), &headers, None)
    }

    #[test]
    fn one_address_written_in_several_ways_is_one_key() {
        let config = Config { ignored_parameters: vec!["utm_*".into(), "ref".into()], ..Config::default() };
        for same in [
            "/a~b/%C3%A9?x=1&y=2",
            "/a%7Eb/%c3%a9?y=2&x=1",
            "/a%7eb/%C3%A9?&utm_source=mail&x=1&ref=z&y=2",
            "https://shop.example/a~b/%C3%A9?x=1&y=2",
        ] {
            assert_eq!(key(&config, same), "shop.example/a~b/%C3%A9?x=1&y=2", "{same}");
        }
        assert_eq!(key(&config, "/a?"), key(&config, "/a"));
    }

    #[test]
    fn what_may_mean_something_else_is_another_key() {
        let config = Config::default();
        let different = [
            "/a",
            "/A",
            "/a/",
            "/a?x=1",
            "/a?x=2",
            "/a?x=1&x=2",
            "/a?x=2&x=1",
            "/a?X=1",
            "/a?x=%2F",
            "/a?x",
            "/a?utm_source=mail",
        ];
        let keys: std::collections::BTreeSet<String> =
            different.iter().map(|uri| key(&config, uri)).collect();
        assert_eq!(keys.len(), different.len(), "{keys:?}");
    }

    #[test]
    fn variants_are_told_apart_by_what_is_wanted_and_not_by_how_it_is_written() {
        let variant = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_static(value));
            secondary("x/", &[ACCEPT_LANGUAGE], &headers)
        };
        assert_eq!(variant("de, en;q=0.8"), variant("DE ,en; q=0.80"));
        assert_eq!(variant("en;q=0.8, de"), variant("de,en;q=0.8"));
        assert_ne!(variant("de, en"), variant("en, de"));
        assert_ne!(variant("de"), variant("de, en;q=0.5"));
        assert_eq!(secondary("x/", &[ACCEPT_LANGUAGE], &HeaderMap::new()), "x/\naccept-language");
        assert_ne!(secondary("x/", &[ACCEPT_LANGUAGE], &HeaderMap::new()), variant(""));
        assert_ne!(variant("text/x;p=A"), variant("text/x;p=a"));
        assert_eq!(variant("text/x;p=A"), variant("TEXT/X; P=A"));
    }

    #[test]
    fn an_address_elsewhere_is_not_ours() {
        let named = |address| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static("shop.example"));
            named(&Config::default(), &Uri::from_static("/a"), &headers, None, address)
        };
        assert_eq!(named("/b?x=1").as_deref(), Some("shop.example/b?x=1"));
        assert_eq!(named("https://SHOP.example/b").as_deref(), Some("shop.example/b"));
        assert_eq!(named("https://evil.example/b"), None);
        assert_eq!(named("b"), None);
    }
}
