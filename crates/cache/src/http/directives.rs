//! `Cache-Control`, and the targeted fields that go before it: what sender and receiver say of keeping.
//!
//! Read as RFC 9111 (5.2) and RFC 9213 want it: of a directive that comes twice the first counts, a number that is none
//! means stale at once, and whatever is not known is passed over.

use std::str::FromStr;

use http::header::{CACHE_CONTROL, PRAGMA};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The largest number of seconds there is (RFC 9111, 1.2.2).
const MOST: u64 = 1 << 31;

/// What a message says, whichever field it says it in. Numbers are seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Directives {
    pub(super) public: bool,
    pub(super) private: Option<Of>,
    pub(super) no_cache: Option<Of>,
    pub(super) no_store: bool,
    pub(super) must_revalidate: bool,
    pub(super) proxy_revalidate: bool,
    pub(super) must_understand: bool,
    pub(super) max_age: Option<u64>,
    pub(super) s_maxage: Option<u64>,
    pub(super) stale_while_revalidate: Option<u64>,
    pub(super) stale_if_error: Option<u64>,
    pub(super) min_fresh: Option<u64>,
    /// `Some(None)`: however stale.
    pub(super) max_stale: Option<Option<u64>>,
    pub(super) only_if_cached: bool,
}

/// What `private` or `no-cache` is said of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Of {
    /// The whole response.
    Everything,
    /// These fields alone.
    Fields(Vec<HeaderName>),
}

/// Ours, and the one for shared caches near their origin: in this order, before `Cache-Control`.
pub(super) const TARGETS: [HeaderName; 2] =
    [HeaderName::from_static("burgeon-cache-control"), HeaderName::from_static("cdn-cache-control")];

impl Directives {
    /// What a request says. HTTP/1.0's `Pragma: no-cache` counts where there is no `Cache-Control`.
    pub(super) fn of_request(headers: &HeaderMap) -> Self {
        if headers.contains_key(CACHE_CONTROL) {
            return Self::read(headers.get_all(CACHE_CONTROL).iter());
        }
        let pragma = Self::read(headers.get_all(PRAGMA).iter());
        Self { no_cache: pragma.no_cache, ..Self::default() }
    }

    /// What a response says to this cache, and whether a targeted field said it: then `Expires` does not count either.
    pub(super) fn of_response(headers: &HeaderMap) -> (Self, bool) {
        for target in &TARGETS {
            if let Some(directives) = Self::targeted(headers, target) {
                return (directives, true);
            }
        }
        (Self::read(headers.get_all(CACHE_CONTROL).iter()), false)
    }

    /// A targeted field is a dictionary of RFC 8941; one that is empty, or is not such a dictionary, is not there.
    fn targeted(headers: &HeaderMap, name: &HeaderName) -> Option<Self> {
        let mut text = String::new();
        for value in headers.get_all(name) {
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(value.to_str().ok()?);
        }
        let members: Vec<Member<'_>> = members(&text).collect();
        let is_dictionary = !members.is_empty() && members.iter().all(Member::is_structured);
        is_dictionary.then(|| members.iter().fold(Self::default(), Self::with))
    }

    fn read<'a>(values: impl Iterator<Item = &'a HeaderValue>) -> Self {
        let texts = values.filter_map(|value| value.to_str().ok());
        texts.flat_map(members).fold(Self::default(), |said, member| said.with(&member))
    }

    fn with(mut self, member: &Member<'_>) -> Self {
        let seconds = |slot: &mut Option<u64>| {
            slot.get_or_insert_with(|| member.seconds());
        };
        match &*member.name.to_ascii_lowercase() {
            "public" => self.public = true,
            "private" => self.private = Some(member.of()),
            "no-cache" => self.no_cache = Some(member.of()),
            "no-store" => self.no_store = true,
            "must-revalidate" => self.must_revalidate = true,
            "proxy-revalidate" => self.proxy_revalidate = true,
            "must-understand" => self.must_understand = true,
            "only-if-cached" => self.only_if_cached = true,
            "max-age" => seconds(&mut self.max_age),
            "s-maxage" => seconds(&mut self.s_maxage),
            "stale-while-revalidate" => seconds(&mut self.stale_while_revalidate),
            "stale-if-error" => seconds(&mut self.stale_if_error),
            "min-fresh" => seconds(&mut self.min_fresh),
            "max-stale" => {
                let _ = self.max_stale.get_or_insert_with(|| member.value.map(|_| member.seconds()));
            }
            // `immutable` and `no-transform` ask nothing of a cache that neither reloads nor transforms.
            _ => {}
        }
        self
    }
}

/// `name`, `name=value` or `name="value"`.
struct Member<'a> {
    name: &'a str,
    value: Option<&'a str>,
}

