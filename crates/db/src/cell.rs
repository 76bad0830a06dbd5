//! One value on its way out of a result, from either engine.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use rusqlite::types::ValueRef;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use tokio_postgres::types::{FromSql, Kind, Type as PgType};
use uuid::Uuid;

use crate::Type;

/// One value of one row, still in the engine's memory. [`Column`](crate::Column) takes it from here.
#[derive(Clone, Copy)]
pub struct Cell<'a>(Inner<'a>);

#[derive(Clone, Copy)]
enum Inner<'a> {
    Sqlite(ValueRef<'a>),
    Postgres(&'a PgType, Option<&'a [u8]>),
}

/// Why a value could not be read as what the program asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mismatch {
    /// NULL, and the Rust type is no `Option`.
    Null,
    /// Another type than asked for.
    Type {
        /// What the program asked for.
        wanted: Type,
        /// What the engine holds.
        found: String,
    },
    /// The right type, and a value that cannot be: out of range, not a UUID, an unknown name.
    Value(String),
    /// The result has no column of this name; what it has instead.
    Missing(&'static str, String),
    /// The result has another number of columns than the tuple.
    Count(usize, usize),
}

impl Mismatch {
    /// A value that cannot be; the words follow "cannot be read".
    pub fn value(why: impl Into<String>) -> Self {
        Mismatch::Value(why.into())
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mismatch::Null => f.write_str("is NULL, and the field is no Option"),
            Mismatch::Type { wanted, found } => {
                write!(f, "holds {found}, and the field wants {}", wanted.name())
            }
            Mismatch::Value(why) => write!(f, "cannot be read {why}"),
            Mismatch::Missing(name, has) => write!(f, "the result has no column `{name}`; it has {has}"),
            Mismatch::Count(wanted, has) => {
                write!(f, "the row wants {wanted} columns by position, and the result has {has}")
            }
        }
    }
}

impl std::error::Error for Mismatch {}

