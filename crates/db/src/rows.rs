//! Postgres's rows as the program's types.

use tokio_postgres::Row as Raw;

use crate::row::{Columns, RowView};
use crate::{Fault, Row};

/// The row, if there is one.
pub(crate) fn optional<T: Row>(rows: &[Raw]) -> Result<Option<T>, Fault> {
    match rows {
        [] => Ok(None),
        [row] => one(row).map(Some),
        _ => Err(Fault::ManyRows),
    }
}

/// One row by itself, as a stream has it.
pub(crate) fn one<T: Row>(row: &Raw) -> Result<T, Fault> {
    let layout = T::layout(&Columns::postgres(row.columns())).map_err(Fault::misfit::<T>)?;
    T::read(&RowView::postgres(row), &layout).map_err(Fault::unreadable::<T>)
}

/// Every row.
pub(crate) fn all<T: Row>(rows: &[Raw]) -> Result<Vec<T>, Fault> {
    let Some(first) = rows.first() else { return Ok(Vec::new()) };
    let layout = T::layout(&Columns::postgres(first.columns())).map_err(Fault::misfit::<T>)?;
    rows.iter().map(|row| T::read(&RowView::postgres(row), &layout).map_err(Fault::unreadable::<T>)).collect()
}
