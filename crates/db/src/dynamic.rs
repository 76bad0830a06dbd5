//! Statements whose shape is known only at run time: lists with filters, built with [`sea_query`].
//!
//! What this is: the way from a builder's statement to a [`Query`]. What it is not: a way around names: a shape has one,
//! given in the source, and all its variants share it in meters and messages. Their texts differ, so each connection
//! prepares them anew until it knows them; it keeps the last 256 and forgets the rest, so ten thousand filters cost time
//! and never memory.
//!
//! Values are always parameters. Avoid `is_in` over long lists: each length is a text of its own; `= any($1)` with a
//! list in [`sql!`](crate::sql) is one.
//!
//! ```no_run
//! use burgeon_core::{Ctx, Money, Result};
//! use burgeon_db::sea_query::{Alias, Expr, ExprTrait, Query};
//! use burgeon_db::{Db, dynamic};
//!
//! # async fn example(db: &Db, ctx: &Ctx, cheaper_than: Option<Money>, named: Option<String>) -> Result<Vec<(i64, String)>> {
//! let mut list = Query::select();
//! list.columns([Alias::new("id"), Alias::new("name")]).from(Alias::new("catalog_product"));
//! if let Some(price) = cheaper_than {
//!     list.and_where(Expr::col(Alias::new("price")).lt(dynamic::param(price)));
//! }
//! if let Some(name) = named {
//!     list.and_where(Expr::col(Alias::new("name")).eq(name));
//! }
//! dynamic::select("list_products", &list, db.engine()).all(&db.read(ctx)).await
//! # }
//! ```

use std::panic::Location;
use std::sync::Arc;

use sea_query::{PostgresQueryBuilder, QueryStatementWriter, SelectStatement, SqliteQueryBuilder};

use crate::query::{Reads, Writes};
use crate::stmt::{Class, Dynamic, Place};
use crate::{Engine, Param, Query, Type, Value};

/// A `select` under the name of its shape. One that takes locks goes through [`write()`].
#[track_caller]
pub fn select(shape: &'static str, statement: &SelectStatement, engine: Engine) -> Query<Reads> {
    select_at(shape, Location::caller().into(), statement, engine)
}

/// As [`select`], under the place of whoever asked for it.
pub(crate) fn select_at(
    shape: &'static str,
    place: Place,
    statement: &SelectStatement,
    engine: Engine,
) -> Query<Reads> {
    let (dynamic, params) = built(shape, place, statement, engine, Class::Read);
    Query::dynamic(dynamic, params)
}

/// An `insert`, `update`, `delete`, or a `select .. for update`, under the name of its shape.
#[track_caller]
pub fn write(shape: &'static str, statement: &impl QueryStatementWriter, engine: Engine) -> Query<Writes> {
    let (dynamic, params) = built(shape, Location::caller().into(), statement, engine, Class::Write);
    Query::dynamic(dynamic, params)
}

/// A parameter of ours as a value of the builder: `Money`, ids and other newtypes, `Json`.
pub fn param(value: impl Param) -> sea_query::Value {
    from_ours(value.into_value())
}

fn built(
    name: &'static str,
    place: Place,
    statement: &impl QueryStatementWriter,
    engine: Engine,
    class: Class,
) -> (Arc<Dynamic>, Vec<Value>) {
    let (sql, values) = match engine {
        Engine::Sqlite => statement.build_any(&SqliteQueryBuilder),
        Engine::Postgres => statement.build_any(&PostgresQueryBuilder),
    };
    (Arc::new(Dynamic { name, place, sql, class }), values.0.into_iter().map(from_theirs).collect())
}

