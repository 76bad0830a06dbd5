//! gzip for what shrinks, for clients that take it.
//!
//! A response is left alone when it is small, already encoded, a part of something, an event stream (which must not
//! wait in a compressor's window), or says `no-transform`.

use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::buf::Writer;
use bytes::{BufMut as _, Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::{FutureExt as _, stream};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt as _, StreamBody};

use crate::{Body, BoxError, Response};

/// Below this a packet is a packet, compressed or not.
const WORTHWHILE: u64 = 1024;
/// Two thirds of the gain of the default level for a third of its time, on JSON and HTML.
const LEVEL: Compression = Compression::new(4);
/// The most that is compressed before other requests of this core get their turn.
const TURN: usize = 64 * 1024;

/// What a client's `Accept-Encoding` says of gzip, in however many fields (RFC 9110, 12.5.3).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Encodings {
    gzip: Option<bool>,
    any: Option<bool>,
}

impl Encodings {
    /// One more field.
    pub(super) fn read(&mut self, field: &HeaderValue) {
        for entry in field.as_bytes().split(|byte| *byte == b',') {
            let coding = entry.split(|byte| *byte == b';').next().unwrap_or_default();
            let wanted = !is_zero(&entry[coding.len()..]);
            match coding.trim_ascii() {
                // It is usually named first, and nothing behind it can change that.
                coding if coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip") => {
                    self.gzip.get_or_insert(wanted);
                    return;
                }
                b"*" => self.any = Some(wanted),
                _ => {}
            }
        }
    }

    /// Whether the client takes it.
    pub(super) fn take_gzip(self) -> bool {
        self.gzip.or(self.any).unwrap_or(false)
    }
}

/// `;q=0`, `; q=0.0`, `;q=0.000`: not acceptable.
fn is_zero(parameters: &[u8]) -> bool {
    let quality = parameters.strip_prefix(b";").map(<[u8]>::trim_ascii);
    let quality = quality.and_then(|text| text.strip_prefix(b"q=").or_else(|| text.strip_prefix(b"Q=")));
    quality.is_some_and(|quality| quality.iter().all(|byte| matches!(byte, b'0' | b'.')))
}

/// Compresses the response if it should be.
pub(super) fn apply(response: &mut Response, encodings: Encodings, method: &Method) {
    if !should(response, method) {
        return;
    }
    let headers = response.headers_mut();
    // Also when this client does not take it: a cache must not give it another one's.
    headers.append(VARY, HeaderValue::from_static("accept-encoding"));
    if !encodings.take_gzip() {
        return;
    }
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.remove(CONTENT_LENGTH);
    headers.remove(ACCEPT_RANGES);
    weaken_etag(headers);
    let body = std::mem::take(response.body_mut());
    *response.body_mut() = gzip(body);
}

fn should(response: &Response, method: &Method) -> bool {
    let headers = response.headers();
    let large = response.body().size_hint().exact().is_none_or(|length| length >= WORTHWHILE);
    large
        && *method != Method::HEAD
        && !matches!(
            response.status(),
            StatusCode::PARTIAL_CONTENT | StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        )
        && !headers.contains_key(CONTENT_ENCODING)
        && !headers.contains_key(CONTENT_RANGE)
        && headers.get(CONTENT_TYPE).is_some_and(is_compressible)
        && !headers
            .get(CACHE_CONTROL)
            .is_some_and(|control| control.as_bytes().windows(12).any(|word| word == b"no-transform"))
}

fn is_compressible(sort: &HeaderValue) -> bool {
    let Ok(sort) = sort.to_str() else { return false };
    let sort = sort.split(';').next().unwrap_or_default().trim();
    match sort.split_once('/') {
        Some(("text", sub)) => sub != "event-stream",
        Some(("application", sub)) => {
            matches!(sub, "json" | "javascript" | "xml" | "wasm" | "manifest+json" | "x-ndjson")
                || sub.ends_with("+json")
                || sub.ends_with("+xml")
        }
        Some(("image", sub)) => matches!(sub, "svg+xml" | "bmp" | "x-icon"),
        Some(("font", sub)) => matches!(sub, "ttf" | "otf"),
        _ => false,
    }
}

