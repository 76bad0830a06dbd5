//! Pages by key: the next page begins behind the last row of this one, however deep, and however many rows came or
//! went meanwhile. There is no page number and no count: both cost a walk over everything before.
//!
//! ```no_run
//! use burgeon_core::{Ctx, Money, Result};
//! use burgeon_db::keyset::{Keyset, Page};
//! use burgeon_db::sea_query::{Alias, Query};
//! use burgeon_db::{Db, Row};
//!
//! #[derive(Row)]
//! struct Product {
//!     id: i64,
//!     price: Money,
//! }
//!
//! # async fn example(db: &Db, ctx: &Ctx, cursor: Option<&str>) -> Result<Page<Product>> {
//! let mut list = Query::select();
//! list.columns([Alias::new("id"), Alias::new("price")]).from(Alias::new("catalog_product"));
//! Keyset::descending("price", |product: &Product| product.price)
//!     .then_descending("id", |product| product.id)
//!     .page("list_products", list, &db.read(ctx), cursor, 20)
//!     .await
//! # }
//! ```
//!
//! Let all columns run in one direction where you can: then an index over them, in their order, serves the list both
//! ways and finds the cursor's place at once. Where they run in different directions the index must too, and among rows
//! that are equal in the first column the place is found by walking.
//!
//! To order by an expression give it a name in an inner select and list from that:
//! `Query::select().columns(..).from_subquery(inner, Alias::new("hit"))`.
//!
//! # Invariants
//! - The order is total: the last column is unique, or rows that are equal in all columns may be left out.
//! - Columns of the order are never NULL: the engines sort NULL to different ends, and a comparison with it is neither
//!   true nor false. A page that meets one is an error, not a page with a hole.
//! - A cursor is opaque and harmless: whatever a client makes of it, it is read as values of the columns' types, or
//!   refused as [`Kind::Invalid`](burgeon_core::Kind::Invalid). One of another order is refused too.

use std::panic::Location;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use burgeon_core::{Error, Result};
use sea_query::{Alias, Condition, Expr, ExprTrait, Order, SelectStatement};
use serde_json::Value as Json;

use crate::on::On;
use crate::query::Reads;
use crate::stmt::Place;
use crate::{Engine, Param, Query, Row, Type, Value, dynamic};

/// The longest cursor that is looked at.
const LONGEST_CURSOR: usize = 4_096;

/// One page.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page begins; `None` when this is the last.
    pub next: Option<String>,
}

/// The order of a list, and how large its pages may be.
#[must_use = "an order does nothing until `page` is awaited"]
pub struct Keyset<T> {
    columns: Vec<Column<T>>,
    largest: usize,
}

struct Column<T> {
    name: &'static str,
    descends: bool,
    of: Type,
    value: Arc<dyn Fn(&T) -> Value + Send + Sync>,
}

impl<T: Row> Keyset<T> {
    /// By this column first, small to large. `table.column` where the name alone is not clear. `value` answers what a
    /// row has in it.
    pub fn ascending<P: Param>(
        column: &'static str,
        value: impl Fn(&T) -> P + Send + Sync + 'static,
    ) -> Self {
        Self { columns: Vec::new(), largest: 100 }.then(column, false, value)
    }

    /// By this column first, large to small.
    pub fn descending<P: Param>(
        column: &'static str,
        value: impl Fn(&T) -> P + Send + Sync + 'static,
    ) -> Self {
        Self { columns: Vec::new(), largest: 100 }.then(column, true, value)
    }

    /// Among equals by this column, small to large.
    pub fn then_ascending<P: Param>(
        self,
        column: &'static str,
        value: impl Fn(&T) -> P + Send + Sync + 'static,
    ) -> Self {
        self.then(column, false, value)
    }

    /// Among equals by this column, large to small.
    pub fn then_descending<P: Param>(
        self,
        column: &'static str,
        value: impl Fn(&T) -> P + Send + Sync + 'static,
    ) -> Self {
        self.then(column, true, value)
    }

    fn then<P: Param>(
        mut self,
        name: &'static str,
        descends: bool,
        value: impl Fn(&T) -> P + Send + Sync + 'static,
    ) -> Self {
        let value = Arc::new(move |row: &T| value(row).into_value());
        self.columns.push(Column { name, descends, of: P::TYPE, value });
        self
    }

    /// The largest page a client may ask for. Default 100; who asks for more gets this many.
    pub fn largest(mut self, size: usize) -> Self {
        self.largest = size.max(1);
        self
    }