/// The members of a list, quoted commas left in peace.
fn members(text: &str) -> impl Iterator<Item = Member<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let mut quoted = false;
            let end = rest
                .bytes()
                .position(|byte| {
                    quoted ^= byte == b'"';
                    byte == b',' && !quoted
                })
                .unwrap_or(rest.len());
            let (one, behind) = rest.split_at(end);
            rest = behind.strip_prefix(',').unwrap_or_default();
            let one = one.trim();
            if !one.is_empty() {
                let (name, value) = match one.split_once('=') {
                    Some((name, value)) => (name.trim(), Some(value.trim())),
                    None => (one, None),
                };
                return Some(Member { name, value });
            }
        }
        None
    })
}

impl Member<'_> {
    fn unquoted(&self) -> Option<&str> {
        let value = self.value?;
        Some(value.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(value))
    }

    /// A number that is none is zero: stale at once is the safe reading.
    fn seconds(&self) -> u64 {
        let digits = self.unquoted().unwrap_or_default();
        match !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            true => digits.parse().unwrap_or(MOST).min(MOST),
            false => 0,
        }
    }

    /// Only a quoted list of names that are all names limits it to fields.
    fn of(&self) -> Of {
        let quoted = self.value.and_then(|value| value.strip_prefix('"')?.strip_suffix('"'));
        let names = quoted.map(|list| {
            list.split(',').map(|name| HeaderName::from_str(name.trim())).collect::<Result<Vec<_>, _>>()
        });
        match names {
            Some(Ok(names)) if !names.is_empty() => Of::Fields(names),
            _ => Of::Everything,
        }
    }

    /// Whether it could stand in a dictionary of RFC 8941, as far as a cache's directives go: a key, and no value, a number,
    /// a string, a boolean or a token.
    fn is_structured(&self) -> bool {
        let name = self.name.as_bytes();
        let is_key = name.first().is_some_and(|first| first.is_ascii_lowercase() || *first == b'*')
            && name.iter().all(|byte| {
                byte.is_ascii_lowercase()
                    || byte.is_ascii_digit()
                    || matches!(byte, b'_' | b'-' | b'.' | b'*')
            });
        let is_value = self.value.is_none_or(|value| match value.as_bytes() {
            [b'"', inside @ .., b'"'] => !inside.contains(&b'"'),
            [b'?', digit] => matches!(digit, b'0' | b'1'),
            [first, rest @ ..] => {
                let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(byte);
                let is_number = first.is_ascii_digit() || *first == b'-';
                match is_number {
                    true => rest.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.'),
                    false => (first.is_ascii_alphabetic() || *first == b'*') && rest.iter().all(token),
                }
            }
            [] => false,
        });
        is_key && is_value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &'static str) -> Directives {
        Directives::read([HeaderValue::from_static(text)].iter())
    }

    #[test]
    fn of_a_directive_that_comes_twice_the_first_counts() {
        assert_eq!(read("max-age=10, max-age=99").max_age, Some(10));
    }

    #[test]
    fn a_number_that_is_none_is_stale_at_once_and_one_too_large_is_the_largest() {
        for odd in ["max-age=ten", "max-age=-1", "max-age=1.5", "max-age=", "max-age"] {
            assert_eq!(read(odd).max_age, Some(0), "{odd}");
        }
        assert_eq!(read("max-age=99999999999999999999999").max_age, Some(1 << 31));
        assert_eq!(read("MAX-AGE=\"60\"").max_age, Some(60));
    }

    #[test]
    fn a_list_of_fields_must_be_quoted_and_made_of_names() {
        let fields = |text| read(text).private;
        assert_eq!(
            fields("private=\"x-who, set-cookie\", max-age=1"),
            Some(Of::Fields(vec![HeaderName::from_static("x-who"), http::header::SET_COOKIE]))
        );
        for everything in ["private", "private=x-who", "private=\"\"", "private=\"no name\""] {
            assert_eq!(fields(everything), Some(Of::Everything), "{everything}");
        }
    }

    #[test]
    fn max_stale_without_a_number_is_without_end() {
        assert_eq!(read("max-stale").max_stale, Some(None));
        assert_eq!(read("max-stale=5").max_stale, Some(Some(5)));
    }

    #[test]
    fn a_targeted_field_goes_first_unless_it_cannot_be_read() {
        let of = |ours: Option<&'static str>, cdn: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=1"));
            for (name, value) in TARGETS.iter().zip([ours, cdn]) {
                if let Some(value) = value {
                    headers.insert(name, HeaderValue::from_static(value));
                }
            }
            let (directives, targeted) = Directives::of_response(&headers);
            (directives.max_age, targeted)
        };
        assert_eq!(of(Some("max-age=3"), Some("max-age=2")), (Some(3), true));
        assert_eq!(of(None, Some("max-age=2")), (Some(2), true));
        assert_eq!(of(None, None), (Some(1), false));
        for odd in ["", "max-age=", "max age", "Max-Age=3", "max-age=3, \"x\"", "max-age=[3]"] {
            assert_eq!(of(Some(odd), None), (Some(1), false), "{odd}");
        }
    }
}
