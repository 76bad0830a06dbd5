//! The framing guard: no message with two readings gets past it.
//!
//! What this is: a state machine over the bytes of an HTTP/1 connection that knows where each message ends, and
//! refuses what another server in the chain could read otherwise (RFC 9112, 2.2, 5.1, 6.1, 7.1). It stands before
//! hyper, whose parser forgives some of it and has then forgotten what was there. It also refuses what hyper would refuse,
//! because hyper's answer would be empty. What it is not: a parser of anything else; it looks at the shape of each line,
//! at the target, at `Content-Length` and `Transfer-Encoding`.
//!
//! ```text
//!             whole head                 last chunk and trailers
//!   Head ─────────────────▶ Chunked ────────────────────────────▶ Head
//!     └──────────────────▶ Sized(n) ─── n bytes ────────────────▶ Head
//! ```
//!
//! # Invariants
//! - A head passes whole or not at all: nothing of a refused one is seen by anybody behind.
//! - A head that passes is one that hyper takes.
//! - How the bytes were cut into packets changes no verdict.
//! - Work is linear in the bytes, and it holds none of them.
//!
//! # When it breaks
//! A refused head is answered with [`Refusal::status`] and the connection is closed. In a body the bytes before the
//! fault have passed, so the message is never completed.

mod chunks;
mod head;

#[cfg(test)]
mod tests;

use http::StatusCode;

use self::chunks::Chunk;
use self::head::Head;
use crate::octets::Octets;

/// Follows one connection.
#[derive(Debug)]
pub(super) struct Guard {
    state: State,
    head_limit: usize,
    heads: u32,
}

#[derive(Debug)]
enum State {
    Head(Head),
    Sized(u64),
    Chunked(Chunk),
}

/// How a head says that its body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Sized(u64),
    Chunked,
}

/// Why a message is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    LineEnd,
    RequestLine,
    Version,
    Fold,
    FieldName,
    FieldValue,
    Length,
    TwoLengths,
    LengthAndCoding,
    Coding,
    UnknownCoding,
    Chunk,
    HeadSize,
    Fields,
    TargetSize,
}

impl Guard {
    /// At the start of a connection; heads above `head_limit` bytes are refused.
    pub(super) fn new(head_limit: usize) -> Self {
        Self { state: State::Head(Head::default()), head_limit, heads: 0 }
    }

    /// How many of these bytes may go on. They begin where the last call's passed ones ended. Those left over are an
    /// incomplete head, to be brought again with more behind them, or what was refused.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> (usize, Option<Refusal>) {
        let mut passed = 0;
        while passed < bytes.len() {
            let rest = &bytes[passed..];
            match &mut self.state {
                State::Head(head) => match head.read(rest, self.head_limit) {
                    Ok(None) => break,
                    Ok(Some((length, framing))) => {
                        passed += length;
                        self.heads = self.heads.wrapping_add(1);
                        self.state = match framing {
                            Framing::Sized(0) => State::Head(Head::default()),
                            Framing::Sized(size) => State::Sized(size),
                            Framing::Chunked => State::Chunked(Chunk::default()),
                        };
                    }
                    Err(refusal) => return (passed, Some(refusal)),
                },
                State::Sized(left) => {
                    let count = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    passed += count;
                    *left -= count as u64;
                    if *left == 0 {
                        self.state = State::Head(Head::default());
                    }
                }
                State::Chunked(chunk) => {
                    let (count, refusal) = chunk.pass(rest);
                    passed += count;
                    if refusal.is_some() {
                        return (passed, refusal);
                    }
                    if chunk.has_ended() {
                        self.state = State::Head(Head::default());
                    }
                }
            }
        }
        (passed, None)
    }

    /// How many heads have passed.
    pub(super) fn heads(&self) -> u32 {
        self.heads
    }

    /// Whether a head is awaited or read, rather than a body.
    pub(super) fn is_in_head(&self) -> bool {
        matches!(self.state, State::Head(_))
    }
}

impl Refusal {
    pub(super) const ALL: [Self; 15] = [
        Self::LineEnd,
        Self::RequestLine,
        Self::Version,
        Self::Fold,
        Self::FieldName,
        Self::FieldValue,
        Self::Length,
        Self::TwoLengths,
        Self::LengthAndCoding,
        Self::Coding,
        Self::UnknownCoding,
        Self::Chunk,
        Self::HeadSize,
        Self::Fields,
        Self::TargetSize,
    ];

    /// The status of the answer.
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::UnknownCoding => StatusCode::NOT_IMPLEMENTED,
            Self::HeadSize | Self::Fields => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::TargetSize => StatusCode::URI_TOO_LONG,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// Its name in the meters.
    pub(super) fn rule(self) -> &'static str {
        match self {
            Self::LineEnd => "line_end",
            Self::RequestLine => "request_line",
            Self::Version => "version",
            Self::Fold => "fold",
            Self::FieldName => "field_name",
            Self::FieldValue => "field_value",
            Self::Length => "length",
            Self::TwoLengths => "two_lengths",
            Self::LengthAndCoding => "length_and_coding",
            Self::Coding => "coding",
            Self::UnknownCoding => "unknown_coding",
            Self::Chunk => "chunk",
            Self::HeadSize => "head_size",
            Self::Fields => "fields",
            Self::TargetSize => "target_size",
        }
    }

    /// What the client reads.
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Self::LineEnd => "A line of the head does not end with CR LF.",
            Self::RequestLine => {
                "The first line is not a method, a valid target and a version, each after one space."
            }
            Self::Version => "This server speaks HTTP/1.0, HTTP/1.1 and HTTP/2.",
            Self::Fold => "A line of the head begins with white space.",
            Self::FieldName => {
                "A field's name is empty, or has a character before its colon that no name may have."
            }
            Self::FieldValue => "A field's value has a control character.",
            Self::Length => "Content-Length is not a number of bytes.",
            Self::TwoLengths => "The request has more than one Content-Length.",
            Self::LengthAndCoding => "The request has both Content-Length and Transfer-Encoding.",
            Self::Coding => "Transfer-Encoding may only be `chunked`, once, in HTTP/1.1.",
            Self::UnknownCoding => "This server knows no Transfer-Encoding but `chunked`.",
            Self::Chunk => "The body's chunks are not well formed.",
            Self::HeadSize => "The request's head is too large.",
            Self::Fields => "The request's head has more than 100 fields.",
            Self::TargetSize => "The request's target is too long.",
        }
    }
}

/// What a field's name is made of (RFC 9110, 5.6.2).
fn is_token(byte: u8) -> bool {
    const TOKEN: Octets = Octets::alphanumeric_and(b"!#$%&'*+-.^_`|~");
    TOKEN.has(byte)
}

/// What a field's value is made of, obsolete text included (RFC 9110, 5.5).
fn is_text(byte: u8) -> bool {
    (byte >= b' ' && byte != 0x7f) || byte == b'\t'
}
