//! Our values in Postgres's types.
//!
//! The server infers a parameter's type from where it stands, and the program's type need not be the same: an `i64`
//! goes into an `integer` column if it fits, `Money` into a `bigint`, a `String` into an enum. What would lose or
//! change the value is refused, in words that say what to write.

use std::error::Error;
use std::fmt::Write as _;

use bytes::{BufMut, BytesMut};
use rust_decimal::Decimal;
use rust_decimal::prelude::{FromPrimitive, ToPrimitive};
use tokio_postgres::types::{Format, IsNull, Kind, ToSql, Type as PgType};

use crate::{Type, Value};

/// A value as the driver takes it. The type it goes into is known only when it is encoded.
#[derive(Debug)]
pub(super) struct Bound<'a>(pub(super) &'a Value);

type Refused = Box<dyn Error + Sync + Send>;

impl ToSql for Bound<'_> {
    fn to_sql(&self, into: &PgType, out: &mut BytesMut) -> Result<IsNull, Refused> {
        match self.0 {
            Value::Null(_) => Ok(IsNull::Yes),
            value if *into == PgType::UNKNOWN => literal(value, out),
            value if is_foreign(value, into) => {
                out.put_slice(as_text(value).as_bytes());
                Ok(IsNull::No)
            }
            value => encode(value, into, out),
        }
    }

    // What fits is decided per value, in `to_sql`.
    fn accepts(_: &PgType) -> bool {
        true
    }

    fn to_sql_checked(&self, into: &PgType, out: &mut BytesMut) -> Result<IsNull, Refused> {
        self.to_sql(into, out)
    }

    fn encode_format(&self, into: &PgType) -> Format {
        // What the server is told no type of, it reads as it reads a literal.
        if *into == PgType::UNKNOWN || is_foreign(self.0, into) { Format::Text } else { Format::Binary }
    }
}

/// What our type is called in a cast.
pub(crate) fn called(of: Type) -> &'static str {
    match of {
        Type::Bool => "boolean",
        Type::Small => "smallint",
        Type::Int => "integer",
        Type::Big => "bigint",
        Type::Float => "double precision",
        Type::Text => "text",
        Type::Bytes => "bytea",
        Type::Uuid => "uuid",
        Type::Timestamp => "timestamptz",
        Type::Date => "date",
        Type::Json => "jsonb",
        Type::Decimal => "numeric",
    }
}

/// The server's type that is ours, and its list.
pub(super) fn native(of: Type) -> (PgType, PgType) {
    match of {
        Type::Bool => (PgType::BOOL, PgType::BOOL_ARRAY),
        Type::Small => (PgType::INT2, PgType::INT2_ARRAY),
        Type::Int => (PgType::INT4, PgType::INT4_ARRAY),
        Type::Big => (PgType::INT8, PgType::INT8_ARRAY),
        Type::Float => (PgType::FLOAT8, PgType::FLOAT8_ARRAY),
        Type::Text => (PgType::TEXT, PgType::TEXT_ARRAY),
        Type::Bytes => (PgType::BYTEA, PgType::BYTEA_ARRAY),
        Type::Uuid => (PgType::UUID, PgType::UUID_ARRAY),
        Type::Timestamp => (PgType::TIMESTAMPTZ, PgType::TIMESTAMPTZ_ARRAY),
        Type::Date => (PgType::DATE, PgType::DATE_ARRAY),
        Type::Json => (PgType::JSONB, PgType::JSONB_ARRAY),
        Type::Decimal => (PgType::NUMERIC, PgType::NUMERIC_ARRAY),
    }
}

/// Whether the server only guessed `text` for want of a better idea, where the program knows better: `select $1`.
pub(super) fn was_guessed(value: &Value, inferred: &PgType) -> bool {
    match value {
        Value::Null(_) | Value::Text(_) | Value::Json(_) | Value::Invalid(_) => false,
        Value::List(Type::Text | Type::Json, _) => false,
        Value::List(..) => *inferred == PgType::TEXT_ARRAY,
        _ => *inferred == PgType::TEXT,
    }
}

/// The type to tell the server when it cannot infer one.
pub(super) fn hint(value: &Value) -> PgType {
    let (scalar, list) = native(value.of());
    if matches!(value, Value::List(..)) { list } else { scalar }
}

