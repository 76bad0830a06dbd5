//! Requests that only want what they do not have already: RFC 9110, 13, answered from what is kept (RFC 9111, 4.3.2).

use http::header::{DATE, IF_MODIFIED_SINCE, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::kept::opaque;
use super::wall;

/// Whether the client has this response already.
pub(super) fn is_known(asked: &HeaderMap, status: StatusCode, headers: &HeaderMap) -> bool {
    if status != StatusCode::OK {
        return false;
    }
    if asked.contains_key(IF_NONE_MATCH) {
        let ours = headers.get(http::header::ETAG).map(|etag| opaque(etag.as_bytes()));
        return asked.get_all(IF_NONE_MATCH).iter().any(|list| names(list, ours));
    }
    let Some(since) = asked.get(IF_MODIFIED_SINCE).and_then(wall::parse) else { return false };
    let modified = headers.get(http::header::LAST_MODIFIED).or_else(|| headers.get(DATE));
    modified.and_then(wall::parse).is_some_and(|modified| modified <= since)
}

/// Whether the list names our entity tag, or anything at all.
fn names(list: &HeaderValue, ours: Option<&[u8]>) -> bool {
    if list.as_bytes().trim_ascii() == b"*" {
        return true;
    }
    let Some(ours) = ours else { return false };
    let mut rest = list.as_bytes();
    // An entity tag may hold commas, so the quotes are what counts.
    while let Some(open) = rest.iter().position(|byte| *byte == b'"') {
        let Some(length) = rest[open + 1..].iter().position(|byte| *byte == b'"') else { return false };
        let end = open + 1 + length + 1;
        if &rest[open..end] == ours {
            return true;
        }
        rest = &rest[end..];
    }
    false
}

#[cfg(test)]
mod tests {
    use http::header::{ETAG, LAST_MODIFIED};

    use super::*;

    fn known(asked: (http::HeaderName, &'static str), kept: (http::HeaderName, &'static str)) -> bool {
        let one = |(name, value)| HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
        is_known(&one(asked), StatusCode::OK, &one(kept))
    }

    #[test]
    fn tags_are_compared_without_their_weakness_and_between_their_quotes() {
        for list in ["\"a,b\"", "W/\"a,b\"", "\"x\", \"a,b\"", "*", " \"x\" ,W/\"a,b\""] {
            assert!(known((IF_NONE_MATCH, list), (ETAG, "W/\"a,b\"")), "{list}");
        }
        for list in ["\"a\"", "a,b", "\"a,b", "\"b\", \"a\"", ""] {
            assert!(!known((IF_NONE_MATCH, list), (ETAG, "\"a,b\"")), "{list}");
        }
    }

    #[test]
    fn without_a_date_of_change_the_date_of_the_response_counts() {
        let early = "Sun, 06 Nov 1994 08:49:37 GMT";
        let late = "Monday, 07-Nov-94 08:49:37 GMT";
        assert!(known((IF_MODIFIED_SINCE, late), (LAST_MODIFIED, early)));
        assert!(known((IF_MODIFIED_SINCE, early), (LAST_MODIFIED, early)));
        assert!(!known((IF_MODIFIED_SINCE, early), (LAST_MODIFIED, late)));
        assert!(known((IF_MODIFIED_SINCE, late), (DATE, early)));
        assert!(!known((IF_MODIFIED_SINCE, "soon"), (LAST_MODIFIED, early)));
    }
}