    /// The page behind `cursor`, or the first one. `select` may have filters of its own, and must have no order and no
    /// limit.
    ///
    /// # Errors
    /// [`Kind::Invalid`](burgeon_core::Kind::Invalid) for a cursor that is none of this order's; whatever befell the
    /// statement.
    #[track_caller]
    pub fn page(
        &self,
        shape: &'static str,
        select: SelectStatement,
        on: &impl On<Reads>,
        cursor: Option<&str>,
        size: usize,
    ) -> impl Future<Output = Result<Page<T>>> {
        let place = Location::caller().into();
        let query = self.behind(place, shape, select, on.target().engine(), cursor, size);
        async move { self.cut(shape, query?.all(on).await?, size) }
    }

    /// The statement that [`page`](Self::page) runs, for a look at its [plan](Query::plan).
    ///
    /// # Errors
    /// As `page`.
    #[track_caller]
    pub fn query(
        &self,
        shape: &'static str,
        select: SelectStatement,
        engine: Engine,
        cursor: Option<&str>,
        size: usize,
    ) -> Result<Query<Reads>> {
        self.behind(Location::caller().into(), shape, select, engine, cursor, size)
    }

    fn behind(
        &self,
        place: Place,
        shape: &'static str,
        mut select: SelectStatement,
        engine: Engine,
        cursor: Option<&str>,
        size: usize,
    ) -> Result<Query<Reads>> {
        if let Some(cursor) = cursor {
            let types: Vec<Type> = self.columns.iter().map(|column| column.of).collect();
            select.cond_where(self.beyond(decode(cursor, self.mark(), &types)?));
        }
        for column in &self.columns {
            select.order_by_expr(named(column.name), if column.descends { Order::Desc } else { Order::Asc });
        }
        // One more than asked for says whether there is a next page.
        select.limit(self.rows(size) as u64 + 1);
        Ok(dynamic::select_at(shape, place, &select, engine))
    }

    /// The rows as a page, and where the next one begins.
    fn cut(&self, shape: &'static str, mut items: Vec<T>, size: usize) -> Result<Page<T>> {
        let size = self.rows(size);
        let more = items.len() > size;
        items.truncate(size);
        let mut last = Vec::with_capacity(self.columns.len());
        for item in &items {
            last.clear();
            last.extend(self.columns.iter().map(|column| (column.value)(item)));
            if let Some(null) = last.iter().position(|value| matches!(value, Value::Null(_))) {
                let column = self.columns[null].name;
                let why = format!(
                    "`{shape}` is ordered by `{column}`, which is NULL in a row; order by coalesce, or make it not null"
                );
                return Err(Error::internal(why));
            }
        }
        let next = if more { Some(encode(self.mark(), &last)?) } else { None };
        Ok(Page { items, next })
    }

    fn rows(&self, size: usize) -> usize {
        size.clamp(1, self.largest)
    }

    /// What lies beyond the row with these values. In one direction it is a comparison of rows, `(a, b) > ($1, $2)`;
    /// otherwise `a >= $1 and (a > $1 or (a = $1 and (b < $2 or ..)))`, whose first part says nothing new and lets an
    /// index begin at the right place, which no engine sees in an `or`.
    fn beyond(&self, values: Vec<Value>) -> Condition {
        let mut columns: Vec<(Expr, bool, Expr)> = self
            .columns
            .iter()
            .zip(values)
            .map(|(column, value)| (named(column.name), column.descends, Expr::val(dynamic::param(value))))
            .collect();
        let (first, descends, value) = columns[0].clone();
        if columns.len() > 1 && columns.iter().all(|(_, other, _)| *other == descends) {
            let (columns, values): (Vec<_>, Vec<_>) =
                columns.into_iter().map(|(column, _, value)| (column, value)).unzip();
            return Condition::all().add(beyond(Expr::tuple(columns), descends, Expr::tuple(values)));
        }
        let Some((column, descends_last, last)) = columns.pop() else { return Condition::all() };
        let mut condition = Condition::any().add(beyond(column, descends_last, last));
        if columns.is_empty() {
            return condition;
        }
        for (column, descends, value) in columns.into_iter().rev() {
            let equal = Condition::all().add(column.clone().eq(value.clone())).add(condition);
            condition = Condition::any().add(beyond(column, descends, value)).add(equal);
        }
        let begin = if descends { first.lte(value) } else { first.gte(value) };
        Condition::all().add(begin).add(condition)
    }

    /// Tells a cursor of this order from one of another: FNV-1a over the columns and their directions.
    fn mark(&self) -> u32 {
        let columns = self
            .columns
            .iter()
            .flat_map(|column| [column.name, [" up,", " down,"][usize::from(column.descends)]]);
        columns
            .flat_map(str::bytes)
            .fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
    }
}

impl<T> Clone for Keyset<T> {
    fn clone(&self) -> Self {
        let columns =
            self.columns.iter().map(|column| Column { value: Arc::clone(&column.value), ..*column });
        Self { columns: columns.collect(), largest: self.largest }
    }
}

impl<T> std::fmt::Debug for Keyset<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns: Vec<_> = self.columns.iter().map(|column| (column.name, column.descends)).collect();
        f.debug_struct("Keyset").field("columns", &columns).field("largest", &self.largest).finish()
    }
}

