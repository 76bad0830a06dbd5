//! One line of an "Online Retail" export: from text to values, or to a reason why not.
//!
//! What this is: the whole of the format, as a pure function of one line. What it is not: a judge of business.
//! A negative price, a blank customer, an odd stock code and a repeated line are how the shop's year was; only what
//! cannot be read is refused.
//!
//! # Invariants
//! - A record is a line: the format has no line breaks inside quotes, so one open quote cannot swallow the file.
//! - Times are the shop's wall clock in Europe/London; a time that a clock change skipped or repeated is read as
//!   the offset before the change, so that it stays in its order.

use std::fmt;

use burgeon::Money;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};

/// The columns, in order; the file's first line must name them.
pub(crate) const COLUMNS: [&str; 8] = [
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
];

/// One sold, returned or adjusted item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) invoice: String,
    pub(crate) product: String,
    pub(crate) description: Option<String>,
    pub(crate) quantity: i64,
    /// The wall clock of the shop.
    pub(crate) local: DateTime,
    pub(crate) sold_at: Timestamp,
    pub(crate) unit_price: Money,
    pub(crate) customer: Option<i64>,
    pub(crate) country: String,
}

impl Line {
    /// Whether its invoice takes earlier ones back: its number begins with C.
    pub(crate) fn is_cancellation(&self) -> bool {
        self.invoice.starts_with('C')
    }

    /// The accounting month in the shop's own time zone: `2010-12`.
    pub(crate) fn period(&self) -> String {
        format!("{:04}-{:02}", self.local.year(), self.local.month())
    }
}

/// Why a line cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    NotText,
    OpenQuote,
    LineBreak,
    Long,
    Columns(usize),
    Empty(&'static str),
    TooLong(&'static str),
    Quantity(String),
    Time(String),
    Price(String),
    Customer(String),
    Amount,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NotText => f.write_str("the line is not UTF-8 text"),
            Refusal::OpenQuote => f.write_str("a quote is opened and never closed"),
            Refusal::Long => f.write_str("the line is longer than 64 KiB"),
            Refusal::LineBreak => f.write_str("a carriage return stands in the middle of the line"),
            Refusal::Columns(found) => write!(f, "{found} columns instead of {}", COLUMNS.len()),
            Refusal::Empty(column) => write!(f, "{column} is empty"),
            Refusal::TooLong(column) => write!(f, "{column} is longer than {MOST} characters"),
            Refusal::Quantity(text) => write!(f, "Quantity is not a whole number: {text}"),
            Refusal::Time(text) => write!(f, "InvoiceDate is not a time such as 2010-12-01 08:26:00: {text}"),
            Refusal::Price(text) => write!(f, "UnitPrice is not an amount of at most four decimals: {text}"),
            Refusal::Customer(text) => write!(f, "CustomerID is not a number: {text}"),
            Refusal::Amount => f.write_str("Quantity times UnitPrice is beyond what an amount can hold"),
        }
    }
}

/// No real code, name or country comes near it.
const MOST: usize = 400;

/// Reads lines; keeps the buffers and the time zone between them.
pub(crate) struct Reader {
    csv: csv_core::Reader,
    fields: Vec<u8>,
    ends: Vec<usize>,
    zone: TimeZone,
}

impl Reader {
    /// A reader for a shop in this time zone.
    pub(crate) fn new(zone: TimeZone) -> Self {
        Self { csv: csv_core::Reader::new(), fields: Vec::new(), ends: vec![0; 64], zone }
    }

