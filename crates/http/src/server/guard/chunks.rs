//! A chunked body, byte by byte where it is lines and in one step where it is data.

use super::{Refusal, is_text, is_token};

/// Where in the body we are (RFC 9112, 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunk {
    /// In a size, after so many of its digits.
    Size(u8, u64),
    /// Behind a size, in white space that only an extension may follow.
    Space(u64),
    Extension(u64),
    /// Between the CR and the LF of a size's line.
    SizeEnd(u64),
    Data(u64),
    DataReturn,
    DataEnd,
    /// At the start of a line behind the last chunk.
    Trailer,
    Name,
    Value,
    ValueEnd,
    LastEnd,
    Ended,
}

/// More could not be held by the number that counts them down.
const DIGITS: u8 = 16;

impl Default for Chunk {
    fn default() -> Self {
        Self::Size(0, 0)
    }
}

impl Chunk {
    /// How many of these bytes belong to a well-formed body; it stops at its end.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> (usize, Option<Refusal>) {
        let mut passed = 0;
        while passed < bytes.len() && *self != Self::Ended {
            if let Self::Data(left) = self {
                let rest = bytes.len() - passed;
                let count = rest.min(usize::try_from(*left).unwrap_or(usize::MAX));
                passed += count;
                *left -= count as u64;
                if *left == 0 {
                    *self = Self::DataReturn;
                }
                continue;
            }
            match self.next(bytes[passed]) {
                Some(next) => *self = next,
                None => return (passed, Some(Refusal::Chunk)),
            }
            passed += 1;
        }
        (passed, None)
    }

    pub(super) fn has_ended(self) -> bool {
        self == Self::Ended
    }

    /// The step that this byte is; `None` where it may not stand.
    fn next(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Size(digits, size), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if digits < DIGITS => {
                let digit = char::from(byte).to_digit(16)?;
                Some(Self::Size(digits + 1, size << 4 | u64::from(digit)))
            }
            (Self::Size(1.., size), b'\r') => Some(Self::SizeEnd(size)),
            (Self::Size(1.., size) | Self::Space(size), b';') => Some(Self::Extension(size)),
            (Self::Size(1.., size) | Self::Space(size), b' ' | b'\t') => Some(Self::Space(size)),
            (Self::Extension(size), b'\r') => Some(Self::SizeEnd(size)),
            (Self::Extension(size), byte) if is_text(byte) => Some(Self::Extension(size)),
            (Self::SizeEnd(0), b'\n') => Some(Self::Trailer),
            (Self::SizeEnd(size), b'\n') => Some(Self::Data(size)),
            (Self::DataReturn, b'\r') => Some(Self::DataEnd),
            (Self::DataEnd, b'\n') => Some(Self::Size(0, 0)),
            (Self::Trailer, b'\r') => Some(Self::LastEnd),
            (Self::Name, b':') => Some(Self::Value),
            (Self::Trailer | Self::Name, byte) if is_token(byte) => Some(Self::Name),
            (Self::Value, b'\r') => Some(Self::ValueEnd),
            (Self::Value, byte) if is_text(byte) => Some(Self::Value),
            (Self::ValueEnd, b'\n') => Some(Self::Trailer),
            (Self::LastEnd, b'\n') => Some(Self::Ended),
            _ => None,
        }
    }
}
