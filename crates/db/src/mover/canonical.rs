//! Normal forms: what two engines write differently and mean alike becomes the same text. Pure.

use std::collections::BTreeMap;

/// How deep a document may be nested.
const DEPTH: usize = 512;

/// A decimal number: sign, digits without zeros at either end, power of ten. `9.50`, `09.5` and `95e-1` are one number.
///
/// `None` when the text is no decimal number.
pub(super) fn decimal(text: &str) -> Option<String> {
    let text = text.trim();
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (rest, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let kept = digits.trim_end_matches('0');
    let cut = (digits.len() - kept.len()) as i64;
    let kept = kept.trim_start_matches('0');
    if kept.is_empty() {
        return Some("0".to_owned());
    }
    let power = exponent.checked_sub(fraction.len() as i64)?.checked_add(cut)?;
    Some(format!("{}{kept}e{power}", if negative { "-" } else { "" }))
}

/// A JSON document as `jsonb` understands it: no whitespace, keys in order, the last of equal keys, numbers by value.
///
/// # Errors
/// A sentence, when the text is no JSON.
pub(super) fn json(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut reader = Reader { text, at: 0 };
    let mut out = Vec::with_capacity(text.len());
    reader.value(&mut out, 0)?;
    reader.space();
    if reader.at < text.len() {
        return Err(reader.wrong("something follows the document"));
    }
    Ok(out)
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn value(&mut self, out: &mut Vec<u8>, depth: usize) -> Result<(), String> {
        if depth > DEPTH {
            return Err(self.wrong("the document is nested too deeply"));
        }
        self.space();
        match self.peek() {
            Some(b'{') => self.object(out, depth),
            Some(b'[') => self.array(out, depth),
            Some(b'"') => {
                let text = self.string()?;
                written(&text, out);
                Ok(())
            }
            Some(b't') => self.word("true", out),
            Some(b'f') => self.word("false", out),
            Some(b'n') => self.word("null", out),
            Some(b'-' | b'0'..=b'9') => self.number(out),
            _ => Err(self.wrong("a value was expected")),
        }
    }

    fn object(&mut self, out: &mut Vec<u8>, depth: usize) -> Result<(), String> {
        self.at += 1;
        let mut entries: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
        } else {
            loop {
                self.space();
                let key = self.string()?;
                self.space();
                self.expect(b':')?;
                let mut value = Vec::new();
                self.value(&mut value, depth + 1)?;
                entries.insert(key, value);
                self.space();
                if self.peek() == Some(b',') {
                    self.at += 1;
                    continue;
                }
                self.expect(b'}')?;
                break;
            }
        }
        out.push(b'{');
        for (key, value) in entries {
            written(&key, out);
            out.push(b':');
            out.extend_from_slice(&value);
            out.push(b',');
        }
        out.push(b'}');
        Ok(())
    }

    fn array(&mut self, out: &mut Vec<u8>, depth: usize) -> Result<(), String> {
        self.at += 1;
        out.push(b'[');
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
        } else {
            loop {
                self.value(out, depth + 1)?;
                out.push(b',');
                self.space();
                if self.peek() == Some(b',') {
                    self.at += 1;
                    continue;
                }
                self.expect(b']')?;
                break;
            }
        }
        out.push(b']');
        Ok(())
    }

    fn string(&mut self) -> Result<String, String> {
        self.expect(b'"')?;
        let mut bytes = Vec::new();
        loop {
            match self.next().ok_or_else(|| self.wrong("a string does not end"))? {
                b'"' => break,
                b'\\' => {
                    let plain = match self.next() {
                        Some(byte @ (b'"' | b'\\' | b'/')) => byte,
                        Some(b'b') => 8,
                        Some(b'f') => 12,
                        Some(b'n') => b'\n',
                        Some(b'r') => b'\r',
                        Some(b't') => b'\t',
                        Some(b'u') => {
                            let char = self.escaped()?;
                            bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
                            continue;
                        }
                        _ => return Err(self.wrong("an unknown escape")),
                    };
                    bytes.push(plain);
                }
                byte => bytes.push(byte),
            }
        }
        String::from_utf8(bytes).map_err(|_| self.wrong("a string that is not UTF-8"))
    }

    fn escaped(&mut self) -> Result<char, String> {
        let high = self.hex()?;
        if !(0xd800..0xdc00).contains(&high) {
            return char::from_u32(high).ok_or_else(|| self.wrong("half a character"));
        }
        self.expect(b'\\')?;
        self.expect(b'u')?;
        let low = self.hex()?;
        let both = 0x1_0000 + ((high - 0xd800) << 10) + low.wrapping_sub(0xdc00);
        char::from_u32(both).ok_or_else(|| self.wrong("half a character"))
    }

    fn hex(&mut self) -> Result<u32, String> {
        let digits = self.text.get(self.at..self.at + 4).and_then(|digits| std::str::from_utf8(digits).ok());
        let number = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        self.at += 4;
        number.ok_or_else(|| self.wrong("four hexadecimal digits were expected"))
    }

    fn number(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        let start = self.at;
        while self.peek().is_some_and(|byte| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')) {
            self.at += 1;
        }
        let text = std::str::from_utf8(&self.text[start..self.at]).unwrap_or_default();
        let normal = decimal(text).ok_or_else(|| self.wrong("a number was expected"))?;
        out.extend_from_slice(normal.as_bytes());
        Ok(())
    }

    fn word(&mut self, word: &str, out: &mut Vec<u8>) -> Result<(), String> {
        if !self.text[self.at..].starts_with(word.as_bytes()) {
            return Err(self.wrong("a value was expected"));
        }
        self.at += word.len();
        out.extend_from_slice(word.as_bytes());
        Ok(())
    }

    fn space(&mut self) {
        while self.peek().is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, wanted: u8) -> Result<(), String> {
        match self.next() {
            Some(byte) if byte == wanted => Ok(()),
            _ => Err(self.wrong(&format!("`{}` was expected", char::from(wanted)))),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn wrong(&self, what: &str) -> String {
        format!("it is no JSON: {what} at byte {}", self.at)
    }
}

/// A string with its length before it, so that no text can pass for structure.
fn written(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("\"{}:", text.len()).as_bytes());
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_number_has_one_form() {
        for same in ["9.5", "9.50", "+09.5", "95e-1", "0.95E1", " 9.5 "] {
            assert_eq!(decimal(same).as_deref(), Some("95e-1"), "{same}");
        }
        for zero in ["0", "-0", "0.00", "000e7"] {
            assert_eq!(decimal(zero).as_deref(), Some("0"), "{zero}");
        }
        assert_eq!(decimal("-1200").as_deref(), Some("-12e2"));
        for none in ["", "-", ".", "1.2.3", "NaN", "1e", "1e1.5", "0x1", "e3"] {
            assert_eq!(decimal(none), None, "{none}");
        }
    }

    #[test]
    fn what_jsonb_takes_for_the_same_is_the_same() {
        let same = |a: &str, b: &str| {
            assert_eq!(json(a.as_bytes()).unwrap(), json(b.as_bytes()).unwrap(), "{a} {b}")
        };
        same("{\"b\": 1.0, \"a\" : [true,null]}", "{\"a\":[true, null],\"b\":1.00}");
        same("{\"a\":1,\"a\":2}", "{\"a\":2}");
        same("\"\\u00fc\\ud83d\\ude00\\/\"", "\"ü😀/\"");
        same("1e2", "100");
        let other = |a: &str, b: &str| {
            assert_ne!(json(a.as_bytes()).unwrap(), json(b.as_bytes()).unwrap(), "{a} {b}")
        };
        other("[1,2]", "[12]");
        other("[\"a\",\"b\"]", "[\"a,b\"]");
        other("{\"a\":\"b\"}", "[\"a\",\"b\"]");
        other("1", "\"1\"");
        for none in ["", "{", "[1,]", "{\"a\"}", "\"a", "tru", "1 2", "\"\\ud800x\"", "{a:1}"] {
            assert!(json(none.as_bytes()).is_err(), "{none}");
        }
        assert!(json("[".repeat(100_000).as_bytes()).unwrap_err().contains("too deeply"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "[\\[\\]{}\",:0-9eE.+\\\\ua-f -]{0,60}") {
            let _ = json(text.as_bytes());
            let _ = decimal(&text);
        }
    }
}