fn beyond(column: Expr, descends: bool, value: Expr) -> Expr {
    if descends { column.lt(value) } else { column.gt(value) }
}

fn named(column: &'static str) -> Expr {
    match column.split_once('.') {
        Some((table, column)) => Expr::col((Alias::new(table), Alias::new(column))),
        None => Expr::col(Alias::new(column)),
    }
}

/// The order's mark and the values as JSON, in base64. Their types are the columns' and need not be told.
fn encode(mark: u32, values: &[Value]) -> Result<String> {
    let plain = |value: &Value| -> Result<Json> {
        Ok(match value {
            Value::Bool(value) => Json::from(*value),
            Value::Small(value) => Json::from(*value),
            Value::Int(value) => Json::from(*value),
            Value::Big(value) => Json::from(*value),
            // By its bits: a digit lost in the text would skip a row, or show it twice.
            Value::Float(value) => Json::from(value.to_bits()),
            Value::Text(value) => Json::from(value.as_str()),
            Value::Uuid(value) => Json::from(value.to_string()),
            Value::Timestamp(value) => Json::from(value.as_microsecond()),
            Value::Date(value) => Json::from(value.to_string()),
            Value::Decimal(value) => Json::from(value.to_string()),
            other => {
                return Err(Error::internal(format!(
                    "a list cannot be ordered by a column of {}",
                    other.of().name()
                )));
            }
        })
    };
    let values: Result<Vec<_>> =
        std::iter::once(Ok(Json::from(mark))).chain(values.iter().map(plain)).collect();
    Ok(BASE64_URL_SAFE_NO_PAD.encode(Json::from(values?).to_string()))
}

fn decode(cursor: &str, mark: u32, types: &[Type]) -> Result<Vec<Value>> {
    let refused = || Error::invalid("The cursor is not valid; begin again with the first page.");
    if cursor.len() > LONGEST_CURSOR {
        return Err(refused());
    }
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).map_err(|_| refused())?;
    let values: Vec<Json> = serde_json::from_slice(&bytes).map_err(|_| refused())?;
    let Some((marked, values)) = values.split_first() else { return Err(refused()) };
    if marked.as_u64() != Some(mark.into()) || values.len() != types.len() {
        return Err(refused());
    }
    let typed = types.iter().zip(values).map(|(of, value)| {
        Some(match of {
            Type::Bool => Value::Bool(value.as_bool()?),
            Type::Small => Value::Small(value.as_i64()?.try_into().ok()?),
            Type::Int => Value::Int(value.as_i64()?.try_into().ok()?),
            Type::Big => Value::Big(value.as_i64()?),
            Type::Float => {
                Value::Float(Some(f64::from_bits(value.as_u64()?)).filter(|float| float.is_finite())?)
            }
            Type::Text => Value::Text(value.as_str().filter(|text| !text.contains('\0'))?.to_owned()),
            Type::Uuid => Value::Uuid(value.as_str()?.parse().ok()?),
            Type::Timestamp => Value::Timestamp(jiff::Timestamp::from_microsecond(value.as_i64()?).ok()?),
            Type::Date => Value::Date(value.as_str()?.parse().ok()?),
            Type::Decimal => Value::Decimal(value.as_str()?.parse().ok()?),
            Type::Bytes | Type::Json => return None,
        })
    });
    typed.collect::<Option<Vec<_>>>().ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use burgeon_core::Kind;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_comes_back_as_it_went(number: i64, text in "[^\0]*", float in -1e300f64..1e300) {
            let values = vec![Value::Big(number), Value::Text(text), Value::Float(float)];
            let cursor = encode(7, &values).unwrap();
            prop_assert_eq!(decode(&cursor, 7, &[Type::Big, Type::Text, Type::Float]).unwrap(), values);
        }

        #[test]
        fn anything_else_is_refused_and_breaks_nothing(cursor in "\\PC*") {
            if let Err(error) = decode(&cursor, 7, &[Type::Big]) {
                prop_assert_eq!(error.kind(), Kind::Invalid);
            }
        }
    }

    #[test]
    fn a_cursor_of_another_list_is_refused() {
        let cursor = encode(7, &[Value::Text("a".to_owned())]).unwrap();
        assert!(decode(&cursor, 7, &[Type::Text]).is_ok());
        assert_eq!(decode(&cursor, 8, &[Type::Text]).unwrap_err().kind(), Kind::Invalid);
        assert_eq!(decode(&cursor, 7, &[Type::Big]).unwrap_err().kind(), Kind::Invalid);
        assert!(decode(&cursor, 7, &[Type::Text, Type::Text]).is_err());
        assert!(decode(&"A".repeat(LONGEST_CURSOR + 1), 7, &[Type::Text]).is_err());
    }
}