/// Text for a type of which we know nothing (`inet`, `interval`, `tsquery`) goes as a literal would: as text.
fn is_foreign(value: &Value, into: &PgType) -> bool {
    matches!(value, Value::Text(_))
        && !is_text(into)
        && !is_portable(into)
        && matches!(base(into).kind(), Kind::Simple | Kind::Range(_) | Kind::Multirange(_) | Kind::Pseudo)
}

fn as_text(value: &Value) -> &str {
    match value {
        Value::Text(text) => text,
        _ => "",
    }
}

/// A domain is encoded as what it restricts.
fn base(of: &PgType) -> &PgType {
    match of.kind() {
        Kind::Domain(inner) => base(inner),
        _ => of,
    }
}

fn is_text(of: &PgType) -> bool {
    let of = base(of);
    matches!(*of, PgType::TEXT | PgType::VARCHAR | PgType::BPCHAR | PgType::NAME | PgType::UNKNOWN)
        || matches!(of.kind(), Kind::Enum(_))
        || of.name() == "citext"
}

fn is_portable(of: &PgType) -> bool {
    matches!(
        *base(of),
        PgType::BOOL
            | PgType::INT2
            | PgType::INT4
            | PgType::INT8
            | PgType::FLOAT4
            | PgType::FLOAT8
            | PgType::NUMERIC
            | PgType::BYTEA
            | PgType::UUID
            | PgType::TIMESTAMP
            | PgType::TIMESTAMPTZ
            | PgType::DATE
            | PgType::JSON
            | PgType::JSONB
    )
}

fn encode(value: &Value, into: &PgType, out: &mut BytesMut) -> Result<IsNull, Refused> {
    let into = base(into);
    match value {
        Value::Null(_) => return Ok(IsNull::Yes),
        Value::Bool(value) if *into == PgType::BOOL => return value.to_sql(into, out),
        Value::Small(number) => return integer(i64::from(*number), value, into, out),
        Value::Int(number) => return integer(i64::from(*number), value, into, out),
        Value::Big(number) => return integer(*number, value, into, out),
        Value::Float(number) => return float(*number, value, into, out),
        Value::Text(text) | Value::Json(text) if is_text(into) => out.put_slice(text.as_bytes()),
        Value::Text(text) | Value::Json(text) if *into == PgType::JSON => out.put_slice(text.as_bytes()),
        Value::Text(text) | Value::Json(text) if *into == PgType::JSONB => {
            // The version of jsonb's binary form.
            out.put_u8(1);
            out.put_slice(text.as_bytes());
        }
        Value::Bytes(bytes) if *into == PgType::BYTEA => out.put_slice(bytes),
        Value::Uuid(uuid) if *into == PgType::UUID => out.put_slice(uuid.as_bytes()),
        Value::Timestamp(moment) if matches!(*into, PgType::TIMESTAMPTZ | PgType::TIMESTAMP) => {
            // Both count microseconds from the year 2000; ours begin in 1970. Floored, as the other engine does.
            const EPOCH: i64 = 946_684_800_000_000;
            let micros = moment.as_microsecond();
            out.put_i64(micros - EPOCH);
        }
        Value::Date(date) if *into == PgType::DATE => return date.to_sql(into, out),
        Value::Decimal(number) => return decimal(number, value, into, out),
        Value::List(_, items) => return list(items, value, into, out),
        Value::Invalid(why) => return Err(why.clone().into()),
        _ => return Err(misfit(value, into)),
    }
    Ok(IsNull::No)
}

fn integer(number: i64, value: &Value, into: &PgType, out: &mut BytesMut) -> Result<IsNull, Refused> {
    let beyond = |_| -> Refused { format!("{number} does not fit into {}", into.name()).into() };
    match *into {
        PgType::INT8 => out.put_i64(number),
        PgType::INT4 => out.put_i32(i32::try_from(number).map_err(beyond)?),
        PgType::INT2 => out.put_i16(i16::try_from(number).map_err(beyond)?),
        PgType::OID => out.put_u32(u32::try_from(number).map_err(beyond)?),
        PgType::NUMERIC => return Decimal::from(number).to_sql(into, out),
        // 2^53 is the last integer that a double holds with all its neighbours.
        PgType::FLOAT8 if number.unsigned_abs() <= 1 << 53 => out.put_f64(number as f64),
        PgType::FLOAT4 if number.unsigned_abs() <= 1 << 24 => out.put_f32(number as f32),
        PgType::FLOAT8 | PgType::FLOAT4 => {
            return Err(format!("{number} cannot be held by {} without loss", into.name()).into());
        }
        _ => return Err(misfit(value, into)),
    }
    Ok(IsNull::No)
}

