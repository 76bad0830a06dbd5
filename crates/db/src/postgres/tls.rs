//! TLS for the driver, by the house's one rustls.
//!
//! Channel binding (`SCRAM-SHA-256-PLUS`) is not offered: with `verify-full` the certificate already says whom one
//! speaks to, and without it nothing is promised.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use burgeon_tls::{ClientStream, Connect, Roots, ServerName, TlsConnector, Verify};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

use super::url::Tls;

/// Makes handshakes; `None` where TLS is off.
pub(super) fn connector(tls: &Tls) -> Result<Option<TlsConnector>, String> {
    let config = match tls {
        Tls::Off => return Ok(None),
        Tls::Prefer | Tls::Require => burgeon_tls::client(&Roots::System, Verify::Nothing),
        Tls::Verify(None) => burgeon_tls::client(&Roots::System, Verify::Full),
        Tls::Verify(Some(path)) => burgeon_tls::client(&Roots::File(path.clone()), Verify::Full),
    };
    config.map(TlsConnector::from).map(Some).map_err(|error| error.detail())
}

/// One handshake, with the name the certificate must bear.
pub(super) struct Handshake {
    pub(super) connector: Option<TlsConnector>,
    pub(super) name: String,
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsConnect<S> for Handshake {
    type Stream = Encrypted<S>;
    type Error = io::Error;
    type Future = Shaking<S>;

    fn connect(self, stream: S) -> Shaking<S> {
        let Some(connector) = self.connector else {
            return Shaking::Refused(Some(io::Error::other("TLS is off")));
        };
        match ServerName::try_from(self.name) {
            Ok(name) => Shaking::Hands(Box::new(connector.connect(name, stream))),
            Err(error) => Shaking::Refused(Some(io::Error::new(io::ErrorKind::InvalidInput, error))),
        }
    }
}

/// A handshake in progress.
pub(super) enum Shaking<S> {
    Hands(Box<Connect<S>>),
    Refused(Option<io::Error>),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Shaking<S> {
    type Output = io::Result<Encrypted<S>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Shaking::Hands(hands) => Pin::new(hands).poll(cx).map_ok(Encrypted),
            Shaking::Refused(error) => {
                Poll::Ready(Err(error.take().unwrap_or_else(|| io::Error::other("polled after its end"))))
            }
        }
    }
}

/// An encrypted stream.
pub(super) struct Encrypted<S>(ClientStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Encrypted<S> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Encrypted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Encrypted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