/// The bytes are others now, though the meaning is the same (RFC 9110, 8.8.1).
fn weaken_etag(headers: &mut HeaderMap) {
    let Some(etag) = headers.get(ETAG) else { return };
    if etag.as_bytes().starts_with(b"W/") {
        return;
    }
    let weak = [b"W/", etag.as_bytes()].concat();
    if let Ok(weak) = HeaderValue::from_bytes(&weak) {
        headers.insert(ETAG, weak);
    }
}

/// Compresses at once what is small and whole, which keeps its length known; everything else as it goes.
fn gzip(mut body: Body) -> Body {
    let mut waiting = Bytes::new();
    if body.size_hint().exact().is_some_and(|length| length <= TURN as u64) {
        match body.frame().now_or_never() {
            Some(Some(Ok(frame))) => waiting = frame.into_data().unwrap_or_default(),
            Some(Some(Err(error))) => {
                return Body::new(StreamBody::new(stream::iter([Err::<Frame<Bytes>, _>(error)])));
            }
            Some(None) | None => {}
        }
        if body.is_end_stream() {
            let mut encoder = GzEncoder::new(Vec::with_capacity(waiting.len() / 2), LEVEL);
            // Writing to memory does not fail.
            if let Ok(small) = encoder.write_all(&waiting).and_then(|()| encoder.finish()) {
                return Body::from(small);
            }
            return Body::empty();
        }
    }
    let encoder = GzEncoder::new(BytesMut::with_capacity(8 * 1024).writer(), LEVEL);
    Body::new(Gzip { body, waiting, held: false, encoder: Some(encoder) })
}

/// A body under compression, a turn at a time.
struct Gzip {
    body: Body,
    waiting: Bytes,
    // Whether the encoder may hold bytes that a reader should see.
    held: bool,
    // Gone when its last bytes have been given out.
    encoder: Option<GzEncoder<Writer<BytesMut>>>,
}

impl http_body::Body for Gzip {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        loop {
            let Some(encoder) = &mut this.encoder else { return Poll::Ready(None) };
            if this.waiting.is_empty() {
                match Pin::new(&mut this.body).poll_frame(cx) {
                    // Trailers have no place behind a compressed body, which ends itself.
                    Poll::Ready(Some(Ok(frame))) => this.waiting = frame.into_data().unwrap_or_default(),
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                    Poll::Ready(None) => {
                        let last = this.encoder.take().map(GzEncoder::finish).transpose()?;
                        let last = last.map(|rest| Ok(Frame::data(rest.into_inner().freeze())));
                        return Poll::Ready(last);
                    }
                    Poll::Pending if !this.held => return Poll::Pending,
                    // What a stream has said must not wait in the encoder for what it says next.
                    Poll::Pending => {
                        this.held = false;
                        encoder.flush()?;
                        let said = encoder.get_mut().get_mut().split().freeze();
                        return Poll::Ready(Some(Ok(Frame::data(said))));
                    }
                }
            }
            let turn = this.waiting.split_to(this.waiting.len().min(TURN));
            encoder.write_all(&turn)?;
            this.held |= !turn.is_empty();
            let ready = encoder.get_mut().get_mut().split().freeze();
            if !ready.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(ready))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn accepts(value: &str) -> bool {
        let mut encodings = Encodings::default();
        encodings.read(&HeaderValue::from_str(value).unwrap());
        encodings.take_gzip()
    }