fn float(number: f64, value: &Value, into: &PgType, out: &mut BytesMut) -> Result<IsNull, Refused> {
    match *into {
        PgType::FLOAT8 => out.put_f64(number),
        PgType::FLOAT4 => out.put_f32(number as f32),
        PgType::NUMERIC => {
            let decimal = Decimal::from_f64(number)
                .ok_or_else(|| -> Refused { format!("{number} does not fit into numeric").into() })?;
            return decimal.to_sql(into, out);
        }
        _ => return Err(misfit(value, into)),
    }
    Ok(IsNull::No)
}

fn decimal(number: &Decimal, value: &Value, into: &PgType, out: &mut BytesMut) -> Result<IsNull, Refused> {
    match *into {
        PgType::NUMERIC => number.to_sql(into, out),
        PgType::INT8 | PgType::INT4 | PgType::INT2 if number.fract().is_zero() => match number.to_i64() {
            Some(whole) => integer(whole, value, into, out),
            None => Err(format!("{number} does not fit into {}", into.name()).into()),
        },
        _ => Err(misfit(value, into)),
    }
}

/// One dimension, from 1, as `= any($1)` and `unnest($1)` want it.
fn list(items: &[Value], value: &Value, into: &PgType, out: &mut BytesMut) -> Result<IsNull, Refused> {
    let Kind::Array(member) = into.kind() else { return Err(misfit(value, into)) };
    let too_long = |_| -> Refused { "the list is too long".into() };
    let has_null = items.iter().any(|item| matches!(item, Value::Null(_)));
    out.put_i32(i32::from(!items.is_empty()));
    out.put_i32(i32::from(has_null));
    out.put_u32(member.oid());
    if items.is_empty() {
        return Ok(IsNull::No);
    }
    out.put_i32(i32::try_from(items.len()).map_err(too_long)?);
    out.put_i32(1);
    for item in items {
        let start = out.len();
        out.put_i32(-1);
        if let IsNull::No = encode(item, member, out)? {
            let length = i32::try_from(out.len() - start - 4).map_err(too_long)?;
            out[start..start + 4].copy_from_slice(&length.to_be_bytes());
        }
    }
    Ok(IsNull::No)
}

/// As it would stand between quotes.
fn literal(value: &Value, out: &mut BytesMut) -> Result<IsNull, Refused> {
    match value {
        Value::Null(_) => return Ok(IsNull::Yes),
        Value::Bool(value) => out.put_slice(if *value { b"true" } else { b"false" }),
        Value::Small(number) => write!(out, "{number}")?,
        Value::Int(number) => write!(out, "{number}")?,
        Value::Big(number) => write!(out, "{number}")?,
        Value::Float(number) if number.is_nan() => out.put_slice(b"NaN"),
        Value::Float(number) if number.is_infinite() => {
            out.put_slice(if *number > 0.0 { b"Infinity" } else { b"-Infinity" });
        }
        Value::Float(number) => write!(out, "{number}")?,
        Value::Text(text) | Value::Json(text) => out.put_slice(text.as_bytes()),
        Value::Bytes(bytes) => {
            out.put_slice(b"\\x");
            for byte in bytes {
                write!(out, "{byte:02x}")?;
            }
        }
        Value::Uuid(uuid) => write!(out, "{uuid}")?,
        Value::Timestamp(moment) => {
            // Floored to the microsecond, as the binary form is.
            let micros = moment.as_microsecond();
            write!(out, "{}", jiff::Timestamp::from_microsecond(micros)?)?;
        }
        Value::Date(date) => write!(out, "{date}")?,
        Value::Decimal(number) => write!(out, "{number}")?,
        Value::List(_, items) => {
            out.put_u8(b'{');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.put_u8(b',');
                }
                if matches!(item, Value::Null(_)) {
                    out.put_slice(b"NULL");
                    continue;
                }
                let mut plain = BytesMut::new();
                literal(item, &mut plain)?;
                out.put_u8(b'"');
                for byte in plain {
                    if matches!(byte, b'"' | b'\\') {
                        out.put_u8(b'\\');
                    }
                    out.put_u8(byte);
                }
                out.put_u8(b'"');
            }
            out.put_u8(b'}');
        }
        Value::Invalid(why) => return Err(why.clone().into()),
    }
    Ok(IsNull::No)
}

