//! Values on their way into a statement.

use burgeon_core::Money;
use jiff::Timestamp;
use jiff::civil::Date;
use rust_decimal::Decimal;
use uuid::Uuid;

/// The types that mean the same on both engines.
///
/// | Rust | SQLite (STRICT tables) | Postgres |
/// |---|---|---|
/// | `bool` | INTEGER 0 or 1 | `boolean` |
/// | `i16` `i32` `i64` | INTEGER | `smallint` `integer` `bigint` |
/// | `f64` | REAL | `double precision` |
/// | `String` | TEXT | `text` |
/// | `Vec<u8>` | BLOB | `bytea` |
/// | [`Uuid`] | BLOB of 16 bytes | `uuid` |
/// | [`Timestamp`] | INTEGER, microseconds since 1970 UTC | `timestamptz` |
/// | [`Date`] | TEXT `2026-11-21` | `date` |
/// | [`Json<T>`](crate::Json) | TEXT | `jsonb` (or `json`) |
/// | [`Decimal`] | TEXT, without order or arithmetic in SQL | `numeric` |
/// | [`Money`] | INTEGER, ten-thousandths | `bigint` |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Type {
    /// `bool`.
    Bool,
    /// `i16`.
    Small,
    /// `i32`.
    Int,
    /// `i64`, [`Money`] and most ids.
    Big,
    /// `f64`.
    Float,
    /// `String`.
    Text,
    /// `Vec<u8>`.
    Bytes,
    /// [`Uuid`].
    Uuid,
    /// [`Timestamp`], to the microsecond.
    Timestamp,
    /// [`Date`].
    Date,
    /// [`Json<T>`](crate::Json).
    Json,
    /// [`Decimal`].
    Decimal,
}

impl Type {
    /// How it is called in messages: the Rust type a reader would write.
    pub const fn name(self) -> &'static str {
        match self {
            Type::Bool => "bool",
            Type::Small => "i16",
            Type::Int => "i32",
            Type::Big => "i64",
            Type::Float => "f64",
            Type::Text => "String",
            Type::Bytes => "Vec<u8>",
            Type::Uuid => "Uuid",
            Type::Timestamp => "Timestamp",
            Type::Date => "Date",
            Type::Json => "Json",
            Type::Decimal => "Decimal",
        }
    }
}

/// One parameter, owned, so that it can travel to the engine.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// SQL's NULL, which still knows what it is a missing one of.
    Null(Type),
    /// `bool`.
    Bool(bool),
    /// `i16`.
    Small(i16),
    /// `i32`.
    Int(i32),
    /// `i64`.
    Big(i64),
    /// `f64`.
    Float(f64),
    /// `String`.
    Text(String),
    /// `Vec<u8>`.
    Bytes(Vec<u8>),
    /// [`Uuid`].
    Uuid(Uuid),
    /// [`Timestamp`]; what is below a microsecond is dropped.
    Timestamp(Timestamp),
    /// [`Date`].
    Date(Date),
    /// A JSON document as text.
    Json(String),
    /// [`Decimal`].
    Decimal(Decimal),
    /// A list, for `= any($n)`. Its items are of one type.
    List(Type, Vec<Value>),
    /// What could not be written as a value: the statement is refused with this sentence before it is sent.
    Invalid(String),
}

impl Value {
    /// Its type; a list answers with the type of its items.
    pub const fn of(&self) -> Type {
        match self {
            Value::Null(of) | Value::List(of, _) => *of,
            Value::Bool(_) => Type::Bool,
            Value::Small(_) => Type::Small,
            Value::Int(_) => Type::Int,
            Value::Big(_) => Type::Big,
            Value::Float(_) => Type::Float,
            Value::Text(_) | Value::Invalid(_) => Type::Text,
            Value::Bytes(_) => Type::Bytes,
            Value::Uuid(_) => Type::Uuid,
            Value::Timestamp(_) => Type::Timestamp,
            Value::Date(_) => Type::Date,
            Value::Json(_) => Type::Json,
            Value::Decimal(_) => Type::Decimal,
        }
    }
}