    /// The line's values, or the first reason against it. `line` ends with its line break.
    pub(crate) fn read(&mut self, line: &[u8]) -> Result<Line, Refusal> {
        let places = self.split(line)?;
        let mut columns = [""; COLUMNS.len()];
        for (column, (from, to)) in columns.iter_mut().zip(places) {
            *column = std::str::from_utf8(&self.fields[from..to]).map_err(|_| Refusal::NotText)?.trim();
        }
        let [_, _, description, quantity, time, price, customer, _] = columns;
        let name = |index: usize| match columns[index] {
            "" => Err(Refusal::Empty(COLUMNS[index])),
            text if text.len() > MOST => Err(Refusal::TooLong(COLUMNS[index])),
            text => Ok(text.to_owned()),
        };
        if description.len() > MOST {
            return Err(Refusal::TooLong(COLUMNS[2]));
        }
        let quantity: i64 = quantity.parse().map_err(|_| Refusal::Quantity(quantity.to_owned()))?;
        let local = wall_clock(time).ok_or_else(|| Refusal::Time(time.to_owned()))?;
        let unit_price: Money = price.parse().map_err(|_| Refusal::Price(price.to_owned()))?;
        // The export writes customers as `17850.0`.
        let customer = match customer.strip_suffix(".0").unwrap_or(customer) {
            "" => None,
            number => Some(number.parse().map_err(|_| Refusal::Customer(customer.to_owned()))?),
        };
        unit_price.checked_mul(quantity).ok_or(Refusal::Amount)?;
        Ok(Line {
            invoice: name(0)?,
            product: name(1)?,
            description: (!description.is_empty()).then(|| description.to_owned()),
            quantity,
            local,
            sold_at: instant(&self.zone, local).ok_or_else(|| Refusal::Time(time.to_owned()))?,
            unit_price,
            customer,
            country: name(7)?,
        })
    }

    /// Unquotes the line into `self.fields` and gives the columns' places there.
    fn split(&mut self, line: &[u8]) -> Result<[(usize, usize); COLUMNS.len()], Refusal> {
        self.csv.reset();
        self.fields.resize(self.fields.len().max(line.len()), 0);
        let (outcome, read, _, columns) = self.csv.read_record(line, &mut self.fields, &mut self.ends);
        match outcome {
            csv_core::ReadRecordResult::Record => {}
            // The line break was taken for text.
            csv_core::ReadRecordResult::InputEmpty | csv_core::ReadRecordResult::End => {
                return Err(Refusal::OpenQuote);
            }
            csv_core::ReadRecordResult::OutputFull | csv_core::ReadRecordResult::OutputEndsFull => {
                return Err(Refusal::Columns(self.ends.len()));
            }
        }
        if columns != COLUMNS.len() {
            return Err(Refusal::Columns(columns));
        }
        if !matches!(&line[read..], b"" | b"\n") {
            return Err(Refusal::LineBreak);
        }
        let mut places = [(0, 0); COLUMNS.len()];
        let mut start = 0;
        for (place, &end) in places.iter_mut().zip(&self.ends) {
            *place = (start, end);
            start = end;
        }
        Ok(places)
    }
}

/// `2010-12-01 08:26:00` or `2010-12-01 08:26`.
fn wall_clock(text: &str) -> Option<DateTime> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<i16> {
        let digits = bytes.get(from..to)?;
        digits
            .iter()
            .all(u8::is_ascii_digit)
            .then(|| digits.iter().fold(0, |sum, digit| sum * 10 + i16::from(digit - b'0')))
    };
    let borders = [(4, b'-'), (7, b'-'), (10, b' '), (13, b':')];
    if borders.iter().any(|&(place, border)| bytes.get(place) != Some(&border)) {
        return None;
    }
    let second = match bytes.len() {
        16 => 0,
        19 if bytes[16] == b':' => number(17, 19)?,
        _ => return None,
    };
    let date = Date::new(number(0, 4)?, number(5, 7)? as i8, number(8, 10)? as i8).ok()?;
    let time = Time::new(number(11, 13)? as i8, number(14, 16)? as i8, second as i8, 0).ok()?;
    Some(DateTime::from_parts(date, time))
}