fn misfit(value: &Value, into: &PgType) -> Refused {
    let (name, into_name) = (value.of().name(), into.name());
    let called = called(value.of());
    match value {
        Value::List(..) => {
            format!("a list of {name} does not fit into {into_name}; write `cast($n as {called}[])` if that is meant")
        }
        _ if matches!(into.kind(), Kind::Array(_)) => {
            format!("one {name} does not fit into the list {into_name}; pass a Vec")
        }
        _ => format!("{name} does not fit into {into_name}; write `cast($n as {called})` if that is meant"),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(value: &Value, into: &PgType) -> Result<Vec<u8>, String> {
        let mut out = BytesMut::new();
        Bound(value).to_sql_checked(into, &mut out).map_err(|error| error.to_string())?;
        Ok(out.to_vec())
    }

    #[test]
    fn an_integer_goes_into_any_number_that_holds_it() {
        let value = Value::Big(40_000);
        assert_eq!(encoded(&value, &PgType::INT8).unwrap(), 40_000i64.to_be_bytes());
        assert_eq!(encoded(&value, &PgType::INT4).unwrap(), 40_000i32.to_be_bytes());
        assert!(encoded(&value, &PgType::INT2).unwrap_err().contains("does not fit into int2"));
        assert!(encoded(&value, &PgType::NUMERIC).is_ok());
        assert_eq!(encoded(&value, &PgType::FLOAT8).unwrap(), 40_000f64.to_be_bytes());
        assert!(encoded(&Value::Big(i64::MAX), &PgType::FLOAT8).is_err());
        assert!(encoded(&value, &PgType::UUID).unwrap_err().contains("cast($n as bigint)"));
    }

    #[test]
    fn an_empty_list_has_no_dimension() {
        let empty = Value::List(Type::Big, Vec::new());
        let bytes = encoded(&empty, &PgType::INT8_ARRAY).unwrap();
        assert_eq!(&bytes[..4], [0; 4]);
        let one = Value::List(Type::Big, vec![Value::Null(Type::Big), Value::Big(7)]);
        let bytes = encoded(&one, &PgType::INT4_ARRAY).unwrap();
        assert_eq!(&bytes[20..24], (-1i32).to_be_bytes());
        assert_eq!(&bytes[24..], [4i32.to_be_bytes(), 7i32.to_be_bytes()].concat());
    }

    #[test]
    fn a_text_for_a_type_of_the_servers_own_goes_as_a_literal() {
        let text = Value::Text("3 days".to_owned());
        assert!(matches!(Bound(&text).encode_format(&PgType::INTERVAL), Format::Text));
        assert!(matches!(Bound(&text).encode_format(&PgType::VARCHAR), Format::Binary));
        assert!(encoded(&text, &PgType::INT8).unwrap_err().contains("String does not fit into int8"));
    }

    #[test]
    fn what_is_told_no_type_goes_as_a_literal() {
        let literal = |value: Value| String::from_utf8(encoded(&value, &PgType::UNKNOWN).unwrap()).unwrap();
        assert!(matches!(Bound(&Value::Big(1)).encode_format(&PgType::UNKNOWN), Format::Text));
        assert_eq!(literal(Value::Big(-7)), "-7");
        assert_eq!(literal(Value::Float(f64::NEG_INFINITY)), "-Infinity");
        assert_eq!(literal(Value::Bytes(vec![0, 255])), "\\x00ff");
        assert_eq!(literal(Value::Timestamp(jiff::Timestamp::UNIX_EPOCH)), "1970-01-01T00:00:00Z");
        let texts = vec![Value::Text("a\"b\\".to_owned()), Value::Null(Type::Text)];
        assert_eq!(literal(Value::List(Type::Text, texts)), "{\"a\\\"b\\\\\",NULL}");
    }

    #[test]
    fn what_the_program_could_not_write_is_refused_in_its_words() {
        let broken = Value::Invalid("Basket is no JSON: key must be a string".to_owned());
        assert!(encoded(&broken, &PgType::JSONB).unwrap_err().contains("key must be a string"));
    }
}