macro_rules! integers {
    ($($(#[$doc:meta])* $name:ident -> $rust:ty as $type:ident;)*) => {$(
        $(#[$doc])*
        #[inline]
        pub fn $name(self) -> Result<$rust, Mismatch> {
            match self.0 {
                Inner::Sqlite(ValueRef::Integer(raw)) => <$rust>::try_from(raw)
                    .map_err(|_| Mismatch::value(concat!("as ", stringify!($rust), ": out of range"))),
                Inner::Postgres(of, Some(raw)) => self.postgres::<$rust>(of, raw, Type::$type),
                _ => Err(self.refuse(Type::$type)),
            }
        }
    )*};
}

impl<'a> Cell<'a> {
    pub(crate) fn sqlite(value: ValueRef<'a>) -> Self {
        Self(Inner::Sqlite(value))
    }

    pub(crate) fn of_postgres(of: &'a PgType, raw: Option<&'a [u8]>) -> Self {
        Self(Inner::Postgres(base(of), raw))
    }

    /// Whether it is NULL.
    #[inline]
    pub fn is_null(self) -> bool {
        matches!(self.0, Inner::Sqlite(ValueRef::Null) | Inner::Postgres(_, None))
    }

    integers! {
        /// As `i16`.
        i16 -> i16 as Small;
        /// As `i32`.
        i32 -> i32 as Int;
    }

    /// As `i64`. On Postgres the smaller integers widen, as they do on SQLite.
    #[inline]
    pub fn i64(self) -> Result<i64, Mismatch> {
        match self.0 {
            Inner::Sqlite(ValueRef::Integer(raw)) => Ok(raw),
            Inner::Postgres(of, Some(raw)) if *of == PgType::INT4 => {
                self.postgres::<i32>(of, raw, Type::Big).map(i64::from)
            }
            Inner::Postgres(of, Some(raw)) if *of == PgType::INT2 => {
                self.postgres::<i16>(of, raw, Type::Big).map(i64::from)
            }
            // `sum` over bigint is numeric, as it could not overflow; what fits is a whole number all the same.
            Inner::Postgres(of, Some(raw)) if *of == PgType::NUMERIC => {
                let number = self.postgres::<Decimal>(of, raw, Type::Big)?;
                let whole = if number.fract().is_zero() { number.to_i64() } else { None };
                whole.ok_or_else(|| Mismatch::value(format!("as i64: {number} is none")))
            }
            Inner::Postgres(of, Some(raw)) => self.postgres::<i64>(of, raw, Type::Big),
            Inner::Sqlite(_) | Inner::Postgres(_, None) => Err(self.refuse(Type::Big)),
        }
    }

    /// As `bool`.
    #[inline]
    pub fn bool(self) -> Result<bool, Mismatch> {
        match self.0 {
            Inner::Sqlite(ValueRef::Integer(0)) => Ok(false),
            Inner::Sqlite(ValueRef::Integer(1)) => Ok(true),
            Inner::Sqlite(ValueRef::Integer(raw)) => {
                Err(Mismatch::value(format!("as bool: {raw} is neither 0 nor 1")))
            }
            Inner::Postgres(of, Some(raw)) => self.postgres::<bool>(of, raw, Type::Bool),
            _ => Err(self.refuse(Type::Bool)),
        }
    }

    /// As `f64`.
    #[inline]
    pub fn f64(self) -> Result<f64, Mismatch> {
        match self.0 {
            Inner::Sqlite(ValueRef::Real(raw)) => Ok(raw),
            // An expression such as `sum(x)` over no fractions yields an integer on SQLite.
            Inner::Sqlite(ValueRef::Integer(raw)) => Ok(raw as f64),
            Inner::Postgres(of, Some(raw)) if *of == PgType::FLOAT4 => {
                self.postgres::<f32>(of, raw, Type::Float).map(f64::from)
            }
            Inner::Postgres(of, Some(raw)) => self.postgres::<f64>(of, raw, Type::Float),
            _ => Err(self.refuse(Type::Float)),
        }
    }

    /// As text.
    #[inline]
    pub fn text(self) -> Result<&'a str, Mismatch> {
        match self.0 {
            Inner::Sqlite(ValueRef::Text(raw)) => {
                std::str::from_utf8(raw).map_err(|_| Mismatch::value("as text: it is not UTF-8"))
            }
            // The binary form of an enum is its label.
            Inner::Postgres(of, Some(raw)) if matches!(of.kind(), Kind::Enum(_)) => {
                self.postgres::<&str>(&PgType::TEXT, raw, Type::Text)
            }
            Inner::Postgres(of, Some(raw)) => self.postgres::<&str>(of, raw, Type::Text),
            _ => Err(self.refuse(Type::Text)),
        }
    }

    /// As bytes.
    #[inline]
    pub fn bytes(self) -> Result<&'a [u8], Mismatch> {
        match self.0 {
            Inner::Sqlite(ValueRef::Blob(raw)) => Ok(raw),
            Inner::Postgres(of, Some(raw)) => self.postgres::<&[u8]>(of, raw, Type::Bytes),
            _ => Err(self.refuse(Type::Bytes)),
        }
    }

    /// As a UUID.
    pub fn uuid(self) -> Result<Uuid, Mismatch> {
        match self.0 {
            Inner::Sqlite(ValueRef::Blob(raw)) => Uuid::from_slice(raw)
                .map_err(|_| Mismatch::value(format!("as Uuid: {} bytes, not 16", raw.len()))),
            Inner::Postgres(of, Some(raw)) => self.postgres::<Uuid>(of, raw, Type::Uuid),
            _ => Err(self.refuse(Type::Uuid)),
        }
    }

    /// As a moment.
    pub fn timestamp(self) -> Result<Timestamp, Mismatch> {
        match self.0 {
            Inner::Sqlite(ValueRef::Integer(micros)) => Timestamp::from_microsecond(micros)
                .map_err(|_| Mismatch::value(format!("as Timestamp: {micros} microseconds is out of range"))),
            Inner::Postgres(of, Some(raw)) => self.postgres::<Timestamp>(of, raw, Type::Timestamp),
            _ => Err(self.refuse(Type::Timestamp)),
        }
    }

    /// As a day.
    pub fn date(self) -> Result<Date, Mismatch> {
        match self.0 {
            Inner::Sqlite(ValueRef::Text(_)) => {
                let text = self.text()?;
                text.parse()
                    .map_err(|_| Mismatch::value(format!("as Date: `{text}` is no day such as 2026-11-21")))
            }
            Inner::Postgres(of, Some(raw)) => self.postgres::<Date>(of, raw, Type::Date),
            _ => Err(self.refuse(Type::Date)),
        }
    }

    /// As a decimal number.
    pub fn decimal(self) -> Result<Decimal, Mismatch> {
        match self.0 {
            Inner::Sqlite(ValueRef::Text(_)) => {
                let text = self.text()?;
                text.parse()
                    .map_err(|_| Mismatch::value(format!("as Decimal: `{text}` is no decimal number")))
            }
            // `sum` over decimals has no portable meaning, but `0` and `count` do.
            Inner::Sqlite(ValueRef::Integer(raw)) => Ok(Decimal::from(raw)),
            Inner::Postgres(of, Some(raw)) => self.postgres::<Decimal>(of, raw, Type::Decimal),
            _ => Err(self.refuse(Type::Decimal)),
        }
    }

    /// As the text of a JSON document.
    pub fn json(self) -> Result<&'a [u8], Mismatch> {
        match self.0 {
            Inner::Sqlite(ValueRef::Text(raw)) => Ok(raw),
            // The binary form of jsonb is a version byte, 1 so far, and the text.
            Inner::Postgres(of, Some([1, raw @ ..])) if *of == PgType::JSONB => Ok(raw),
            Inner::Postgres(of, Some(raw)) if *of == PgType::JSON => Ok(raw),
            _ => Err(self.refuse(Type::Json)),
        }
    }

    fn postgres<T: FromSql<'a>>(self, of: &PgType, raw: &'a [u8], wanted: Type) -> Result<T, Mismatch> {
        if !T::accepts(of) {
            return Err(self.refuse(wanted));
        }
        T::from_sql(of, raw).map_err(|error| Mismatch::value(format!("as {}: {error}", wanted.name())))
    }

    fn refuse(self, wanted: Type) -> Mismatch {
        if self.is_null() {
            return Mismatch::Null;
        }
        let found = match self.0 {
            Inner::Sqlite(value) => value.data_type().to_string().to_uppercase(),
            Inner::Postgres(of, _) => of.name().to_owned(),
        };
        Mismatch::Type { wanted, found }
    }
}

/// A domain reads as what it restricts.
#[inline]
fn base(of: &PgType) -> &PgType {
    match of.kind() {
        Kind::Domain(inner) => base(inner),
        _ => of,
    }
}
