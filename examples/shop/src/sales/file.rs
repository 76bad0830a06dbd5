//! An export, line by line, plain or compressed.
//!
//! # Invariants
//! - Memory does not depend on the file: a line longer than [`LONGEST`] is refused and skipped, not collected.
//! - Every line of the file is handed out or refused, with its number; only blank lines are passed over.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use burgeon::prelude::*;
use flate2::bufread::MultiGzDecoder;
use jiff::tz::TimeZone;

use super::line::{COLUMNS, Line, Reader, Refusal};

/// No line of a real export comes near it.
const LONGEST: u64 = 64 * 1024;

/// A file being read.
pub(crate) struct Export {
    text: Box<dyn BufRead + Send>,
    reader: Reader,
    number: u64,
    line: Vec<u8>,
    consumed: Arc<AtomicU64>,
    size: u64,
}

/// One line of the file: its number from 1, and what it says.
pub(crate) enum Entry {
    /// It can be read.
    Line(u64, Line),
    /// It cannot; its text, as far as it is text.
    Refused(u64, Refusal, String),
}

impl Export {
    /// Opens an export and checks that its first line names the columns.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let failed = |error: io::Error| {
            Error::invalid(format!("{} cannot be read: {error}", path.display())).with_source(error)
        };
        let file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let consumed = Arc::new(AtomicU64::new(0));
        let mut raw = BufReader::with_capacity(256 * 1024, Counted { file, consumed: Arc::clone(&consumed) });
        // By content and not by name: a renamed file stays what it is.
        let zipped = raw.fill_buf().map_err(failed)?.starts_with(&[0x1f, 0x8b]);
        let text: Box<dyn BufRead + Send> = if zipped {
            Box::new(BufReader::with_capacity(256 * 1024, MultiGzDecoder::new(raw)))
        } else {
            Box::new(raw)
        };
        let zone = TimeZone::get("Europe/London").map_err(|error| {
            Error::unavailable("The time zone Europe/London is not known here; install the package tzdata.")
                .with_source(error)
        })?;
        let mut export =
            Self { text, reader: Reader::new(zone), number: 0, line: Vec::new(), consumed, size };
        export.read_line().map_err(failed)?;
        export.check_header(path)?;
        Ok(export)
    }

    fn check_header(&self, path: &Path) -> Result<()> {
        let header = self.line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.line);
        let header = String::from_utf8_lossy(header);
        if header.trim().split(',').map(|column| column.trim_matches('"')).eq(COLUMNS) {
            return Ok(());
        }
        // What is no text would be commands to a terminal.
        let shown = |letter: char| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter };
        let begins: String = header.trim().chars().take(80).map(shown).collect();
        Err(Error::invalid(format!(
            "{} is no \"Online Retail\" export: its first line must be `{}`, and is `{begins}`.",
            path.display(),
            COLUMNS.join(","),
        )))
    }

    /// Bytes of the file, and how many of them have been read; shared, so that another thread can show it.
    pub(crate) fn progress(&self) -> (u64, Arc<AtomicU64>) {
        (self.size, Arc::clone(&self.consumed))
    }

    /// The next line, or nothing at the end.
    ///
    /// # Errors
    /// When the file breaks off: a damaged archive, a disk that fails. What came before it stands.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>> {
        loop {
            let read = self.read_line().map_err(|error| {
                let sentence = format!("The file breaks off after line {}: {error}.", self.number);
                Error::invalid(sentence).with_source(error)
            })?;
            let whole = match read {
                Took::End => return Ok(None),
                Took::Whole => true,
                Took::Long => false,
            };
            if whole && self.line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let number = self.number;
            return Ok(Some(match if whole { self.reader.read(&self.line) } else { Err(Refusal::Long) } {
                Ok(line) => Entry::Line(number, line),
                Err(why) => {
                    let text = String::from_utf8_lossy(&self.line).trim_end().chars().take(500).collect();
                    Entry::Refused(number, why, text)
                }
            }));
        }
    }

    /// Reads up to and with the next line break; the last line gets one if it has none.
    fn read_line(&mut self) -> io::Result<Took> {
        self.line.clear();
        let read = self.text.by_ref().take(LONGEST).read_until(b'\n', &mut self.line)?;
        if read == 0 {
            return Ok(Took::End);
        }
        self.number += 1;
        if self.line.ends_with(b"\n") {
            return Ok(Took::Whole);
        }
        if (read as u64) < LONGEST {
            self.line.push(b'\n');
            return Ok(Took::Whole);
        }
        self.text.skip_until(b'\n')?;
        Ok(Took::Long)
    }
}

/// What reading a line came to.
enum Took {
    End,
    Whole,
    Long,
}

/// Counts what leaves the disk.
struct Counted {
    file: File,
    consumed: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.consumed.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const HEADER: &str =
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";
    const GOOD: &str = "536365,85123A,HEART,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom";

    fn read(bytes: &[u8]) -> Result<Vec<(u64, bool)>> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let mut export = Export::open(file.path())?;
        let mut entries = Vec::new();
        while let Some(entry) = export.next()? {
            entries.push(match entry {
                Entry::Line(number, _) => (number, true),
                Entry::Refused(number, ..) => (number, false),
            });
        }
        Ok(entries)
    }

    #[test]
    fn blank_lines_are_passed_over_and_the_last_needs_no_break() {
        let text = format!("{HEADER}{GOOD}\r\n\n  \n{GOOD}");
        assert_eq!(read(text.as_bytes()).unwrap(), [(2, true), (5, true)]);
    }

    #[test]
    fn one_endless_line_is_refused_and_the_next_is_read() {
        let text = format!("{HEADER}{}\n{GOOD}\n", "x".repeat(200_000));
        assert_eq!(read(text.as_bytes()).unwrap(), [(2, false), (3, true)]);
    }

    #[test]
    fn a_file_that_is_something_else_is_refused_by_its_first_line() {
        for text in ["", "a,b,c\n1,2,3\n", "\0\u{1}\u{2}"] {
            let error = read(text.as_bytes()).unwrap_err();
            assert!(error.to_string().contains("no \"Online Retail\" export"), "{error}");
        }
    }

    #[test]
    fn an_archive_that_was_cut_says_after_which_line() {
        let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        zipped.write_all(HEADER.as_bytes()).unwrap();
        for number in 0..5_000 {
            writeln!(zipped, "{number}{GOOD}").unwrap();
        }
        let zipped = zipped.finish().unwrap();
        assert_eq!(read(&zipped).unwrap().len(), 5_000);
        let error = read(&zipped[..zipped.len() / 2]).unwrap_err();
        assert!(error.to_string().starts_with("The file breaks off after line "), "{error}");
    }
}
