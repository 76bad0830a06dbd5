//! Which protocol a new connection speaks, found out under a deadline.
//!
//! hyper-util's automatic detection has no timer: a connection that sends nothing, `P`, or `PRI * HTTP` stays for
//! ever. Here the caller's deadline covers it. What is read is handed on, so no system call is spent on looking.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// What every HTTP/2 client says first (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// Reads until the protocol is certain. `None` when the client left before it said anything.
pub(super) async fn detect(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<(Protocol, BytesMut)>> {
    // Enough for the whole head of most requests.
    let mut ahead = BytesMut::with_capacity(2048);
    loop {
        if stream.read_buf(&mut ahead).await? == 0 {
            // A fragment of a preface and the end: HTTP/1 knows how to refuse it.
            return Ok((!ahead.is_empty()).then_some((Protocol::Http1, ahead)));
        }
        if let Some(protocol) = spoken(&ahead) {
            return Ok(Some((protocol, ahead)));
        }
    }
}

fn spoken(bytes: &[u8]) -> Option<Protocol> {
    let known = bytes.len().min(PREFACE.len());
    match (bytes[..known] == PREFACE[..known], known == PREFACE.len()) {
        (false, _) => Some(Protocol::Http1),
        (true, true) => Some(Protocol::Http2),
        (true, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_preface_is_http2() {
        assert_eq!(spoken(b"P"), None);
        assert_eq!(spoken(b"PRI * HTTP"), None);
        assert_eq!(spoken(b"POST / HTTP/1.1\r\n"), Some(Protocol::Http1));
        assert_eq!(spoken(b"PRI * HTTP/1.1\r\n"), Some(Protocol::Http1));
        assert_eq!(spoken(&PREFACE[..23]), None);
        assert_eq!(spoken(PREFACE), Some(Protocol::Http2));
        assert_eq!(spoken(&[PREFACE, b"more"].concat()), Some(Protocol::Http2));
    }
}
