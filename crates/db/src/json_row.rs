//! Rows that are read as JSON: for lists that go out as they come in.
//!
//! What this is: a row type that *is* the text of its JSON object, written from the engine's memory column by column,
//! with no struct, no `String` per field and no tree of values in between. It reads as every [`Row`](crate::Row) does,
//! on both engines, in transactions, streams and pages, and says what serde would write for a struct of the same
//! fields; a document in a JSON column goes as it is stored. What it is not: for rows the program looks into; derive `Row` for those.

use burgeon_core::Result;
use serde::Serialize;

use crate::row::Unreadable;
use crate::{Column, RowView};

/// A row type whose values are JSON objects. Fields are found by name and written in this order.
///
/// ```no_run
/// # use burgeon_core::{Ctx, Money, Result};
/// # use burgeon_db::{Db, json_array, json_row, sql};
/// json_row! {
///     /// A product as the list shows it.
///     pub ProductJson { id: i64, name: String, price: Money, note: Option<String> }
/// }
///
/// # async fn example(db: &Db, ctx: &Ctx) -> Result<String> {
/// let list = sql!("list_products", "select id, name, price, note from product order by id limit 100");
/// Ok(json_array(&list.all::<ProductJson>(&db.read(ctx)).await?))
/// # }
/// ```
#[macro_export]
macro_rules! json_row {
    ($(#[$meta:meta])* $vis:vis $name:ident { $($field:ident: $of:ty),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        $vis struct $name(::std::string::String);

        impl ::core::convert::AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl $crate::Row for $name {
            type Layout = [usize; [$(::core::stringify!($field)),+].len()];

            fn layout(
                columns: &$crate::Columns<'_>,
            ) -> ::core::result::Result<Self::Layout, $crate::Mismatch> {
                let mut likely = 0..;
                ::core::result::Result::Ok([$(
                    columns.find(::core::stringify!($field), likely.next().unwrap_or(0))?
                ),+])
            }

            fn read(
                row: &$crate::RowView<'_>,
                layout: &Self::Layout,
            ) -> ::core::result::Result<Self, $crate::Unreadable> {
                let mut object = $crate::private::JsonObject::new();
                let mut at = layout.iter().copied();
                $(object.field::<$of>(::core::stringify!($field), row, at.next().unwrap_or(0))?;)+
                ::core::result::Result::Ok(Self(object.end()))
            }
        }
    };
}

/// The rows as one JSON array.
pub fn json_array<R: AsRef<str>>(rows: &[R]) -> String {
    let length = rows.iter().map(|row| row.as_ref().len() + 1).sum::<usize>() + 2;
    let mut array = String::with_capacity(length);
    array.push('[');
    for (index, row) in rows.iter().enumerate() {
        if index > 0 {
            array.push(',');
        }
        array.push_str(row.as_ref());
    }
    array.push(']');
    array
}

/// What [`json_row!`](crate::json_row) writes into.
#[doc(hidden)]
#[derive(Debug)]
pub struct JsonObject(Vec<u8>);

impl JsonObject {
    #[expect(clippy::new_without_default, reason = "made by one macro only")]
    pub fn new() -> Self {
        Self(Vec::with_capacity(128))
    }

    pub fn field<T: Column + Serialize>(
        &mut self,
        name: &str,
        row: &RowView<'_>,
        index: usize,
    ) -> Result<(), Unreadable> {
        self.0.push(if self.0.is_empty() { b'{' } else { b',' });
        self.0.push(b'"');
        // A Rust name needs no escape.
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
        row.write_json::<T>(index, &mut self.0)
    }

    pub fn end(mut self) -> String {
        self.0.push(b'}');
        // Written by serde from text: what is not UTF-8 was refused on the way in.
        String::from_utf8(self.0).unwrap_or_default()
    }
}
