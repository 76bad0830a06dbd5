//! One value on its way from SQLite to Postgres: how COPY is told it, and how both sides write it down for the checksum.

use jiff::Timestamp;
use jiff::civil::Date;
use rusqlite::types::ValueRef;
use uuid::Uuid;

use super::canonical;

/// What a column of the target holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum To {
    Bool,
    Small,
    Int,
    Big,
    Real,
    Double,
    Numeric,
    /// `text`, `varchar`, an enum.
    Text,
    /// `char(n)`, which Postgres fills up with spaces.
    Padded,
    Bytes,
    Uuid,
    /// With time zone or without: microseconds since 1970 in either case.
    Timestamp,
    Date,
    Json,
    Jsonb,
    /// Any other type, by its text: what Postgres writes back must be what SQLite holds.
    Other(String),
}

impl To {
    /// By the name and the sort that Postgres gives a type.
    pub(super) fn of(name: &str, sort: &str) -> Self {
        match name {
            "bool" => To::Bool,
            "int2" => To::Small,
            "int4" => To::Int,
            "int8" => To::Big,
            "float4" => To::Real,
            "float8" => To::Double,
            "numeric" => To::Numeric,
            "text" | "varchar" => To::Text,
            "bpchar" => To::Padded,
            "bytea" => To::Bytes,
            "uuid" => To::Uuid,
            "timestamptz" | "timestamp" => To::Timestamp,
            "date" => To::Date,
            "json" => To::Json,
            "jsonb" => To::Jsonb,
            _ if sort == "e" => To::Text,
            other => To::Other(other.to_owned()),
        }
    }

    /// How the column is selected for the checksum: as something whose text has one form.
    pub(super) fn selected(&self, column: &str) -> String {
        match self {
            To::Timestamp => format!("(extract(epoch from {column}) * 1000000)::bigint"),
            To::Date => format!("{column} - date '1970-01-01'"),
            To::Bytes => format!("encode({column}, 'hex')"),
            _ => column.to_owned(),
        }
    }

    /// The canonical form of what [`selected`](Self::selected) wrote.
    ///
    /// # Errors
    /// A sentence, when it cannot be read.
    pub(super) fn canonical(&self, text: &[u8]) -> Result<Vec<u8>, String> {
        let words = || std::str::from_utf8(text).map_err(|_| "it is not UTF-8".to_owned());
        Ok(match self {
            To::Real | To::Double => {
                let number: f64 = words()?.parse().map_err(|_| "it is no number".to_owned())?;
                // Of `real` the shortest text that means it is written, which is another double than the one it is.
                let number = if *self == To::Real { f64::from(number as f32) } else { number };
                number.to_bits().to_le_bytes().to_vec()
            }
            To::Numeric => {
                canonical::decimal(words()?).ok_or("it is no finite number".to_owned())?.into_bytes()
            }
            To::Jsonb => canonical::json(text)?,
            To::Padded => text.trim_ascii_end().to_vec(),
            _ => text.to_vec(),
        })
    }
}

/// What becomes of a value: its text for COPY and its canonical form.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Encoded {
    pub(super) copy: Vec<u8>,
    pub(super) canonical: Vec<u8>,
}

impl Encoded {
    fn same(text: impl Into<Vec<u8>>) -> Self {
        let copy = text.into();
        Self { canonical: copy.clone(), copy }
    }
}

