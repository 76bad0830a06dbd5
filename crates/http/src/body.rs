//! The body of a request or a response: bytes at once, what hyper reads from a connection, or any stream.
//!
//! What it is not: a buffer. A body is read once, and only as far as a limit given by whoever reads it.
//!
//! # Invariants
//! - Bytes known at once and hyper's own body cost no allocation.
//! - An error of kind `burgeon_core::Error` inside a stream reaches the reader as itself.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use http::StatusCode;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Incoming;

use burgeon_core::units::Size;
use burgeon_core::{Error, Kind, Result};

use crate::problem::status_error;

/// Any error at all, as bodies of foreign crates have them.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A request with our [`Body`].
pub type Request = http::Request<Body>;

/// A response with our [`Body`].
pub type Response = http::Response<Body>;

/// A body. Made from bytes, text, a stream ([`Body::stream`]) or any other body ([`Body::new`]).
pub struct Body(Inner);

enum Inner {
    Full(Option<Bytes>),
    Incoming(Incoming),
    Boxed(UnsyncBoxBody<Bytes, BoxError>),
}

impl Body {
    /// No body.
    pub fn empty() -> Self {
        Self(Inner::Full(None))
    }

    /// Any body as ours. A body that is ours already stays as it is.
    pub fn new<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let mut slot = Some(body);
        if let Some(own) = (&mut slot as &mut dyn Any).downcast_mut::<Option<Body>>() {
            return own.take().unwrap_or_default();
        }
        if let Some(incoming) = (&mut slot as &mut dyn Any).downcast_mut::<Option<Incoming>>() {
            return incoming.take().map_or_else(Body::empty, Body::from);
        }
        match slot {
            Some(body) => Self(Inner::Boxed(UnsyncBoxBody::new(body.map_err(Into::into)))),
            None => Self::empty(),
        }
    }

    /// Chunks as they come. An `Err` ends the response in a way that the client can tell from a complete one.
    pub fn stream(chunks: impl Stream<Item = Result<Bytes>> + Send + 'static) -> Self {
        Self::new(StreamBody::new(chunks.map(|chunk| chunk.map(Frame::data))))
    }

    /// Reads it to the end, up to `limit` bytes.
    ///
    /// # Errors
    /// 413 when it is longer, told at once if its announced length says so; 400 when the connection ended early.
    pub async fn read(self, limit: Size) -> Result<Bytes> {
        let too_large = || {
            let sentence = format!("The body is larger than the {limit} that this address takes.");
            status_error(StatusCode::PAYLOAD_TOO_LARGE, sentence)
        };
        if self.size_hint().lower() > limit.as_bytes() {
            return Err(too_large());
        }
        let mut body = match self.0 {
            Inner::Full(bytes) => return Ok(bytes.unwrap_or_default()),
            other => Body(other),
        };
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(reading_failed)?.into_data() else { continue };
            let length = first.len().saturating_add(rest.len()).saturating_add(data.len());
            if length as u64 > limit.as_bytes() {
                return Err(too_large());
            }
            // One chunk is the common case and needs no copy.
            match (first.is_empty(), rest.is_empty()) {
                (true, true) => first = data,
                (false, true) => {
                    rest.extend_from_slice(&std::mem::take(&mut first));
                    rest.extend_from_slice(&data);
                }
                (_, false) => rest.extend_from_slice(&data),
            }
        }
        Ok(if rest.is_empty() { first } else { rest.freeze() })
    }
}

fn reading_failed(error: BoxError) -> Error {
    match error.downcast::<Error>() {
        Ok(ours) => *ours,
        Err(foreign) => {
            Error::new(Kind::Invalid, "The body ended before it was complete.").with_source(foreign)
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            Inner::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Inner::Incoming(incoming) => {
                Pin::new(incoming).poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(Into::into)))
            }
            Inner::Boxed(boxed) => Pin::new(boxed).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Full(bytes) => bytes.is_none(),
            Inner::Incoming(incoming) => incoming.is_end_stream(),
            Inner::Boxed(boxed) => boxed.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Inner::Incoming(incoming) => incoming.size_hint(),
            Inner::Boxed(boxed) => boxed.size_hint(),
        }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl From<Incoming> for Body {
    fn from(incoming: Incoming) -> Self {
        Self(Inner::Incoming(incoming))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(Inner::Full((!bytes.is_empty()).then_some(bytes)))
    }
}

impl From<()> for Body {
    fn from((): ()) -> Self {
        Self::empty()
    }
}

macro_rules! from_bytes_like {
    ($($of:ty)*) => {$(
        impl From<$of> for Body {
            fn from(content: $of) -> Self {
                Self::from(Bytes::from(content))
            }
        }
    )*};
}

from_bytes_like!(String Vec<u8> &'static str &'static [u8]);

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sort = match &self.0 {
            Inner::Full(_) => "full",
            Inner::Incoming(_) => "incoming",
            Inner::Boxed(_) => "stream",
        };
        f.debug_struct("Body").field("sort", &sort).field("size", &self.size_hint().exact()).finish()
    }
}
