//! Dictionaries of structured fields (RFC 9651, which took the place of RFC 8941), as far as directives for caches need them: whether
//! a field is one, and what its members are. Pure.
//!
//! One mistake anywhere makes the whole field none, so that two caches never understand different parts of it.

/// What a member of a dictionary says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    Boolean(bool),
    Integer(i64),
    /// Without its quotes.
    String(String),
    /// What no directive has for a value: a decimal, a token, bytes, a date, a list within.
    Other,
}

/// The members in the order of their first mention, each with what it said last; `None` when this is no dictionary.
pub(super) fn dictionary(text: &str) -> Option<Vec<(&str, Item)>> {
    let mut rest = Rest(text.trim_matches(' '));
    let mut members: Vec<(&str, Item)> = Vec::new();
    while !rest.0.is_empty() {
        let key = rest.key()?;
        let item = match rest.skip('=') {
            true => rest.value()?,
            false => Item::Boolean(true),
        };
        rest.parameters()?;
        match members.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) => *known = item,
            None => members.push((key, item)),
        }
        rest.blanks();
        if !rest.0.is_empty() {
            // Behind a comma there is a member.
            let is_another = rest.skip(',');
            rest.blanks();
            if !is_another || rest.0.is_empty() {
                return None;
            }
        }
    }
    Some(members)
}

struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn skip(&mut self, sign: char) -> bool {
        let behind = self.0.strip_prefix(sign);
        self.0 = behind.unwrap_or(self.0);
        behind.is_some()
    }

    fn blanks(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t']);
    }

    /// As long as it is made of these.
    fn run(&mut self, is_part: impl Fn(u8) -> bool) -> &'a str {
        let end = self.0.bytes().position(|byte| !is_part(byte)).unwrap_or(self.0.len());
        let (run, behind) = self.0.split_at(end);
        self.0 = behind;
        run
    }

    fn key(&mut self) -> Option<&'a str> {
        let begins = self.0.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'*');
        let is_part = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'.' | b'*')
        };
        begins.then(|| self.run(is_part))
    }

    fn parameters(&mut self) -> Option<()> {
        while self.skip(';') {
            self.0 = self.0.trim_start_matches(' ');
            self.key()?;
            if self.skip('=') {
                self.item()?;
            }
        }
        Some(())
    }

    fn value(&mut self) -> Option<Item> {
        if !self.skip('(') {
            return self.item();
        }
        loop {
            self.0 = self.0.trim_start_matches(' ');
            if self.skip(')') {
                return Some(Item::Other);
            }
            self.item()?;
            self.parameters()?;
            if !self.0.starts_with([' ', ')']) {
                return None;
            }
        }
    }

    fn item(&mut self) -> Option<Item> {
        match self.0.bytes().next()? {
            b'"' => self.string(),
            b'?' => {
                let item = match self.0.get(1..2)? {
                    "0" => Item::Boolean(false),
                    "1" => Item::Boolean(true),
                    _ => return None,
                };
                self.0 = &self.0[2..];
                Some(item)
            }
            b':' => {
                self.skip(':');
                self.run(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='));
                self.skip(':').then_some(Item::Other)
            }
            b'@' => {
                self.skip('@');
                matches!(self.number()?, Item::Integer(_)).then_some(Item::Other)
            }
            byte if byte.is_ascii_digit() || byte == b'-' => self.number(),
            byte if byte.is_ascii_alphabetic() || byte == b'*' => {
                self.run(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte));
                Some(Item::Other)
            }
            _ => None,
        }
    }

    /// At most 15 digits, or 12 before and 3 behind a point.
    fn number(&mut self) -> Option<Item> {
        let is_negative = self.skip('-');
        let whole = self.run(|byte| byte.is_ascii_digit());
        if self.skip('.') {
            let part = self.run(|byte| byte.is_ascii_digit());
            return ((1..=12).contains(&whole.len()) && (1..=3).contains(&part.len())).then_some(Item::Other);
        }
        let number: i64 = (whole.len() <= 15).then(|| whole.parse().ok())??;
        Some(Item::Integer(if is_negative { -number } else { number }))
    }

    fn string(&mut self) -> Option<Item> {
        let mut text = String::new();
        let mut signs = self.0.char_indices().skip(1);
        while let Some((at, sign)) = signs.next() {
            match sign {
                '"' => {
                    self.0 = &self.0[at + 1..];
                    return Some(Item::String(text));
                }
                '\\' => {
                    text.push(signs.next().map(|(_, sign)| sign).filter(|sign| matches!(sign, '"' | '\\'))?)
                }
                ' '..='~' => text.push(sign),
                _ => return None,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_told_with_what_they_said_last() {
        let read = dictionary(
            "max-age=60, no-store;why=\"x\";z, private=\"a, b\", q=1.5, t=tok, max-age=-3, off=?0",
        )
        .unwrap();
        let expected = [
            ("max-age", Item::Integer(-3)),
            ("no-store", Item::Boolean(true)),
            ("private", Item::String("a, b".to_owned())),
            ("q", Item::Other),
            ("t", Item::Other),
            ("off", Item::Boolean(false)),
        ];
        assert_eq!(read, expected);
        assert_eq!(dictionary("a=(1 \"x\";p=?1 b);q, b=:aGk=:, c=@5").unwrap().len(), 3);
        assert_eq!(dictionary("s=\"a\\\"b\\\\\"").unwrap(), [("s", Item::String("a\"b\\".to_owned()))]);
        assert_eq!(dictionary("  ").unwrap(), []);
    }

    #[test]
    fn one_mistake_makes_the_field_none() {
        for odd in [
            "a,",
            ",a",
            "a,,b",
            "A=1",
            "a=",
            "a= 1",
            "a =1",
            "a b",
            "a=[3]",
            "a=\"x",
            "a=\"\\x\"",
            "a=\"ä\"",
            "a=?2",
            "a=-",
            "a=1.",
            "a=1.2345",
            "a=1234567890123456",
            "a=(1",
            "a=(1,2)",
            "a=:x",
            "a=@1.5",
            "&&&",
            "a;=1",
            "a=1;B",
        ] {
            assert_eq!(dictionary(odd), None, "{odd}");
        }
    }
}
