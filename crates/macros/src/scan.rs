//! Reads the text of a statement far enough to rewrite its parameters and to tell whether it changes anything.
//!
//! Not a parser of SQL: it knows what is a string, a quoted name, a comment, a word and a parameter, on either
//! engine, and nothing of grammar. What it cannot know it calls a write, which is the safe side.

use std::collections::BTreeSet;

/// What was found in a text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    /// The text with `?n` for `$n`, and `in (select value from rarray(?n))` for `= any($n)`.
    pub(crate) sqlite: String,
    /// Which `$n` occur.
    pub(crate) params: BTreeSet<usize>,
    /// Whether nothing is changed and nothing locked.
    pub(crate) reads: bool,
    /// What only one engine understands, for statements with one text.
    pub(crate) foreign: Option<&'static str>,
}

/// Words that change something when they stand in a `with` or a `select`.
const CHANGES: [&str; 5] = ["insert", "update", "delete", "merge", "into"];

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    out: Scan,
    words: Vec<String>,
}

/// Scans one statement. The error is a sentence for its author.
pub(crate) fn scan(text: &str) -> Result<Scan, String> {
    let mut scanner = Scanner { text, at: 0, out: Scan::default(), words: Vec::new() };
    while scanner.at < text.len() {
        scanner.step()?;
    }
    let Scanner { mut out, words, .. } = scanner;
    let first = words.first().ok_or("the statement is empty")?;
    let locks = words
        .windows(2)
        .any(|pair| pair[0] == "for" && ["update", "share", "no", "key"].contains(&pair[1].as_str()));
    let changes = words.iter().any(|word| CHANGES.contains(&word.as_str()));
    out.reads = ["select", "values", "with"].contains(&first.as_str()) && !locks && !changes;
    Ok(out)
}

