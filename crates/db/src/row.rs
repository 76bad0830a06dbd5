//! From a result's rows to the program's types.

use serde::Serialize;
use tokio_postgres::types::{FromSql, Type as PgType};

use crate::{Cell, Column, Mismatch};

/// What a whole row can be read as: a struct by column names (`#[derive(Row)]`), a tuple or a single [`Column`] by
/// position.
///
/// The layout is found once per result, so that a row costs no search by name.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a row",
    note = "derive it with `#[derive(Row)]`, or read a tuple or a single column"
)]
pub trait Row: Sized + Send + 'static {
    /// Where in the result each field is.
    type Layout: Copy + Send;

    /// Finds the fields in the result's columns.
    ///
    /// # Errors
    /// A column that is missing, or another number of them than a tuple wants.
    fn layout(columns: &Columns<'_>) -> Result<Self::Layout, Mismatch>;

    /// Reads one row.
    ///
    /// # Errors
    /// The column that could not be read, and why.
    fn read(row: &RowView<'_>, layout: &Self::Layout) -> Result<Self, Unreadable>;
}

/// The columns of a result, by name and number.
pub struct Columns<'a>(ColumnsOf<'a>);

enum ColumnsOf<'a> {
    Sqlite(&'a rusqlite::Statement<'a>),
    Postgres(&'a [tokio_postgres::Column]),
}

impl<'a> Columns<'a> {
    pub(crate) fn sqlite(statement: &'a rusqlite::Statement<'a>) -> Self {
        Self(ColumnsOf::Sqlite(statement))
    }

    pub(crate) fn postgres(columns: &'a [tokio_postgres::Column]) -> Self {
        Self(ColumnsOf::Postgres(columns))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        match self.0 {
            ColumnsOf::Sqlite(statement) => statement.column_count(),
            ColumnsOf::Postgres(columns) => columns.len(),
        }
    }

    fn name(&self, index: usize) -> Option<&str> {
        match self.0 {
            ColumnsOf::Sqlite(statement) => statement.column_name(index).ok(),
            ColumnsOf::Postgres(columns) => columns.get(index).map(tokio_postgres::Column::name),
        }
    }

    /// Where the column of this name is. `likely` is tried first: most statements name columns in the order of the
    /// struct's fields.
    ///
    /// # Errors
    /// [`Mismatch::Missing`], naming what is there instead.
    pub fn find(&self, name: &'static str, likely: usize) -> Result<usize, Mismatch> {
        if self.name(likely) == Some(name) {
            return Ok(likely);
        }
        (0..self.count()).find(|index| self.name(*index) == Some(name)).ok_or_else(|| {
            let names: Vec<_> = (0..self.count()).filter_map(|index| self.name(index)).collect();
            Mismatch::Missing(name, names.join(", "))
        })
    }
}

/// One row, in the engine's memory.
pub struct RowView<'a>(RowOf<'a>);

enum RowOf<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a tokio_postgres::Row),
}

/// Which column could not be read, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The column's name, or its number from 1.
    pub column: String,
    /// What was wrong.
    pub why: Mismatch,
}

impl<'a> RowView<'a> {
    pub(crate) fn sqlite(row: &'a rusqlite::Row<'a>) -> Self {
        Self(RowOf::Sqlite(row))
    }

    pub(crate) fn postgres(row: &'a tokio_postgres::Row) -> Self {
        Self(RowOf::Postgres(row))
    }

    /// Reads the column at `index`, counted from 0.
    ///
    /// # Errors
    /// The column's name and the [`Mismatch`].
    #[inline]
    pub fn get<T: Column>(&self, index: usize) -> Result<T, Unreadable> {
        self.cell(index).and_then(T::read).map_err(|why| self.unreadable(index, why))
    }

    /// Writes the column at `index` as JSON.
    pub(crate) fn write_json<T: Column + Serialize>(
        &self,
        index: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Unreadable> {
        let written = self.cell(index).and_then(|cell| T::write_json(cell, out));
        written.map_err(|why| self.unreadable(index, why))
    }

    #[inline]
    fn cell(&self, index: usize) -> Result<Cell<'_>, Mismatch> {
        let beyond = || Mismatch::value(format!("at position {}: the result is shorter", index + 1));
        match self.0 {
            RowOf::Sqlite(row) => row.get_ref(index).map(Cell::sqlite).map_err(|_| beyond()),
            RowOf::Postgres(row) => {
                let column = row.columns().get(index).ok_or_else(beyond)?;
                let raw: Raw<'_> = row.try_get(index).map_err(|_| beyond())?;
                Ok(Cell::of_postgres(column.type_(), raw.0))
            }
        }
    }

    #[cold]
    fn unreadable(&self, index: usize, why: Mismatch) -> Unreadable {
        let name = match self.0 {
            RowOf::Sqlite(row) => row.as_ref().column_name(index).ok().map(str::to_owned),
            RowOf::Postgres(row) => row.columns().get(index).map(|column| column.name().to_owned()),
        };
        Unreadable { column: name.unwrap_or_else(|| format!("number {}", index + 1)), why }
    }
}

/// The bytes as they came, whatever their type.
struct Raw<'a>(Option<&'a [u8]>);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &PgType, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Raw(Some(raw)))
    }

    fn from_sql_null(_: &PgType) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Raw(None))
    }

    fn accepts(_: &PgType) -> bool {
        true
    }
}

/// A single column is a row of one.
impl<T: Column> Row for T {
    type Layout = ();

    fn layout(columns: &Columns<'_>) -> Result<(), Mismatch> {
        counted(columns, 1)
    }

    #[inline]
    fn read(row: &RowView<'_>, (): &()) -> Result<Self, Unreadable> {
        row.get(0)
    }
}

macro_rules! tuples {
    ($(($count:literal: $($name:ident $index:literal),+))*) => {$(
        impl<$($name: Column),+> Row for ($($name,)+) {
            type Layout = ();

            fn layout(columns: &Columns<'_>) -> Result<(), Mismatch> {
                counted(columns, $count)
            }

            #[inline]
            fn read(row: &RowView<'_>, (): &()) -> Result<Self, Unreadable> {
                Ok(($(row.get::<$name>($index)?,)+))
            }
        }
    )*};
}

tuples! {
    (1: A 0)
    (2: A 0, B 1)
    (3: A 0, B 1, C 2)
    (4: A 0, B 1, C 2, D 3)
    (5: A 0, B 1, C 2, D 3, E 4)
    (6: A 0, B 1, C 2, D 3, E 4, F 5)
    (7: A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    (8: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
    (9: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8)
    (10: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9)
    (11: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10)
    (12: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11)
}

fn counted(columns: &Columns<'_>, wanted: usize) -> Result<(), Mismatch> {
    let has = columns.count();
    if has == wanted { Ok(()) } else { Err(Mismatch::Count(wanted, has)) }
}
