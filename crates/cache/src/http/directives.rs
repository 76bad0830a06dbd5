//! `Cache-Control`, and the targeted fields that go before it: what sender and receiver say of keeping.
//!
//! Read as RFC 9111 (5.2) and RFC 9213 want it: of a directive that comes twice the first counts, a number that is none
//! means stale at once, and whatever is not known is passed over.

use std::str::FromStr;

use http::header::{CACHE_CONTROL, PRAGMA};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::structured::{Item, dictionary};

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

impl Of {
    /// What comes twice is said of both.
    fn and(self, other: Option<Of>) -> Of {
        match (self, other) {
            (of, None) => of,
            (Of::Fields(mut names), Some(Of::Fields(more))) => {
                names.extend(more);
                Of::Fields(names)
            }
            (Of::Everything, _) | (_, Some(Of::Everything)) => Of::Everything,
        }
    }
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

    /// A targeted field is a dictionary of structured fields; one that is empty, or is none, is not there.
    fn targeted(headers: &HeaderMap, name: &HeaderName) -> Option<Self> {
        let lines: Vec<&str> =
            headers.get_all(name).iter().map(|line| line.to_str().ok()).collect::<Option<_>>()?;
        let text = lines.join(",");
        let members = dictionary(&text).filter(|members| !members.is_empty())?;
        Some(
            members
                .iter()
                .filter_map(Member::of_item)
                .fold(Self::default(), |said, member| said.with(&member)),
        )
    }

    fn read<'a>(values: impl Iterator<Item = &'a HeaderValue>) -> Self {
        // Lossily: a letter of no alphabet in one directive must not hide another.
        let texts: Vec<_> = values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        texts.iter().flat_map(|text| members(text)).fold(Self::default(), |said, member| said.with(&member))
    }

    fn with(mut self, member: &Member<'_>) -> Self {
        let seconds = |slot: &mut Option<u64>| {
            slot.get_or_insert_with(|| member.seconds());
        };
        match &*member.name.to_ascii_lowercase() {
            "public" => self.public = true,
            "private" => self.private = Some(member.of().and(self.private)),
            "no-cache" => self.no_cache = Some(member.of().and(self.no_cache)),
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
                let _ = self
                    .max_stale
                    .get_or_insert_with(|| (member.value != Value::None).then(|| member.seconds()));
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
    value: Value<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Value<'a> {
    None,
    Bare(&'a str),
    /// Without its quotes.
    Quoted(&'a str),
    Seconds(u64),
}

/// The members of a list, quoted commas left in peace.
fn members(text: &str) -> impl Iterator<Item = Member<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let (mut quoted, mut escaped) = (false, false);
            let end = rest
                .bytes()
                .position(|byte| {
                    quoted ^= byte == b'"' && !escaped;
                    escaped = quoted && byte == b'\\' && !escaped;
                    byte == b',' && !quoted
                })
                .unwrap_or(rest.len());
            let (one, behind) = rest.split_at(end);
            rest = behind.strip_prefix(',').unwrap_or_default();
            let one = one.trim();
            if !one.is_empty() {
                let (name, value) = one
                    .split_once('=')
                    .map_or((one, None), |(name, value)| (name.trim(), Some(value.trim())));
                let quoted = value.and_then(|value| value.strip_prefix('"')?.strip_suffix('"'));
                let value = match (quoted, value) {
                    (Some(inside), _) => Value::Quoted(inside),
                    (None, Some(value)) => Value::Bare(value),
                    (None, None) => Value::None,
                };
                return Some(Member { name, value });
            }
        }
        None
    })
}

impl<'a> Member<'a> {
    /// A member of a dictionary, in the form of a directive. One of the wrong type says what a directive without sense says: a number
    /// that is none is zero, a list of names that is none is of everything; and what is false is not said.
    fn of_item((name, item): &'a (&'a str, Item)) -> Option<Self> {
        let numbers = ["max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"];
        let value = match item {
            Item::Boolean(false) => return None,
            Item::Integer(number) if numbers.contains(name) => {
                Value::Seconds(u64::try_from(*number).unwrap_or(0))
            }
            _ if numbers.contains(name) => Value::Seconds(0),
            Item::String(text) => Value::Quoted(text),
            Item::Boolean(true) | Item::Integer(_) | Item::Other => Value::None,
        };
        Some(Self { name, value })
    }

    /// A number that is none is zero: stale at once is the safe reading.
    fn seconds(&self) -> u64 {
        let digits = match self.value {
            Value::Bare(text) | Value::Quoted(text) => text,
            Value::Seconds(seconds) => return seconds.min(MOST),
            Value::None => return 0,
        };
        seconds(digits).unwrap_or(0)
    }

    /// Only a quoted list of names that are all names limits it to fields.
    fn of(&self) -> Of {
        let Value::Quoted(list) = self.value else { return Of::Everything };
        let names = list.split(',').map(|name| HeaderName::from_str(name.trim()));
        names.collect::<Result<_, _>>().map_or(Of::Everything, Of::Fields)
    }
}

/// A number of seconds: digits, and nothing else. One beyond all bounds is the largest there is (RFC 9111, 1.2.2).
pub(super) fn seconds(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(MOST).min(MOST))
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
    fn what_comes_twice_is_said_of_both_and_the_stricter_counts() {
        let x = |name| HeaderName::from_static(name);
        assert_eq!(read("private=\"x-a\", private").private, Some(Of::Everything));
        assert_eq!(read("private, private=\"x-a\"").private, Some(Of::Everything));
        let both = read("no-cache=\"x-a\", no-cache=\"x-b\"").no_cache;
        assert_eq!(both, Some(Of::Fields(vec![x("x-b"), x("x-a")])));
    }

    #[test]
    fn nothing_in_quotes_or_beyond_ascii_hides_what_stands_behind_it() {
        for text in [r#"x="a\"b", no-store"#, r#"x="a,b", no-store"#, r#"x="a\\", no-store"#] {
            assert!(Directives::read([HeaderValue::from_str(text).unwrap()].iter()).no_store, "{text}");
        }
        assert!(!read("x=\"a, no-store\"").no_store);
        let odd = HeaderValue::from_bytes(b"x=\"\xe4\", no-store").unwrap();
        assert!(Directives::read([odd].iter()).no_store);
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
        // Of the wrong type: it is there, and says nothing that would keep anything.
        for odd in ["max-age=\"3\"", "max-age=3.5", "max-age", "max-age=-3"] {
            assert_eq!(of(Some(odd), None), (Some(0), true), "{odd}");
        }
        // The last counts, and what stands behind a semicolon is for others.
        assert_eq!(of(Some("max-age=9, max-age=3;why=x"), None), (Some(3), true));
        assert_eq!(of(Some("max-age=?0, public=?0"), None), (None, true));
    }
}
