//! A head, line by line, each byte looked at once.
//!
//! A head has no control characters but the CR LF behind each line, and tabs in values. So the next control character is
//! the end of the line, or a fault; whatever is before it needs no second look.

use http::Uri;

use super::{Framing, Refusal, is_token};

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
    fields: usize,
    length: Option<u64>,
    chunked: bool,
}

/// What hyper's parser takes without an allocation. It would answer more with an empty 431.
const MOST_FIELDS: usize = 100;
/// What hyper's parser takes. It would answer more with an empty 414.
const LONGEST_TARGET: usize = 65_534;

impl Head {
    /// Its length and its framing once it is whole. `bytes` begin with the head, each time.
    pub(super) fn read(&mut self, bytes: &[u8], limit: usize) -> Result<Option<(usize, Framing)>, Refusal> {
        while let Some(at) = control(bytes, self.searched) {
            if at >= limit {
                return Err(Refusal::HeadSize);
            }
            match (bytes[at], bytes.get(at + 1)) {
                (b'\t', _) => {
                    self.searched = at + 1;
                    continue;
                }
                (b'\r', Some(b'\n')) if at + 1 >= limit => return Err(Refusal::HeadSize),
                (b'\r', Some(b'\n')) => {}
                (b'\r', None) => {
                    self.searched = at;
                    return Ok(None);
                }
                (b'\n', _) => return Err(Refusal::LineEnd),
                _ => return Err(self.fault(&bytes[self.line..at])),
            }
            let line = &bytes[self.line..at];
            let end = at + 2;
            (self.line, self.searched) = (end, end);
            match (self.begun, line) {
                (true, []) => return self.framing().map(|framing| Some((end, framing))),
                (true, line) => self.field(line)?,
                // One empty line before a request is forgiven (RFC 9112, 2.2): old clients send it behind a body.
                (false, []) if !self.blank => self.blank = true,
                (false, line) => self.request_line(line)?,
            }
        }
        self.searched = bytes.len();
        if bytes.len() > limit { Err(Refusal::HeadSize) } else { Ok(None) }
    }

    /// What a control character behind this beginning of a line breaks.
    fn fault(&self, line: &[u8]) -> Refusal {
        match (self.begun, colon(line)) {
            (false, _) => Refusal::RequestLine,
            (true, Ok(_)) => Refusal::FieldValue,
            (true, Err(refusal)) => refusal,
        }
    }

    /// `GET /path HTTP/1.1`
    fn request_line(&mut self, line: &[u8]) -> Result<(), Refusal> {
        let space = |bytes: &[u8]| bytes.iter().position(|byte| *byte == b' ').ok_or(Refusal::RequestLine);
        let (method, rest) = line.split_at(space(line)?);
        let (target, version) = rest[1..].split_at(space(&rest[1..])?);
        if method.is_empty() || !method.iter().all(|byte| is_token(*byte)) {
            return Err(Refusal::RequestLine);
        }
        check_target(target)?;
        self.old = match &version[1..] {
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
        let colon = colon(line)?;
        self.fields += 1;
        if self.fields > MOST_FIELDS {
            return Err(Refusal::Fields);
        }
        let (name, value) = (&line[..colon], &line[colon + 1..]);
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

/// Where a field's name ends.
fn colon(line: &[u8]) -> Result<usize, Refusal> {
    if matches!(line, [b' ' | b'\t', ..]) {
        return Err(Refusal::Fold);
    }
    let end = line.iter().position(|byte| !is_token(*byte)).filter(|end| *end > 0);
    end.filter(|end| line[*end] == b':').ok_or(Refusal::FieldName)
}

/// What hyper takes as a target; it would answer anything else with an empty 400.
fn check_target(target: &[u8]) -> Result<(), Refusal> {
    if target.len() > LONGEST_TARGET {
        return Err(Refusal::TargetSize);
    }
    // What stands in nearly every path and query, and surely may.
    const PLAIN: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = b'!';
        while byte < 0x7f {
            table[byte as usize] =
                matches!(byte, b'!' | b'$'..=b';' | b'=' | b'?'..=b'Z' | b'_' | b'a'..=b'z' | b'~');
            byte += 1;
        }
        table
    };
    if target.first() == Some(&b'/') && target.iter().all(|byte| PLAIN[usize::from(*byte)]) {
        return Ok(());
    }
    match target.contains(&b'\t') || Uri::try_from(target).is_err() {
        true => Err(Refusal::RequestLine),
        false => Ok(()),
    }
}

/// Where the first control character stands, from `from` on: below space, or DEL.
///
/// Eight bytes at a time: a byte below space borrows when space is taken from it, and DEL is the byte that differs from
/// DEL in nothing. A borrow may mark bytes behind the first that is meant, never one before it (Warren, "Hacker's
/// Delight", 6-1).
fn control(bytes: &[u8], from: usize) -> Option<usize> {
    const fn all(byte: u8) -> u64 {
        u64::from_le_bytes([byte; 8])
    }
    let (eights, rest) = bytes.get(from..)?.as_chunks::<8>();
    for (index, eight) in eights.iter().enumerate() {
        let eight = u64::from_le_bytes(*eight);
        let del = eight ^ all(0x7f);
        let low = eight.wrapping_sub(all(b' ')) & !eight;
        let found = (low | (del.wrapping_sub(all(1)) & !del)) & all(0x80);
        if found != 0 {
            return Some(from + index * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(|byte| *byte < b' ' || *byte == 0x7f)?;
    Some(bytes.len() - rest.len() + at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_control_character_is_found(
            bytes in prop::collection::vec(prop_oneof![9 => 0x20_u8..=0x7e, 2 => any::<u8>()], 0..64),
            from in 0_usize..70,
        ) {
            let is_control = |byte: &u8| *byte < b' ' || *byte == 0x7f;
            let expected = bytes.iter().skip(from).position(is_control).map(|at| from + at);
            prop_assert_eq!(control(&bytes, from), expected);
        }
    }
}