/// Turns a value of SQLite into one for a column of the target. `None` is NULL.
///
/// # Errors
/// A sentence, when the value is none of the target's.
pub(super) fn encode(value: ValueRef<'_>, to: &To) -> Result<Option<Encoded>, String> {
    let encoded = match (to, value) {
        (_, ValueRef::Null) => return Ok(None),
        (To::Bool, ValueRef::Integer(0)) => Encoded::same("f"),
        (To::Bool, ValueRef::Integer(1)) => Encoded::same("t"),
        (To::Bool, ValueRef::Integer(number)) => return Err(format!("{number} is neither 0 nor 1")),
        (To::Small, ValueRef::Integer(number)) => ranged::<i16>(number)?,
        (To::Int, ValueRef::Integer(number)) => ranged::<i32>(number)?,
        (To::Big | To::Other(_), ValueRef::Integer(number)) => Encoded::same(number.to_string()),
        (To::Double, ValueRef::Real(number)) => float(number),
        (To::Double, ValueRef::Integer(number)) => {
            let float_of = number as f64;
            if float_of as i128 != i128::from(number) {
                return Err(format!("{number} has more digits than a double"));
            }
            float(float_of)
        }
        (To::Real, ValueRef::Real(number)) => {
            if f64::from(number as f32).to_bits() != number.to_bits() {
                return Err(format!(
                    "{number} has more digits than a real; make the column double precision"
                ));
            }
            float(number)
        }
        (To::Numeric, ValueRef::Integer(number)) => numeric(&number.to_string())?,
        (To::Numeric, ValueRef::Text(_)) => numeric(text(value)?)?,
        (To::Text | To::Other(_), ValueRef::Text(_)) => Encoded::same(text(value)?),
        (To::Padded, ValueRef::Text(_)) => {
            let text = text(value)?;
            Encoded { copy: text.into(), canonical: text.trim_ascii_end().into() }
        }
        (To::Bytes, ValueRef::Blob(bytes)) => {
            let hex = hex(bytes);
            Encoded { copy: format!("\\x{hex}").into_bytes(), canonical: hex.into_bytes() }
        }
        (To::Uuid, ValueRef::Blob(bytes)) => {
            let uuid =
                Uuid::from_slice(bytes).map_err(|_| format!("a blob of {} bytes is no UUID", bytes.len()))?;
            Encoded::same(uuid.to_string())
        }
        (To::Uuid, ValueRef::Text(_)) => {
            let text = text(value)?;
            let uuid = Uuid::parse_str(text).map_err(|_| format!("`{text}` is no UUID"))?;
            Encoded::same(uuid.to_string())
        }
        (To::Timestamp, ValueRef::Integer(micros)) => {
            let moment = Timestamp::from_microsecond(micros)
                .map_err(|_| format!("{micros} microseconds is beyond the years -9999 to 9999"))?;
            Encoded { copy: written(moment).into_bytes(), canonical: micros.to_string().into_bytes() }
        }
        (To::Date, ValueRef::Text(_)) => {
            let text = text(value)?;
            let day: Date = text.parse().map_err(|_| format!("`{text}` is no day such as 2026-11-21"))?;
            let (year, era) = years(day.year());
            let copy = format!("{year:04}-{:02}-{:02}{era}", day.month(), day.day());
            Encoded { copy: copy.into_bytes(), canonical: days(day).to_string().into_bytes() }
        }
        (To::Json, ValueRef::Text(_)) => Encoded::same(text(value)?),
        (To::Jsonb, ValueRef::Text(_)) => {
            let text = text(value)?;
            Encoded { copy: text.into(), canonical: canonical::json(text.as_bytes())? }
        }
        (to, value) => {
            return Err(format!("{} cannot become {to:?}", value.data_type().to_string().to_uppercase()));
        }
    };
    Ok(Some(encoded))
}

fn ranged<T: TryFrom<i64>>(number: i64) -> Result<Encoded, String> {
    match T::try_from(number) {
        Ok(_) => Ok(Encoded::same(number.to_string())),
        Err(_) => Err(format!("{number} does not fit {} bits", size_of::<T>() * 8)),
    }
}

fn float(number: f64) -> Encoded {
    let copy = match number {
        number if number.is_infinite() && number > 0.0 => "Infinity".to_owned(),
        number if number.is_infinite() => "-Infinity".to_owned(),
        // The shortest text that means exactly this number.
        number => format!("{number:e}"),
    };
    Encoded { copy: copy.into_bytes(), canonical: number.to_bits().to_le_bytes().to_vec() }
}

fn numeric(text: &str) -> Result<Encoded, String> {
    let canonical = canonical::decimal(text).ok_or_else(|| format!("`{text}` is no decimal number"))?;
    Ok(Encoded { copy: text.trim().into(), canonical: canonical.into_bytes() })
}

