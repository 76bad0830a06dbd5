//! One migration file: its checksum, its mark, its statements and where each begins.

use sha2::{Digest, Sha256};

/// The first line of a file that must not run in a transaction.
const NO_TRANSACTION: &str = "-- burgeon: no-transaction";

/// One statement of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part<'a> {
    /// The text, without the semicolon.
    pub(super) sql: &'a str,
    /// The line it begins on, from 1.
    pub(super) line: usize,
}

impl Part<'_> {
    /// The line of the file that holds the character at `position`, counted from 1 as Postgres does.
    pub(super) fn line_of(&self, position: usize) -> usize {
        let before = self.sql.chars().take(position.saturating_sub(1));
        self.line + before.filter(|char| *char == '\n').count()
    }

    /// As [`line_of`](Self::line_of), for an offset in bytes counted from 0, as SQLite does.
    pub(super) fn line_of_byte(&self, offset: usize) -> usize {
        let before = self.sql.bytes().take(offset);
        self.line + before.filter(|byte| *byte == b'\n').count()
    }
}

/// What tells an edited file from the one that ran: SHA-256 of its text, line ends as on Unix, in hexadecimal.
pub(super) fn checksum(text: &str) -> String {
    let digest = Sha256::digest(text.replace("\r\n", "\n").as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether the file asks to run outside a transaction.
pub(super) fn runs_alone(text: &str) -> bool {
    text.trim_start_matches('\u{feff}').lines().next().is_some_and(|line| line.trim() == NO_TRANSACTION)
}

/// The statements of a file, in order. Comments and blank lines between them belong to none.
///
/// Knows strings, quoted names, comments (also nested), Postgres's dollar quotes, and the bodies of triggers and
/// functions that are written `begin ... end`.
pub(super) fn parts(text: &str) -> Vec<Part<'_>> {
    let text = text.trim_start_matches('\u{feff}');
    let bytes = text.as_bytes();
    let mut parts = Vec::new();
    let mut body = Body::default();
    // Where the current statement's first word stands.
    let mut start = None;
    let mut at = 0;
    while at < bytes.len() {
        let next = match bytes[at] {
            b'-' if bytes[at..].starts_with(b"--") => line_end(bytes, at),
            b'/' if bytes[at..].starts_with(b"/*") => comment_end(bytes, at),
            byte if byte.is_ascii_whitespace() => at + 1,
            b';' if !body.is_open() => {
                if let Some(start) = start.take() {
                    parts.push(part(text, start, at));
                }
                body = Body::default();
                at + 1
            }
            byte => {
                start.get_or_insert(at);
                match byte {
                    b'\'' => string_end(bytes, at, escapes(bytes, at)),
                    b'"' | b'`' => quoted_end(bytes, at, byte),
                    b'[' => at + 1,
                    b'$' => dollar_end(bytes, at),
                    byte if is_word(byte) => {
                        let end = word_end(bytes, at);
                        body.word(&text[at..end]);
                        end
                    }
                    _ => at + 1,
                }
            }
        };
        at = next.max(at + 1);
    }
    if let Some(start) = start {
        parts.push(part(text, start, bytes.len()));
    }
    parts
}

fn part(text: &str, start: usize, end: usize) -> Part<'_> {
    let line = 1 + text[..start].bytes().filter(|byte| *byte == b'\n').count();
    Part { sql: text[start..end].trim_end(), line }
}

/// Follows `create trigger ... begin ...; ...; end` and `... begin atomic ...; end`, whose semicolons end no statement.
#[derive(Default)]
struct Body {
    words: usize,
    creates: bool,
    may_have_body: bool,
    depth: usize,
}

impl Body {
    fn word(&mut self, word: &str) {
        self.words += 1;
        let is = |other: &str| word.eq_ignore_ascii_case(other);
        if self.words == 1 {
            self.creates = is("create");
        } else if self.creates && self.words <= 4 && (is("trigger") || is("function") || is("procedure")) {
            // The fourth word at the latest: `create or replace function`, `create temp trigger`.
            self.may_have_body = true;
        } else if self.may_have_body {
            if is("begin") || (is("case") && self.depth > 0) {
                self.depth += 1;
            } else if is("end") {
                self.depth = self.depth.saturating_sub(1);
            }
        }
    }

