//! What a request's path says in the places that its route's pattern names.

use std::ops::Range;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use smallvec::SmallVec;

/// The values, in the order of the pattern. Those that stand in the path as they are stay there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Params(SmallVec<[Value; 2]>);

#[derive(Debug, Clone)]
enum Value {
    /// Where in the path.
    AsSent(Range<usize>),
    Decoded(String),
}

/// The values with their names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PathValues<'a> {
    names: &'a [Arc<str>],
    params: &'a Params,
    path: &'a str,
}

impl Params {
    /// From parts of `path`; `None` when one of them is not UTF-8 once it is decoded.
    pub(crate) fn of<'a>(path: &str, parts: impl Iterator<Item = &'a str>) -> Option<Self> {
        let value = |part: &str| {
            if part.as_bytes().contains(&b'%') {
                let decoded = percent_decode_str(part).decode_utf8().ok()?;
                return Some(Value::Decoded(decoded.into_owned()));
            }
            // The matcher gives slices of the path itself.
            let start = (part.as_ptr() as usize).wrapping_sub(path.as_ptr() as usize);
            Some(Value::AsSent(start..start.wrapping_add(part.len())))
        };
        parts.map(value).collect::<Option<_>>().map(Self)
    }

    /// The same without the path: for a request whose path may be changed on its way.
    pub(crate) fn apart(self, path: &str) -> Self {
        let alone = |value| match value {
            Value::AsSent(range) => Value::Decoded(path.get(range).unwrap_or_default().to_owned()),
            decoded => decoded,
        };
        Self(self.0.into_iter().map(alone).collect())
    }

    /// With their names, of the same pattern, and the path they were taken from.
    pub(crate) fn named<'a>(&'a self, names: &'a [Arc<str>], path: &'a str) -> PathValues<'a> {
        PathValues { names, params: self, path }
    }
}

impl<'a> PathValues<'a> {
    pub(crate) fn len(self) -> usize {
        self.params.0.len()
    }

    /// Name and value of each.
    pub(crate) fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let value = move |value: &'a Value| match value {
            Value::AsSent(range) => self.path.get(range.clone()).unwrap_or_default(),
            Value::Decoded(text) => text,
        };
        self.names.iter().map(|name| &**name).zip(self.params.0.iter().map(value))
    }
}