fn text(value: ValueRef<'_>) -> Result<&str, String> {
    let text = value.as_str().map_err(|_| "a text that is not UTF-8".to_owned())?;
    match text.contains('\0') {
        true => Err("a text with the character U+0000, which Postgres cannot hold".to_owned()),
        false => Ok(text),
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// As Postgres reads it, in UTC, whatever the year.
fn written(moment: Timestamp) -> String {
    let at = moment.to_zoned(jiff::tz::TimeZone::UTC).datetime();
    let (year, era) = years(at.year());
    format!(
        "{year:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:06}+00{era}",
        at.month(),
        at.day(),
        at.hour(),
        at.minute(),
        at.second(),
        at.subsec_nanosecond() / 1_000
    )
}

/// Postgres knows no year 0.
fn years(year: i16) -> (i32, &'static str) {
    match i32::from(year) {
        year if year > 0 => (year, ""),
        year => (1 - year, " BC"),
    }
}

fn days(day: Date) -> i64 {
    let since = day.duration_since(Date::constant(1970, 1, 1));
    since.as_secs() / 86_400
}

/// Appends a field to a line of COPY's text format.
pub(super) fn escape(field: &[u8], line: &mut Vec<u8>) {
    for byte in field {
        match byte {
            b'\\' => line.extend_from_slice(b"\\\\"),
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            b'\t' => line.extend_from_slice(b"\\t"),
            byte => line.push(*byte),
        }
    }
}

/// The fields of a line of COPY's text format, `None` for NULL.
pub(super) fn fields(line: &[u8]) -> Vec<Option<Vec<u8>>> {
    line.split(|byte| *byte == b'\t')
        .map(|field| if field == b"\\N" { None } else { Some(unescape(field)) })
        .collect()
}

fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut bytes = field.iter();
    while let Some(byte) = bytes.next() {
        plain.push(match (byte, byte == &b'\\') {
            (_, true) => match bytes.next() {
                Some(b'b') => 8,
                Some(b'f') => 12,
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'v') => 11,
                Some(other) => *other,
                None => b'\\',
            },
            (byte, false) => *byte,
        });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn copied(value: ValueRef<'_>, to: To) -> String {
        String::from_utf8(encode(value, &to).unwrap().unwrap().copy).unwrap()
    }

    #[test]
    fn a_value_that_is_none_of_the_targets_is_refused_in_words() {
        let refused = |value, to: &To| encode(value, to).unwrap_err();
        assert!(refused(ValueRef::Integer(2), &To::Bool).contains("neither 0 nor 1"));
        assert!(refused(ValueRef::Integer(40_000), &To::Small).contains("16 bits"));
        assert!(refused(ValueRef::Text(b"a\0b"), &To::Text).contains("U+0000"));
        assert!(refused(ValueRef::Text(b"\xff"), &To::Text).contains("UTF-8"));
        assert!(refused(ValueRef::Blob(b"abc"), &To::Uuid).contains("3 bytes"));
        assert!(refused(ValueRef::Text(b"yesterday"), &To::Date).contains("no day"));
        assert!(refused(ValueRef::Text(b"2026-11-21"), &To::Timestamp).contains("TEXT"));
        assert!(refused(ValueRef::Integer(i64::MAX), &To::Timestamp).contains("beyond"));
        assert!(refused(ValueRef::Text(b"{"), &To::Jsonb).contains("no JSON"));
        assert!(refused(ValueRef::Real(0.1), &To::Real).contains("more digits"));
        assert!(refused(ValueRef::Integer(i64::MAX), &To::Double).contains("more digits"));
        assert!(encode(ValueRef::Null, &To::Bool).unwrap().is_none());
    }

    #[test]
    fn moments_and_days_are_written_as_postgres_reads_them() {
        assert_eq!(copied(ValueRef::Integer(-1), To::Timestamp), "1969-12-31 23:59:59.999999+00");
        assert_eq!(
            copied(ValueRef::Integer(-62_198_755_200_000_000), To::Timestamp),
            "0002-01-01 00:00:00.000000+00 BC"
        );
        assert_eq!(copied(ValueRef::Text(b"2026-11-21"), To::Date), "2026-11-21");
        assert_eq!(encode(ValueRef::Text(b"1969-12-31"), &To::Date).unwrap().unwrap().canonical, b"-1");
        assert_eq!(encode(ValueRef::Text(b"2000-03-01"), &To::Date).unwrap().unwrap().canonical, b"11017");
    }

    proptest! {
        #[test]
        fn what_is_escaped_is_one_field_and_comes_back(parts in prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..20)), 1..5)) {
            let mut line = Vec::new();
            for (index, part) in parts.iter().enumerate() {
                if index > 0 {
                    line.push(b'\t');
                }
                match part {
                    Some(part) => escape(part, &mut line),
                    None => line.extend_from_slice(b"\\N"),
                }
            }
            prop_assert!(!line.contains(&b'\n'));
            prop_assert_eq!(fields(&line), parts);
        }

        #[test]
        fn a_float_survives_its_text(number in any::<f64>().prop_filter("SQLite holds no NaN", |number| !number.is_nan())) {
            let encoded = encode(ValueRef::Real(number), &To::Double).unwrap().unwrap();
            prop_assert_eq!(To::Double.canonical(&encoded.copy).unwrap(), encoded.canonical);
        }
    }
}