fn from_ours(value: Value) -> sea_query::Value {
    use sea_query::Value as Theirs;
    match value {
        Value::Null(of) => match of {
            Type::Bool => Theirs::Bool(None),
            Type::Small => Theirs::SmallInt(None),
            Type::Int => Theirs::Int(None),
            Type::Big => Theirs::BigInt(None),
            Type::Float => Theirs::Double(None),
            Type::Text => Theirs::String(None),
            Type::Bytes => Theirs::Bytes(None),
            Type::Uuid => Theirs::Uuid(None),
            Type::Timestamp => Theirs::JiffTimestamp(None),
            Type::Date => Theirs::JiffDate(None),
            Type::Json => Theirs::Json(None),
            Type::Decimal => Theirs::Decimal(None),
        },
        Value::Bool(value) => Theirs::Bool(Some(value)),
        Value::Small(value) => Theirs::SmallInt(Some(value)),
        Value::Int(value) => Theirs::Int(Some(value)),
        Value::Big(value) => Theirs::BigInt(Some(value)),
        Value::Float(value) => Theirs::Double(Some(value)),
        Value::Text(value) => Theirs::String(Some(value)),
        Value::Bytes(value) => Theirs::Bytes(Some(value)),
        Value::Uuid(value) => Theirs::Uuid(Some(value)),
        Value::Timestamp(value) => Theirs::JiffTimestamp(Some(Box::new(value))),
        Value::Date(value) => Theirs::JiffDate(Some(value)),
        Value::Decimal(value) => Theirs::Decimal(Some(value)),
        Value::Json(text) => Theirs::Json(serde_json::from_str(&text).ok().map(Box::new)),
        // A character that no text may hold on either engine, so that it is refused when it comes back, by name.
        Value::List(..) => Theirs::Char(Some('\0')),
        Value::Invalid(why) => Theirs::Enum(sea_query::OptionEnum::Some(Box::new(sea_query::Enum {
            type_name: INVALID.into(),
            value: why.into(),
        }))),
    }
}

/// Marks what [`from_ours`] could not express, on its way back through [`from_theirs`].
const INVALID: &str = "burgeon: not a value";

fn from_theirs(value: sea_query::Value) -> Value {
    use sea_query::Value as Theirs;
    fn or_null<T>(value: Option<T>, of: Type, some: impl FnOnce(T) -> Value) -> Value {
        value.map_or(Value::Null(of), some)
    }
    let big = |number: Option<u64>| match number.map(i64::try_from) {
        Some(Ok(number)) => Value::Big(number),
        Some(Err(_)) => Value::Invalid("an unsigned number is beyond i64".to_owned()),
        None => Value::Null(Type::Big),
    };
    match value {
        Theirs::Bool(value) => or_null(value, Type::Bool, Value::Bool),
        Theirs::TinyInt(value) => or_null(value, Type::Small, |value| Value::Small(value.into())),
        Theirs::SmallInt(value) => or_null(value, Type::Small, Value::Small),
        Theirs::Int(value) => or_null(value, Type::Int, Value::Int),
        Theirs::BigInt(value) => or_null(value, Type::Big, Value::Big),
        Theirs::TinyUnsigned(value) => or_null(value, Type::Small, |value| Value::Small(value.into())),
        Theirs::SmallUnsigned(value) => or_null(value, Type::Int, |value| Value::Int(value.into())),
        Theirs::Unsigned(value) => big(value.map(u64::from)),
        Theirs::BigUnsigned(value) => big(value),
        Theirs::Float(value) => or_null(value, Type::Float, |value| Value::Float(value.into())),
        Theirs::Double(value) => or_null(value, Type::Float, Value::Float),
        Theirs::String(value) => or_null(value, Type::Text, Value::Text),
        Theirs::Char(Some('\0')) => Value::Invalid(
            "a list cannot be a parameter of the query builder; use sql! with any($1)".to_owned(),
        ),
        Theirs::Char(value) => or_null(value, Type::Text, |value| Value::Text(value.into())),
        Theirs::Enum(sea_query::OptionEnum::Some(value)) if &*value.type_name == INVALID => {
            Value::Invalid(value.value.into_owned())
        }
        Theirs::Enum(sea_query::OptionEnum::Some(value)) => Value::Text(value.value.into_owned()),
        Theirs::Enum(sea_query::OptionEnum::None(_)) => Value::Null(Type::Text),
        Theirs::Bytes(value) => or_null(value, Type::Bytes, Value::Bytes),
        Theirs::Json(value) => or_null(value, Type::Json, |value| Value::Json(value.to_string())),
        Theirs::JiffDate(value) => or_null(value, Type::Date, Value::Date),
        Theirs::JiffTimestamp(value) => or_null(value, Type::Timestamp, |value| Value::Timestamp(*value)),
        Theirs::Uuid(value) => or_null(value, Type::Uuid, Value::Uuid),
        Theirs::Decimal(value) => or_null(value, Type::Decimal, Value::Decimal),
        other => Value::Invalid(format!("{other:?} is of no type that both engines know")),
    }
}