    #[test]
    fn a_client_says_what_it_takes() {
        for yes in ["gzip", "deflate, gzip;q=0.5", "br, *", "GZIP", "gzip;q=0.001"] {
            assert!(accepts(yes), "{yes}");
        }
        for no in ["", "br", "gzip;q=0", "gzip; q=0.000", "*;q=0", "gzip;q=0, *", "gzippy"] {
            assert!(!accepts(no), "{no}");
        }
    }

    const GZIP: Encodings = Encodings { gzip: Some(true), any: None };

    fn packed(mut response: Response) -> Response {
        apply(&mut response, GZIP, &Method::GET);
        response
    }

    fn answer(sort: &str, body: impl Into<Body>) -> Response {
        let mut response = Response::new(body.into());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_str(sort).unwrap());
        response
    }

    async fn unpacked(response: Response) -> Vec<u8> {
        assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
        let packed = response.into_body().collect().await.unwrap().to_bytes();
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[tokio::test]
    async fn what_is_packed_unpacks_to_the_same_whatever_its_size_and_shape() {
        for size in [1024, 5_000, 64 * 1024, 64 * 1024 + 1, 3_000_000] {
            let text: Vec<u8> = (0..size).map(|index: usize| (index * index % 251) as u8).collect();
            let response = packed(answer("application/json", text.clone()));
            assert_eq!(unpacked(response).await, text, "{size} at once");

            let parts: Vec<_> = text.chunks(1_000).map(|part| Ok(Bytes::copy_from_slice(part))).collect();
            let streamed = answer("text/plain", Body::stream(stream::iter(parts)));
            assert_eq!(unpacked(packed(streamed)).await, text, "{size} streamed");
        }
    }

    #[tokio::test]
    async fn what_a_stream_has_said_does_not_wait_for_what_it_says_next() {
        let first = stream::iter([Ok(Bytes::from_static(b"hello"))]);
        let body = Body::stream(futures_util::StreamExt::chain(first, stream::pending()));
        let mut body = packed(answer("text/plain", body)).into_body();
        let mut packed = Vec::new();
        while let Some(frame) = body.frame().now_or_never() {
            packed.extend_from_slice(&frame.unwrap().unwrap().into_data().unwrap());
        }
        let mut said = [0; 5];
        flate2::read::GzDecoder::new(&packed[..]).read_exact(&mut said).unwrap();
        assert_eq!(&said, b"hello");
    }

    #[test]
    fn what_must_not_or_need_not_be_packed_is_left_alone() {
        let long = "x".repeat(2_000);
        let alone = |mut response: Response, accepted: bool, method| {
            let encodings = if accepted { GZIP } else { Encodings::default() };
            apply(&mut response, encodings, &method);
            !response.headers().contains_key(CONTENT_ENCODING)
        };
        assert!(alone(answer("text/html", "short"), true, Method::GET));
        assert!(alone(answer("image/png", long.clone()), true, Method::GET));
        assert!(alone(answer("text/event-stream", long.clone()), true, Method::GET));
        assert!(alone(answer("text/html", long.clone()), false, Method::GET));
        assert!(alone(answer("text/html", long.clone()), true, Method::HEAD));
        for (name, value) in [
            (CONTENT_RANGE, "bytes 0-1999/4000"),
            (CONTENT_ENCODING, "br"),
            (CACHE_CONTROL, "private, no-transform"),
        ] {
            let mut response = answer("text/html", long.clone());
            response.headers_mut().insert(name, HeaderValue::from_static(value));
            let response = packed(response);
            assert_ne!(
                response.headers().get(CONTENT_ENCODING),
                Some(&HeaderValue::from_static("gzip")),
                "{value}"
            );
        }
        let mut tagged = answer("text/html; charset=utf-8", long);
        tagged.headers_mut().insert(ETAG, HeaderValue::from_static("\"abc\""));
        let packed = packed(tagged);
        assert_eq!(packed.headers()[ETAG], "W/\"abc\"");
        assert_eq!(packed.headers()[VARY], "accept-encoding");
    }
}