impl<'a> Scanner<'a> {
    /// Consumes one token and writes it, perhaps rewritten.
    fn step(&mut self) -> Result<(), String> {
        let rest = self.rest();
        let mut characters = rest.chars();
        let (Some(first), second) = (characters.next(), characters.next()) else { return Ok(()) };
        match (first, second) {
            ('\'', _) => self.quoted('\'', self.after_escape_prefix()),
            ('"', _) => self.quoted('"', false),
            ('-', Some('-')) => {
                let end = rest.find('\n').unwrap_or(rest.len());
                self.copy(end);
                Ok(())
            }
            ('/', Some('*')) => self.comment(),
            ('$', Some(digit)) if digit.is_ascii_digit() => self.parameter(),
            ('$', _) => self.dollar_quoted(),
            (':', Some(':')) => {
                self.out.foreign.get_or_insert("`::` is a cast only Postgres knows; write `cast(x as type)`");
                self.copy(2);
                Ok(())
            }
            ('?', _) => {
                self.out.foreign.get_or_insert("parameters are written `$1`, `$2`, ..., not `?`");
                self.copy(1);
                Ok(())
            }
            ('=', _) if self.list("=", "any", "in").is_some() => Ok(()),
            ('<', Some('>')) if self.list("<>", "all", "not in").is_some() => Ok(()),
            ('!', Some('=')) if self.list("!=", "all", "not in").is_some() => Ok(()),
            (';', _) => {
                if !rest[1..].trim().is_empty() {
                    return Err("one `sql!` is one statement: there is something behind the `;`".to_owned());
                }
                self.at = self.text.len();
                Ok(())
            }
            (first, _) if first.is_alphabetic() || first == '_' => {
                let end = rest
                    .find(|character: char| {
                        !character.is_alphanumeric() && character != '_' && character != '$'
                    })
                    .unwrap_or(rest.len());
                self.words.push(rest[..end].to_lowercase());
                self.copy(end);
                Ok(())
            }
            (first, _) if first.is_ascii_digit() => {
                let end = rest.find(|character: char| !character.is_alphanumeric()).unwrap_or(rest.len());
                self.copy(end);
                Ok(())
            }
            (first, _) => {
                self.copy(first.len_utf8());
                Ok(())
            }
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn copy(&mut self, bytes: usize) {
        let end = self.at + bytes;
        self.out.sqlite.push_str(&self.text[self.at..end]);
        self.at = end;
    }

    /// Whether the quote at hand opens Postgres's `E'..'`, in which a backslash escapes.
    fn after_escape_prefix(&self) -> bool {
        let before = &self.text[..self.at];
        let escape = before.ends_with(['e', 'E']);
        escape && self.words.last().is_some_and(|word| word == "e")
    }

    fn quoted(&mut self, quote: char, backslash: bool) -> Result<(), String> {
        let mut characters = self.rest().char_indices().skip(1).peekable();
        while let Some((at, character)) = characters.next() {
            if backslash && character == '\\' {
                characters.next();
            } else if character == quote {
                // A doubled quote stands for itself.
                if characters.next_if(|(_, next)| *next == quote).is_none() {
                    self.copy(at + 1);
                    return Ok(());
                }
            }
        }
        Err(format!("a {quote} is opened and never closed"))
    }

    fn comment(&mut self) -> Result<(), String> {
        let (mut depth, mut at) = (0_usize, 0);
        let rest = self.rest();
        while at < rest.len() {
            if rest[at..].starts_with("/*") {
                (depth, at) = (depth + 1, at + 2);
            } else if rest[at..].starts_with("*/") {
                (depth, at) = (depth - 1, at + 2);
                if depth == 0 {
                    self.copy(at);
                    return Ok(());
                }
            } else {
                at += rest[at..].chars().next().map_or(1, char::len_utf8);
            }
        }
        Err("a comment `/*` is opened and never closed".to_owned())
    }

    fn parameter(&mut self) -> Result<(), String> {
        let (number, length) = number(&self.rest()[1..]).ok_or("`$` and a number beyond reason")?;
        if number == 0 {
            return Err("parameters are counted from `$1`; there is no `$0`".to_owned());
        }
        self.out.params.insert(number);
        self.out.sqlite.push_str(&format!("?{number}"));
        self.at += 1 + length;
        Ok(())
    }

    /// `$$ .. $$` and `$tag$ .. $tag$`, which only Postgres knows.
    fn dollar_quoted(&mut self) -> Result<(), String> {
        let rest = self.rest();
        let tag = rest[1..].find('$').map(|end| &rest[..end + 2]).filter(|tag| {
            tag[1..tag.len() - 1].chars().all(|character| character.is_alphanumeric() || character == '_')
        });
        let Some(tag) = tag else {
            return Err("a lone `$`: parameters are written `$1`, `$2`, ...".to_owned());
        };
        let end = rest[tag.len()..].find(tag).ok_or_else(|| format!("{tag} is opened and never closed"))?;
        let length = end + 2 * tag.len();
        self.out.foreign.get_or_insert("`$$` quotes are known to Postgres only");
        self.copy(length);
        Ok(())
    }

    /// `= any($n)` and `<> all($n)`: a list parameter. SQLite has no arrays; there it is a table of values.
    fn list(&mut self, operator: &str, word: &str, becomes: &str) -> Option<()> {
        let rest = self.rest()[operator.len()..].trim_start();
        let rest = rest
            .get(..word.len())
            .filter(|found| found.eq_ignore_ascii_case(word))
            .map(|_| &rest[word.len()..])?;
        let rest = rest.trim_start().strip_prefix('(')?.trim_start().strip_prefix('$')?;
        let (number, length) = number(rest).filter(|(number, _)| *number > 0)?;
        let rest = rest[length..].trim_start().strip_prefix(')')?;
        self.out.params.insert(number);
        self.out.sqlite.push_str(&format!("{becomes} (select value from rarray(?{number}))"));
        self.at = self.text.len() - rest.len();
        Some(())
    }
}

fn number(text: &str) -> Option<(usize, usize)> {
    let length = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    text[..length].parse().ok().filter(|number| *number <= 65_535).map(|number| (number, length))
}

#[cfg(test)]
mod tests;
