//! The body of a response that went through a cache: from its memory, or from the handler.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::{Instant, timeout_at};

use super::storing::Why;

/// Any error at all, as bodies have them.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A response's body behind a cache; `B` is the handler's own.
pub struct Body<B>(Inner<B>);

enum Inner<B> {
    /// Out of the cache.
    Kept(Option<Bytes>),
    /// The handler's, behind what was read of it already.
    Through { first: VecDeque<Bytes>, broken: Option<BoxError>, rest: Pin<Box<B>> },
}

impl<B> Body<B> {
    pub(super) fn kept(bytes: Bytes) -> Self {
        Self(Inner::Kept(Some(bytes).filter(|bytes| !bytes.is_empty())))
    }

    pub(super) fn through(rest: B) -> Self {
        Self(Inner::Through { first: VecDeque::new(), broken: None, rest: Box::pin(rest) })
    }
}

impl<B> http_body::Body for Body<B>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            Inner::Kept(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Inner::Through { first, broken, rest } => match (first.pop_front(), broken.take()) {
                (Some(bytes), was) => {
                    *broken = was;
                    Poll::Ready(Some(Ok(Frame::data(bytes))))
                }
                (None, Some(error)) => Poll::Ready(Some(Err(error))),
                (None, None) => {
                    rest.as_mut().poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(Into::into)))
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Kept(bytes) => bytes.is_none(),
            Inner::Through { first, broken, rest } => {
                first.is_empty() && broken.is_none() && rest.is_end_stream()
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Kept(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Inner::Through { first, rest, .. } => {
                let read: u64 = first.iter().map(|bytes| bytes.len() as u64).sum();
                let of_rest = rest.size_hint();
                let mut hint = SizeHint::new();
                hint.set_lower(read.saturating_add(of_rest.lower()));
                if let Some(upper) = of_rest.upper() {
                    hint.set_upper(read.saturating_add(upper));
                }
                hint
            }
        }
    }
}

impl<B> fmt::Debug for Body<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Inner::Kept(_) => "Body(kept)",
            Inner::Through { .. } => "Body(through)",
        })
    }
}

/// Reads a body to its end, up to `limit` bytes and for at most `patience`. What did not come whole is given back, with what
/// was read of it in front.
pub(super) async fn gather<B>(body: B, limit: u64, patience: Duration) -> Result<Bytes, (Body<B>, Why)>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>>,
{
    let until = Instant::now() + patience;
    let mut rest = Box::pin(body);
    let (mut first, mut length, mut broken) = (VecDeque::new(), 0, None);
    let why = loop {
        if rest.size_hint().lower().saturating_add(length) > limit {
            break Why::TooLarge;
        }
        let frame = std::future::poll_fn(|cx| rest.as_mut().poll_frame(cx));
        match timeout_at(until, frame).await {
            Ok(None) => return Ok(joined(first, length)),
            Ok(Some(Ok(frame))) => {
                // Trailers may be left out (RFC 9111, 3.1).
                let Ok(data) = frame.into_data() else { continue };
                length += data.len() as u64;
                first.push_back(data);
            }
            // What cannot be kept, its reader shall see as it is: broken off.
            Ok(Some(Err(error))) => {
                broken = Some(error.into());
                break Why::Incomplete;
            }
            Err(_) => break Why::Incomplete,
        }
    };
    Err((Body(Inner::Through { first, broken, rest }), why))
}

fn joined(mut parts: VecDeque<Bytes>, length: u64) -> Bytes {
    // One chunk is the common case and needs no copy.
    if parts.len() < 2 {
        return parts.pop_front().unwrap_or_default();
    }
    let mut whole = BytesMut::with_capacity(usize::try_from(length).unwrap_or_default());
    parts.iter().for_each(|part| whole.extend_from_slice(part));
    whole.freeze()
}
