//! The bytes of one connection, plain or under TLS, with a note of every one that moves.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use burgeon_tls::ServerStream;
use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::progress::Progress;

/// What carries the bytes.
pub(super) enum Stream {
    Plain(TcpStream),
    // Boxed: rustls's state is some kilobytes, and most connections have none.
    Tls(Box<ServerStream<TcpStream>>),
}

/// How long, and for how many bytes, a closed connection listens on to a client that is still sending a body which
/// nobody wanted. Closed at once, the kernel would answer those bytes with a reset, and a reset can overtake the
/// response that says why. Whoever sends more than this does not listen for an answer.
const LISTEN_ON: Duration = Duration::from_secs(2);
const LISTEN_TO: usize = 16 << 20;

/// A [`Stream`] that first gives back what was read ahead to learn the protocol.
pub(super) struct Wire {
    stream: Stream,
    ahead: Bytes,
    progress: Arc<Progress>,
    closing: Option<Closing>,
}

/// A connection that has said its last word and still listens.
struct Closing {
    until: Pin<Box<Sleep>>,
    heard: usize,
}

impl Wire {
    pub(super) fn new(stream: Stream, ahead: Bytes, progress: Arc<Progress>) -> Self {
        Self { stream, ahead, progress, closing: None }
    }

    fn note(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(1..)) => self.progress.wrote(),
            Poll::Pending => self.progress.stall(),
            Poll::Ready(_) => {}
        }
        written
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        if !self.ahead.is_empty() {
            let count = self.ahead.len().min(into.remaining());
            into.put_slice(&self.ahead[..count]);
            self.ahead.advance(count);
        } else {
            let read = Pin::new(&mut self.stream).poll_read(cx, into);
            if !matches!(read, Poll::Ready(Ok(()))) {
                return read;
            }
        }
        if into.filled().len() > before {
            self.progress.arrived();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, from);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, from);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if flushed.is_pending() {
            self.progress.stall();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.closing.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            if !this.progress.left_unread() {
                return Poll::Ready(Ok(()));
            }
        }
        let closing = this
            .closing
            .get_or_insert_with(|| Closing { until: Box::pin(tokio::time::sleep(LISTEN_ON)), heard: 0 });
        let mut bytes = [0; 4096];
        while closing.heard < LISTEN_TO && closing.until.as_mut().poll(cx).is_pending() {
            let mut into = ReadBuf::new(&mut bytes);
            // An error, like an end, says that the client has gone: there is nobody left to listen to.
            match ready!(Pin::new(&mut this.stream).poll_read(cx, &mut into)) {
                Ok(()) if !into.filled().is_empty() => closing.heard += into.filled().len(),
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

macro_rules! either {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Stream::Plain(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            Stream::Tls(stream) => {
                let $stream = Pin::new(&mut **stream);
                $call
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_read(cx, into))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write(cx, from))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write_vectored(cx, from))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_shutdown(cx))
    }
}