/// What may be a parameter of a statement.
///
/// Values are moved into the statement; write `&name` to keep a `String`. A newtype gets it from
/// [`newtype!`](crate::newtype), an enum of names from [`text_enum!`](crate::text_enum).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a parameter of a statement",
    note = "portable types are bool, i16, i32, i64, f64, String, Vec<u8>, Uuid, Timestamp, Date, Json<T>, Money, Decimal, Option of them and lists of them",
    note = "for a newtype write `burgeon_db::newtype!(Name(i64))`, for an enum stored by name `burgeon_db::text_enum!(Name)`"
)]
pub trait Param {
    /// The type the engine is told, also when the value is missing.
    const TYPE: Type;

    /// The value itself.
    fn into_value(self) -> Value;
}

/// What may stand in a list parameter: everything that is a [`Param`] but lists and `Option`s. A NULL in a list would
/// match nothing with `= any` and everything's absence with `<> all`.
pub trait Item: Param {}

macro_rules! params {
    ($($rust:ty => $type:ident($self:ident) $value:expr;)*) => {$(
        impl Param for $rust {
            const TYPE: Type = Type::$type;

            fn into_value($self) -> Value {
                $value
            }
        }

        impl Item for $rust {}
    )*};
}

params! {
    bool => Bool(self) Value::Bool(self);
    i16 => Small(self) Value::Small(self);
    i32 => Int(self) Value::Int(self);
    i64 => Big(self) Value::Big(self);
    f64 => Float(self) Value::Float(self);
    String => Text(self) Value::Text(self);
    &str => Text(self) Value::Text(self.to_owned());
    Uuid => Uuid(self) Value::Uuid(self);
    Timestamp => Timestamp(self) Value::Timestamp(self);
    Date => Date(self) Value::Date(self);
    Money => Big(self) Value::Big(self.raw());
    Decimal => Decimal(self) Value::Decimal(self);
}

impl Param for Vec<u8> {
    const TYPE: Type = Type::Bytes;

    fn into_value(self) -> Value {
        Value::Bytes(self)
    }
}

impl Item for Vec<u8> {}

impl Param for &[u8] {
    const TYPE: Type = Type::Bytes;

    fn into_value(self) -> Value {
        Value::Bytes(self.to_vec())
    }
}

impl Param for std::borrow::Cow<'_, str> {
    const TYPE: Type = Type::Text;

    fn into_value(self) -> Value {
        Value::Text(self.into_owned())
    }
}

/// So that `&name` and `&self.id` keep what they name.
impl<T: Param + Clone> Param for &T {
    const TYPE: Type = T::TYPE;

    fn into_value(self) -> Value {
        self.clone().into_value()
    }
}

impl<T: Item + Clone> Item for &T {}

impl<T: Param> Param for Option<T> {
    const TYPE: Type = T::TYPE;

    fn into_value(self) -> Value {
        self.map_or(Value::Null(T::TYPE), T::into_value)
    }
}

impl<T: Item> Param for Vec<T> {
    const TYPE: Type = T::TYPE;

    fn into_value(self) -> Value {
        list(self)
    }
}

impl<T: Item + Clone> Param for &[T] {
    const TYPE: Type = T::TYPE;

    fn into_value(self) -> Value {
        list(self.iter().cloned())
    }
}

impl<T: Item, const N: usize> Param for [T; N] {
    const TYPE: Type = T::TYPE;

    fn into_value(self) -> Value {
        list(self)
    }
}

fn list<T: Item>(items: impl IntoIterator<Item = T>) -> Value {
    Value::List(T::TYPE, items.into_iter().map(T::into_value).collect())
}

impl Param for Value {
    /// A value in hand knows its own type; this one is for a list of none.
    const TYPE: Type = Type::Text;

    fn into_value(self) -> Value {
        self
    }
}
