//! A head, line by line.

use memchr::memchr;

use super::{Framing, Refusal, is_text, is_token};

/// How far a head has been read, and what it has said. Offsets count from its first byte.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// Where the line begins that is not whole yet.
    line: usize,
    /// How far the end of that line has been looked for.
    searched: usize,
    begun: bool,
    blank: bool,
    old: bool,
    length: Option<u64>,
    chunked: bool,
}

impl Head {
    /// Its length and its framing once it is whole. `bytes` begin with the head, each time.
    pub(super) fn read(&mut self, bytes: &[u8], limit: usize) -> Result<Option<(usize, Framing)>, Refusal> {
        while let Some(found) = memchr(b'\n', &bytes[self.searched..]) {
            let end = self.searched + found;
            if end >= limit {
                return Err(Refusal::HeadSize);
            }
            let line = &bytes[self.line..end];
            let [line @ .., b'\r'] = line else { return Err(Refusal::LineEnd) };
            (self.line, self.searched) = (end + 1, end + 1);
            match (self.begun, line) {
                (true, []) => return self.framing().map(|framing| Some((end + 1, framing))),
                (true, line) => self.field(line)?,
                // One empty line before a request is forgiven (RFC 9112, 2.2): old clients send it behind a body.
                (false, []) if !self.blank => self.blank = true,
                (false, line) => self.request_line(line)?,
            }
        }
        self.searched = bytes.len();
        if bytes.len() > limit { Err(Refusal::HeadSize) } else { Ok(None) }
    }

    /// `GET /path HTTP/1.1`
    fn request_line(&mut self, line: &[u8]) -> Result<(), Refusal> {
        let space = memchr(b' ', line).ok_or(Refusal::RequestLine)?;
        let (method, rest) = (&line[..space], &line[space + 1..]);
        let space = memchr(b' ', rest).ok_or(Refusal::RequestLine)?;
        let (target, version) = (&rest[..space], &rest[space + 1..]);
        if method.is_empty()
            || target.is_empty()
            || !method.iter().all(|byte| is_token(*byte))
            || has_control(target)
        {
            return Err(Refusal::RequestLine);
        }
        self.old = match version {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => return Err(Refusal::Version),
            _ => return Err(Refusal::RequestLine),
        };
        self.begun = true;
        Ok(())
    }

    /// `name: value`
    fn field(&mut self, line: &[u8]) -> Result<(), Refusal> {
        if matches!(line[0], b' ' | b'\t') {
            return Err(Refusal::Fold);
        }
        let colon = line.iter().position(|byte| !is_token(*byte)).filter(|colon| *colon > 0);
        let Some(colon) = colon.filter(|colon| line[*colon] == b':') else { return Err(Refusal::FieldName) };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if has_control(value) && !value.iter().all(|byte| is_text(*byte)) {
            return Err(Refusal::FieldValue);
        }
        // Looked at by length first: most names are neither.
        match name.len() {
            14 if name.eq_ignore_ascii_case(b"content-length") => self.content_length(value.trim_ascii()),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                self.transfer_encoding(value.trim_ascii())
            }
            _ => Ok(()),
        }
    }

    fn content_length(&mut self, digits: &[u8]) -> Result<(), Refusal> {
        if self.length.is_some() {
            return Err(Refusal::TwoLengths);
        }
        let number = |sum: u64, digit: &u8| match digit {
            b'0'..=b'9' => sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')),
            _ => None,
        };
        let length = digits.iter().try_fold(0, number).filter(|_| !digits.is_empty());
        self.length = Some(length.ok_or(Refusal::Length)?);
        Ok(())
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        let is_chunked = |token: &[u8]| token.eq_ignore_ascii_case(b"chunked");
        if !self.old && !self.chunked && is_chunked(value) {
            self.chunked = true;
            return Ok(());
        }
        let mut tokens = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        let known = self.old || tokens.all(|token| token.is_empty() || is_chunked(token));
        Err(if known { Refusal::Coding } else { Refusal::UnknownCoding })
    }

    fn framing(&self) -> Result<Framing, Refusal> {
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(Refusal::LengthAndCoding),
            (true, None) => Ok(Framing::Chunked),
            (false, length) => Ok(Framing::Sized(length.unwrap_or(0))),
        }
    }
}

/// Whether there is a control character (a tab is one), looked at eight bytes at a time: below space a byte borrows when
/// space is taken from it, and DEL is the byte whose difference to DEL is zero (Warren, "Hacker's Delight", 6-1).
fn has_control(bytes: &[u8]) -> bool {
    const fn all(byte: u8) -> u64 {
        u64::from_le_bytes([byte; 8])
    }
    let (eights, rest) = bytes.as_chunks::<8>();
    let found = eights.iter().fold(0, |found, eight| {
        let eight = u64::from_le_bytes(*eight);
        let del = eight ^ all(0x7f);
        // Only bytes below 0x80 count: the obsolete text above is allowed.
        found | (eight.wrapping_sub(all(b' ')) & !eight) | (del.wrapping_sub(all(1)) & !del)
    });
    found & all(0x80) != 0 || rest.iter().any(|byte| *byte < b' ' || *byte == 0x7f)
}