/// The instant of a wall clock's time; for a skipped or repeated one, by the offset before the change.
fn instant(zone: &TimeZone, local: DateTime) -> Option<Timestamp> {
    let offset = match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset,
        AmbiguousOffset::Gap { before, .. } | AmbiguousOffset::Fold { before, .. } => before,
    };
    offset.to_timestamp(local).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Line, Refusal> {
        Reader::new(TimeZone::get("Europe/London").unwrap()).read(format!("{line}\n").as_bytes())
    }

    #[test]
    fn a_line_becomes_values() {
        let line =
            read(r#"536365,85123A,"HEART, ""WHITE""",6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom"#)
                .unwrap();
        assert_eq!(line.description.as_deref(), Some(r#"HEART, "WHITE""#));
        assert_eq!((line.quantity, line.customer), (6, Some(17850)));
        assert_eq!(line.unit_price, "2.55".parse().unwrap());
        assert_eq!(line.sold_at, "2010-12-01T08:26:00Z".parse().unwrap());
        assert_eq!(line.period(), "2010-12");
        assert!(!line.is_cancellation());
    }

    #[test]
    fn odd_but_readable_lines_stay() {
        assert!(
            read("C536379,D,Discount,-1,2010-12-01 09:41:00,27.50,14527.0,United Kingdom")
                .unwrap()
                .is_cancellation()
        );
        assert_eq!(read("536414,22139,,56,2010-12-01 11:52:00,0.0,,United Kingdom").unwrap().customer, None);
        let adjustment =
            read("A563186,B,Adjust bad debt,1,2011-08-12 14:51,-11062.06,,United Kingdom").unwrap();
        assert!(adjustment.unit_price.is_negative());
        assert_eq!(read("1,2,3,1,2011-08-12 14:51:00,0.001,,EIRE").unwrap().unit_price, Money::from_raw(10));
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_reason() {
        let refused = [
            ("1,2,3,1,2011-08-12 14:51:00,0.001,EIRE", "7 columns instead of 8"),
            ("1,2,\"3,1,2011-08-12 14:51:00,0.001,,EIRE", "a quote is opened and never closed"),
            (",2,3,1,2011-08-12 14:51:00,0.001,,EIRE", "InvoiceNo is empty"),
            ("1,2,3,1.5,2011-08-12 14:51:00,0.001,,EIRE", "Quantity is not a whole number: 1.5"),
            (
                "1,2,3,1,2011-02-30 14:51:00,0.001,,EIRE",
                "InvoiceDate is not a time such as 2010-12-01 08:26:00: 2011-02-30 14:51:00",
            ),
            (
                "1,2,3,1,12/08/2011 14:51,0.001,,EIRE",
                "InvoiceDate is not a time such as 2010-12-01 08:26:00: 12/08/2011 14:51",
            ),
            (
                "1,2,3,1,2011-08-12 14:51:00,1.23456,,EIRE",
                "UnitPrice is not an amount of at most four decimals: 1.23456",
            ),
            ("1,2,3,1,2011-08-12 14:51:00,1,x,EIRE", "CustomerID is not a number: x"),
            (
                "1,2,3,9000000000000000000,2011-08-12 14:51:00,99,,EIRE",
                "Quantity times UnitPrice is beyond what an amount can hold",
            ),
            ("1,2,3\r,1,2011-08-12 14:51:00,99,,EIRE", "3 columns instead of 8"),
        ];
        for (line, reason) in refused {
            assert_eq!(read(line).unwrap_err().to_string(), reason, "{line}");
        }
        let mut reader = Reader::new(TimeZone::UTC);
        assert_eq!(reader.read(b"1,2,\xff\xfe,1,2011-08-12 14:51:00,1,,EIRE\n"), Err(Refusal::NotText));
    }

    #[test]
    fn summer_time_is_an_hour_ahead_and_its_borders_are_read_by_the_offset_before() {
        let at = |time: &str| read(&format!("1,2,3,1,{time},1,,EIRE")).unwrap().sold_at.to_string();
        assert_eq!(at("2011-07-01 12:00:00"), "2011-07-01T11:00:00Z");
        // 01:30 did not exist on 27 March 2011, and happened twice on 30 October.
        assert_eq!(at("2011-03-27 01:30:00"), "2011-03-27T01:30:00Z");
        assert_eq!(at("2011-10-30 01:30:00"), "2011-10-30T00:30:00Z");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut line: Vec<u8>) {
            line.push(b'\n');
            let _ = Reader::new(TimeZone::UTC).read(&line);
        }
    }
}
