//! The bytes of one connection, plain or under TLS, with a note of every one that moves and a guard over its framing.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use burgeon_tls::ServerStream;
use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::guard::{Guard, Refusal};
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

/// Responses up to this size are put together before they are written: below it copying costs less than telling the
/// kernel about two pieces.
const SMALL: usize = 1024;

/// What hyper reads in the place of a refused head: the request that the refusal answers. So the answer takes its turn
/// behind those of the requests before it.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost: -\r\nconnection: close\r\n\r\n";

/// A [`Stream`] that first gives back what was read ahead to learn the protocol, and lets the guard see every byte
/// before anybody else does.
pub(super) struct Wire {
    stream: Stream,
    /// Read, but not yet handed on: what was read to learn the protocol, or a head that is not whole yet.
    ahead: BytesMut,
    /// How many of those may be handed on.
    passed: usize,
    /// None for HTTP/2, whose frames leave no doubt.
    guard: Option<Guard>,
    end: Option<End>,
    /// Whether the client has sent its last byte.
    ended: bool,
    progress: Arc<Progress>,
    closing: Option<Closing>,
}

/// Why no more is read.
#[derive(Debug, Clone, Copy)]
enum End {
    /// A head was refused; its stand-in is the last to be handed on.
    Head,
    /// A body was refused in its middle.
    Body(Refusal),
}

/// A connection that has said its last word and still listens.
struct Closing {
    until: Pin<Box<Sleep>>,
    heard: usize,
}

impl Wire {
    pub(super) fn new(
        stream: Stream,
        ahead: BytesMut,
        guard: Option<Guard>,
        progress: Arc<Progress>,
    ) -> Self {
        if !ahead.is_empty() {
            progress.arrived();
        }
        let mut wire =
            Self { stream, ahead, passed: 0, guard, end: None, ended: false, progress, closing: None };
        wire.inspect();
        wire
    }

    /// Shows the guard what was read and not yet handed on.
    fn inspect(&mut self) {
        let Some(guard) = self.guard.as_mut().filter(|_| !self.progress.is_tunnel()) else {
            self.passed = self.ahead.len();
            return;
        };
        let (passed, refusal) = guard.pass(&self.ahead);
        self.passed = passed;
        if let Some(refusal) = refusal {
            self.refuse(refusal);
        }
    }

    /// Whatever lies behind the bytes that passed is not for anybody to read.
    fn refuse(&mut self, refusal: Refusal) {
        let Some(guard) = &self.guard else { return };
        self.ahead.truncate(self.passed);
        if guard.is_in_head() {
            self.progress.refuse(guard.heads().wrapping_add(1), refusal);
            self.ahead.extend_from_slice(STAND_IN);
            self.passed = self.ahead.len();
            self.end = Some(End::Head);
        } else {
            self.progress.refuse(guard.heads(), refusal);
            self.end = Some(End::Body(refusal));
        }
    }

    /// Reads straight to where hyper wants the bytes. What the guard does not let pass is taken away again. Ready with
    /// false when nothing is left, though something was read.
    fn read_straight(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, into))?;
        let come = &into.filled()[before..];
        if come.is_empty() {
            self.ended = into.remaining() > 0;
            return Poll::Ready(Ok(true));
        }
        self.progress.arrived();
        let Some(guard) = self.guard.as_mut().filter(|_| !self.progress.is_tunnel()) else {
            return Poll::Ready(Ok(true));
        };
        let (passed, refusal) = guard.pass(come);
        if passed < come.len() {
            self.ahead.extend_from_slice(&come[passed..]);
            into.set_filled(before + passed);
        }
        if let Some(refusal) = refusal {
            self.refuse(refusal);
        }
        Poll::Ready(Ok(passed > 0))
    }

    /// Reads more of a head that is not whole. Ready with false at the end of the stream.
    fn read_behind(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut bytes = [0; 4096];
        let mut into = ReadBuf::new(&mut bytes);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut into))?;
        if into.filled().is_empty() {
            return Poll::Ready(Ok(false));
        }
        self.progress.arrived();
        self.ahead.extend_from_slice(into.filled());
        self.inspect();
        Poll::Ready(Ok(true))
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
        let this = &mut *self;
        loop {
            if this.passed > 0 {
                let count = this.passed.min(into.remaining());
                into.put_slice(&this.ahead[..count]);
                this.ahead.advance(count);
                this.passed -= count;
                return Poll::Ready(Ok(()));
            }
            match this.end {
                None => {}
                // Nobody will be woken by reading: the answer to the stand-in ends the connection.
                Some(End::Head) => return Poll::Pending,
                Some(End::Body(refusal)) => {
                    let refused = io::Error::new(io::ErrorKind::InvalidData, refusal.sentence());
                    return Poll::Ready(Err(refused));
                }
            }
            if this.ahead.is_empty() {
                if ready!(this.read_straight(cx, into))? {
                    return Poll::Ready(Ok(()));
                }
            } else if !ready!(this.read_behind(cx))? {
                // Half a head and the end. It cannot become whole, so whoever reads it can only refuse it.
                (this.guard, this.passed) = (None, this.ahead.len());
            }
        }
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
        let length: usize = from.iter().map(|part| part.len()).sum();
        let mut whole = [0; SMALL];
        let written = match whole.get_mut(..length).filter(|_| from.len() > 1) {
            Some(whole) => {
                let mut rest = &mut whole[..];
                for part in from {
                    let (place, behind) = rest.split_at_mut(part.len());
                    place.copy_from_slice(part);
                    rest = behind;
                }
                Pin::new(&mut self.stream).poll_write(cx, whole)
            }
            None => Pin::new(&mut self.stream).poll_write_vectored(cx, from),
        };
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
        // The client has closed its side and has been read to its end: closing ours says as much as shutting it down.
        if this.ended && matches!(this.stream, Stream::Plain(_)) {
            return Poll::Ready(Ok(()));
        }
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