    fn is_open(&self) -> bool {
        self.depth > 0
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn word_end(bytes: &[u8], at: usize) -> usize {
    at + bytes[at..].iter().take_while(|byte| is_word(**byte) || **byte == b'$').count()
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |length| at + length)
}

/// Postgres nests comments, SQLite does not: a file for SQLite that opens one twice and closes it once is not found.
fn comment_end(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0;
    let mut at = start;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

/// Whether the string that opens here is Postgres's `E'..'`, in which a backslash escapes.
fn escapes(bytes: &[u8], at: usize) -> bool {
    let mut before = bytes[..at].iter().rev();
    matches!(before.next(), Some(b'e' | b'E')) && !before.next().is_some_and(|byte| is_word(*byte))
}

fn string_end(bytes: &[u8], start: usize, escapes: bool) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if escapes => at += 2,
            b'\'' if bytes.get(at + 1) == Some(&b'\'') => at += 2,
            b'\'' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn quoted_end(bytes: &[u8], start: usize, quote: u8) -> usize {
    bytes[start + 1..].iter().position(|byte| *byte == quote).map_or(bytes.len(), |length| start + length + 2)
}

/// The end of `$tag$ ... $tag$`, or of the `$` alone.
fn dollar_end(bytes: &[u8], start: usize) -> usize {
    let tag = bytes[start + 1..].iter().take_while(|byte| is_word(**byte)).count();
    let opened = start + 1 + tag;
    if bytes.get(opened) != Some(&b'$') || bytes.get(start + 1).is_some_and(u8::is_ascii_digit) {
        return start + 1;
    }
    let fence = &bytes[start..=opened];
    let rest = &bytes[opened + 1..];
    rest.windows(fence.len())
        .position(|window| window == fence)
        .map_or(bytes.len(), |length| opened + 1 + length + fence.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(sql: &str) -> Vec<(&str, usize)> {
        parts(sql).into_iter().map(|part| (part.sql, part.line)).collect()
    }

    #[test]
    fn statements_end_at_semicolons_that_mean_it() {
        let sql = "-- a ; comment\ncreate table a (b text default ';');\n\n/* ; /* nested ; */ */ insert into a\nvalues ('it''s; fine', \"x;y\");;\nselect 1";
        assert_eq!(
            texts(sql),
            [
                ("create table a (b text default ';')", 2),
                ("insert into a\nvalues ('it''s; fine', \"x;y\")", 4),
                ("select 1", 6),
            ]
        );
        assert_eq!(texts("  \n-- nothing\n"), []);
    }

    #[test]
    fn bodies_are_one_statement() {
        let sql = "create trigger t after insert on a begin\n  update b set c = case when 1 then 2 else 3 end;\n  delete from d;\nend;\nselect 2;";
        let found = texts(sql);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[1], ("select 2", 5));

        let sql = "create or replace function f() returns int as $fn$ begin; select ';'; end; $fn$ language sql;\nselect $1, $$;$$;";
        assert_eq!(parts(sql).len(), 2, "{:?}", parts(sql));
        // A transaction's own `begin` has no body.
        assert_eq!(parts("begin; select 1; end; select 2").len(), 4);
        assert_eq!(parts(r"select E'\'; still', 'but\'; select 2").len(), 2);
    }

    #[test]
    fn a_position_becomes_a_line_of_the_file() {
        let found = parts("\n\ncreate table ü (\n  a wrong,\n  b text\n);");
        assert_eq!(found[0].line_of(1), 3);
        assert_eq!(found[0].line_of(20), 4);
        assert_eq!(found[0].line_of_byte(20), 4);
        assert_eq!(found[0].line_of(10_000), 6);
    }

    #[test]
    fn line_ends_do_not_change_the_checksum_and_a_letter_does() {
        assert_eq!(checksum("a\r\nb\r\n"), checksum("a\nb\n"));
        assert_ne!(checksum("a\nb"), checksum("a\nc"));
        assert_eq!(checksum("").len(), 64);
    }

    #[test]
    fn the_mark_stands_on_the_first_line_or_means_nothing() {
        assert!(runs_alone("-- burgeon: no-transaction\r\ncreate index concurrently ..."));
        assert!(!runs_alone("\n-- burgeon: no-transaction"));
    }

    proptest! {
        #[test]
        fn any_text_is_taken_apart_without_losing_a_word(sql in "[a-z;'\"$/*\\- \n\\[\\]üE\\\\]{0,80}") {
            for part in parts(&sql) {
                prop_assert!(!part.sql.is_empty() && sql.contains(part.sql));
                prop_assert!(part.line >= 1 && part.line <= sql.lines().count().max(1));
            }
        }
    }
}
