//! A response's body on its way out.
//!
//! It ends its exchange when hyper drops it. On HTTP/2 it also hands large chunks over in pieces and remembers when it
//! was last asked for one: a stream whose window the client never opens is not asked, however lively the socket.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::progress::Exchange;
use super::streams::Turn;

/// The most that one HTTP/2 stream is given at once: what a client without a window can pin in memory. It is the
/// default frame size, so nothing is split that would have travelled whole.
const PIECE: usize = 16 * 1024;

pub(super) struct Leaving<B> {
    /// None when all there is to say is in `rest`.
    body: Option<B>,
    turn: Option<Turn>,
    rest: Bytes,
    _exchange: Exchange,
}

impl<B> Leaving<B> {
    pub(super) fn new(body: B, exchange: Exchange, turn: Option<Turn>) -> Self {
        Self { body: Some(body), turn, rest: Bytes::new(), _exchange: exchange }
    }

    /// A body of the server's own.
    pub(super) fn of_text(text: impl Into<Bytes>, exchange: Exchange) -> Self {
        Self { body: None, turn: None, rest: text.into(), _exchange: exchange }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Leaving<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else {
            let text = std::mem::take(&mut this.rest);
            return Poll::Ready((!text.is_empty()).then(|| Ok(Frame::data(text))));
        };
        let Some(turn) = &this.turn else { return Pin::new(body).poll_frame(cx) };
        if this.rest.is_empty() {
            match Pin::new(body).poll_frame(cx) {
                Poll::Pending => {
                    turn.ours();
                    return Poll::Pending;
                }
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                Poll::Ready(end) => return Poll::Ready(end),
            }
        }
        turn.theirs();
        let piece = this.rest.split_to(this.rest.len().min(PIECE));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let Some(body) = &self.body else { return SizeHint::with_exact(rest) };
        let mut hint = body.size_hint();
        if rest > 0 {
            if let Some(upper) = hint.upper() {
                hint.set_upper(upper + rest);
            }
            hint.set_lower(hint.lower() + rest);
        }
        hint
    }
}
