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
//! Keyset::descending("price").then_ascending("id")
//!     .page("list_products", list, db, &db.read(ctx), cursor, 20, |product: &Product| (product.price, product.id))
//!     .await
//! # }
//! ```
//!
//! # Invariants
//! - The order is total: the last column is unique, or rows that are equal in all columns may be left out.
//! - Columns of the order are never NULL: the engines sort NULL to different ends, and a comparison with it is neither
//!   true nor false. A page that meets one is an error, not a page with a hole.
//! - A cursor is opaque and harmless: whatever a client makes of it, it is read as values of the columns' types, or
//!   refused as [`Kind::Invalid`](burgeon_core::Kind::Invalid).

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use burgeon_core::{Error, Result};
use sea_query::{Alias, Condition, Expr, ExprTrait, Order, SelectStatement};
use serde_json::Value as Json;

use crate::bulk::Record;
use crate::on::On;
use crate::query::Reads;
use crate::{Db, Row, Type, Value, dynamic};

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
#[derive(Debug, Clone)]
#[must_use = "an order does nothing until `page` is awaited"]
pub struct Keyset {
    columns: Vec<(&'static str, bool)>,
    largest: usize,
}

impl Keyset {
    /// By this column first, small to large. `table.column` where the name alone is not clear.
    pub fn ascending(column: &'static str) -> Self {
        Self { columns: vec![(column, false)], largest: 100 }
    }

    /// By this column first, large to small.
    pub fn descending(column: &'static str) -> Self {
        Self { columns: vec![(column, true)], largest: 100 }
    }

    /// Among equals by this column, small to large.
    pub fn then_ascending(mut self, column: &'static str) -> Self {
        self.columns.push((column, false));
        self
    }

    /// Among equals by this column, large to small.
    pub fn then_descending(mut self, column: &'static str) -> Self {
        self.columns.push((column, true));
        self
    }

    /// The largest page a client may ask for. Default 100; who asks for more gets this many.
    pub fn largest(mut self, size: usize) -> Self {
        self.largest = size.max(1);
        self
    }

    /// The page behind `cursor`, or the first one. `key` answers a row's values of the order's columns, in their order,
    /// as a tuple; `select` may have filters of its own, and must have no order and no limit.
    ///
    /// # Errors
    /// [`Kind::Invalid`](burgeon_core::Kind::Invalid) for a cursor that is none of ours; whatever befell the statement.
    #[expect(
        clippy::too_many_arguments,
        reason = "a list is all of these, and a builder would only spell them longer"
    )]
    pub async fn page<T: Row, K: Record>(
        &self,
        shape: &'static str,
        mut select: SelectStatement,
        db: &Db,
        on: &impl On<Reads>,
        cursor: Option<&str>,
        size: usize,
        key: impl Fn(&T) -> K,
    ) -> Result<Page<T>> {
        if K::TYPES.len() != self.columns.len() {
            let why = format!(
                "the order of `{shape}` has {} columns, its key {}",
                self.columns.len(),
                K::TYPES.len()
            );
            return Err(Error::internal(why));
        }
        if let Some(cursor) = cursor {
            select.cond_where(self.behind(decode(cursor, K::TYPES)?));
        }
        for (column, descending) in &self.columns {
            select.order_by_expr(named(column), if *descending { Order::Desc } else { Order::Asc });
        }
        let size = size.clamp(1, self.largest);
        // One more than asked for says whether there is a next page.
        select.limit(size as u64 + 1);
        let mut items: Vec<T> = dynamic::select(shape, &select, db.engine()).all(on).await?;
        let more = items.len() > size;
        items.truncate(size);
        let mut last = Vec::with_capacity(K::TYPES.len());
        for item in &items {
            last.clear();
            key(item).into_values(&mut last);
            if let Some(null) = last.iter().position(|value| matches!(value, Value::Null(_))) {
                let column = self.columns[null].0;
                let why = format!(
                    "`{shape}` is ordered by `{column}`, which is NULL in a row; order by coalesce, or make it not null"
                );
                return Err(Error::internal(why));
            }
        }
        let next = if more { Some(encode(&last)?) } else { None };
        Ok(Page { items, next })
    }

    /// `a > $1 or (a = $1 and (b > $2 or ..))`, with `<` where the order descends.
    fn behind(&self, values: Vec<Value>) -> Condition {
        let mut condition: Option<Condition> = None;
        for ((column, descending), value) in self.columns.iter().zip(values).rev() {
            let value = dynamic::param(value);
            let beyond =
                if *descending { named(column).lt(value.clone()) } else { named(column).gt(value.clone()) };
            let here = Condition::any().add(beyond);
            condition = Some(match condition {
                None => here,
                Some(rest) => here.add(Condition::all().add(named(column).eq(value)).add(rest)),
            });
        }
        condition.unwrap_or_else(Condition::all)
    }
}

fn named(column: &'static str) -> Expr {
    match column.split_once('.') {
        Some((table, column)) => Expr::col((Alias::new(table), Alias::new(column))),
        None => Expr::col(Alias::new(column)),
    }
}

/// The values as JSON, in base64. Their types are the columns' and need not be told.
fn encode(values: &[Value]) -> Result<String> {
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
    let values: Result<Vec<_>> = values.iter().map(plain).collect();
    Ok(BASE64_URL_SAFE_NO_PAD.encode(Json::from(values?).to_string()))
}

fn decode(cursor: &str, types: &[Type]) -> Result<Vec<Value>> {
    let refused = || Error::invalid("The cursor is not valid; begin again with the first page.");
    if cursor.len() > LONGEST_CURSOR {
        return Err(refused());
    }
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).map_err(|_| refused())?;
    let values: Vec<Json> = serde_json::from_slice(&bytes).map_err(|_| refused())?;
    if values.len() != types.len() {
        return Err(refused());
    }
    let typed = types.iter().zip(&values).map(|(of, value)| {
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
            let cursor = encode(&values).unwrap();
            prop_assert_eq!(decode(&cursor, &[Type::Big, Type::Text, Type::Float]).unwrap(), values);
        }

        #[test]
        fn anything_else_is_refused_and_breaks_nothing(cursor in "\\PC*") {
            if let Err(error) = decode(&cursor, &[Type::Big]) {
                prop_assert_eq!(error.kind(), Kind::Invalid);
            }
        }
    }

    #[test]
    fn a_cursor_of_another_list_is_refused() {
        let cursor = encode(&[Value::Text("a".to_owned())]).unwrap();
        assert_eq!(decode(&cursor, &[Type::Big]).unwrap_err().kind(), Kind::Invalid);
        assert!(decode(&cursor, &[Type::Text, Type::Text]).is_err());
        assert!(decode(&"A".repeat(LONGEST_CURSOR + 1), &[Type::Text]).is_err());
    }
}
