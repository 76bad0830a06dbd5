//! The fields of a head that the stack wants to know, found in one walk over it.

use http::{HeaderMap, HeaderValue};

use super::compression::Encodings;

/// The first value of each. A look-up of every one of them would cost more than the walk: most heads are short, and most of
/// these fields are not there.
#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    pub(super) host: Option<&'a HeaderValue>,
    pub(super) several_hosts: bool,
    pub(super) expect: Option<&'a HeaderValue>,
    pub(super) accept: Option<&'a HeaderValue>,
    pub(super) origin: Option<&'a HeaderValue>,
    pub(super) traceparent: Option<&'a HeaderValue>,
    pub(super) request_id: Option<&'a HeaderValue>,
    /// How many milliseconds the caller will wait: what is left of its own deadline. It can only shorten ours.
    pub(super) timeout: Option<&'a HeaderValue>,
    /// Where the client's last write stands in the database's log, signed.
    pub(super) position: Option<&'a HeaderValue>,
    pub(super) cookie: Option<&'a HeaderValue>,
    pub(super) encodings: Encodings,
}

impl<'a> Fields<'a> {
    pub(super) fn of(headers: &'a HeaderMap) -> Self {
        let mut fields = Self::default();
        for (name, value) in headers {
            let place = match name.as_str() {
                "host" => {
                    fields.several_hosts = fields.host.is_some();
                    &mut fields.host
                }
                "accept-encoding" => {
                    fields.encodings.read(value);
                    continue;
                }
                "expect" => &mut fields.expect,
                "accept" => &mut fields.accept,
                "origin" => &mut fields.origin,
                "traceparent" => &mut fields.traceparent,
                "x-request-id" => &mut fields.request_id,
                "burgeon-position" => &mut fields.position,
                "cookie" => &mut fields.cookie,
                "x-request-timeout-ms" => &mut fields.timeout,
                _ => continue,
            };
            place.get_or_insert(value);
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_counts_but_of_encodings_all() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "a"),
            ("accept", "text/html"),
            ("accept", "*/*"),
            ("accept-encoding", "br"),
            ("accept-encoding", "gzip;q=0.5"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let fields = Fields::of(&headers);
        assert_eq!(fields.accept.unwrap(), "text/html");
        assert!(fields.encodings.take_gzip());
        assert!(!fields.several_hosts && fields.expect.is_none());
        headers.append("host", HeaderValue::from_static("b"));
        assert!(Fields::of(&headers).several_hosts);
    }
}
