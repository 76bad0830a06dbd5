//! Trace context as in W3C Trace Context, level 1: what `traceparent` carries.

use std::fmt;
use std::str::FromStr;

/// Names one request across every process it touches. Never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

/// Names one step of a trace. Never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId([u8; 8]);

/// Which trace this work belongs to, which step caused it, and whether the trace is recorded.
///
/// Displays as the `traceparent` header of version 00 and parses from any version that keeps its shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    /// The trace.
    pub trace_id: TraceId,
    /// The step that is now running.
    pub span_id: SpanId,
    /// Whether the caller records this trace.
    pub sampled: bool,
}

/// The text is not a `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseTraceError;

impl fmt::Display for ParseTraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a traceparent: expected 00-<32 hex digits>-<16 hex digits>-<2 hex digits>")
    }
}

impl std::error::Error for ParseTraceError {}

impl TraceId {
    /// From random bytes; all zeros, which the standard forbids, become one.
    pub fn from_bytes(mut bytes: [u8; 16]) -> Self {
        if bytes == [0; 16] {
            bytes[15] = 1;
        }
        Self(bytes)
    }

    /// The bytes.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl SpanId {
    /// From random bytes; all zeros, which the standard forbids, become one.
    pub fn from_bytes(mut bytes: [u8; 8]) -> Self {
        if bytes == [0; 8] {
            bytes[7] = 1;
        }
        Self(bytes)
    }

    /// The bytes.
    pub fn to_bytes(self) -> [u8; 8] {
        self.0
    }
}

impl Trace {
    /// The same trace one step down.
    #[must_use]
    pub fn child(self, span_id: SpanId) -> Self {
        Self { span_id, ..self }
    }
}

impl FromStr for Trace {
    type Err = ParseTraceError;

    fn from_str(text: &str) -> Result<Self, ParseTraceError> {
        let text = text.as_bytes();
        let long_enough =
            text.len() == 55 || (text.len() > 55 && text[55] == b'-' && !text.starts_with(b"00"));
        if !long_enough || text[2] != b'-' || text[35] != b'-' || text[52] != b'-' {
            return Err(ParseTraceError);
        }
        let version: [u8; 1] = hex(&text[..2])?;
        let trace_id: [u8; 16] = hex(&text[3..35])?;
        let span_id: [u8; 8] = hex(&text[36..52])?;
        let flags: [u8; 1] = hex(&text[53..55])?;
        if version[0] == 0xff || trace_id == [0; 16] || span_id == [0; 8] {
            return Err(ParseTraceError);
        }
        Ok(Self { trace_id: TraceId(trace_id), span_id: SpanId(span_id), sampled: flags[0] & 1 == 1 })
    }
}

fn hex<const N: usize>(digits: &[u8]) -> Result<[u8; N], ParseTraceError> {
    // Upper case is forbidden by the standard, so `u8::from_str_radix` would be too lenient.
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        _ => Err(ParseTraceError),
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Ok(bytes)
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-0{}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

macro_rules! hex_text {
    ($($name:ident $digits:literal)*) => {$(
        impl $name {
            /// As ASCII hexadecimal digits, in lower case.
            pub fn digits(self) -> [u8; $digits] {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                let mut digits = [0; $digits];
                for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
                    pair[0] = DIGITS[usize::from(byte >> 4)];
                    pair[1] = DIGITS[usize::from(byte & 15)];
                }
                digits
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(std::str::from_utf8(&self.digits()).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}

hex_text!(TraceId 32 SpanId 16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_survives_a_round_trip() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(text.parse::<Trace>().unwrap().to_string(), text);
    }

    #[test]
    fn what_the_standard_forbids_is_refused() {
        for text in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e47\u{e9}-00f067aa0ba902b7-01",
        ] {
            assert!(text.parse::<Trace>().is_err(), "{text}");
        }
        // A future version may add fields; the known part counts.
        assert!("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more".parse::<Trace>().is_ok());
    }
}
