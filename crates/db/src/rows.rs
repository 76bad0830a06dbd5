//! Rows on their way to the program's types.
//!
//! What a statement goes through is the same whatever its rows become, so the way to an engine and back knows a [`Sink`] and no
//! type: it is compiled once, and not for every type of row in the crate that reads it.

use std::any::Any;

use tokio_postgres::Row as Raw;

use crate::row::{Columns, RowView};
use crate::{Fault, Row};

/// Where the rows of one result go.
pub(crate) trait Sink: Any + Send {
    /// Finds the fields in the result's columns. So many rows will come, if that is known; else 0.
    fn begin(&mut self, columns: &Columns<'_>, rows: usize) -> Result<(), Fault>;

    /// Reads a row.
    fn take(&mut self, row: &RowView<'_>) -> Result<(), Fault>;

    /// How many there were.
    fn count(&self) -> usize;
}

/// Makes an empty sink. A statement may run twice, and each run has its own.
pub(crate) type NewSink = fn() -> Box<dyn Sink>;

/// The row, if there is one, and a fault if there are several.
pub(crate) struct Only<T: Row> {
    layout: Option<T::Layout>,
    pub(crate) row: Option<T>,
}

/// Every row.
pub(crate) struct All<T: Row> {
    layout: Option<T::Layout>,
    pub(crate) rows: Vec<T>,
}

impl<T: Row> Only<T> {
    pub(crate) fn new() -> Self {
        Self { layout: None, row: None }
    }

    pub(crate) fn sink() -> Box<dyn Sink> {
        Box::new(Self::new())
    }
}

impl<T: Row> All<T> {
    pub(crate) fn new() -> Self {
        Self { layout: None, rows: Vec::new() }
    }

    pub(crate) fn sink() -> Box<dyn Sink> {
        Box::new(Self::new())
    }
}

impl<T: Row> Sink for Only<T> {
    fn begin(&mut self, columns: &Columns<'_>, _rows: usize) -> Result<(), Fault> {
        self.layout = Some(T::layout(columns).map_err(Fault::misfit::<T>)?);
        Ok(())
    }

    fn take(&mut self, row: &RowView<'_>) -> Result<(), Fault> {
        if self.row.is_some() {
            return Err(Fault::ManyRows);
        }
        self.row = Some(read(self.layout.as_ref(), row)?);
        Ok(())
    }

    fn count(&self) -> usize {
        usize::from(self.row.is_some())
    }
}

impl<T: Row> Sink for All<T> {
    fn begin(&mut self, columns: &Columns<'_>, rows: usize) -> Result<(), Fault> {
        self.layout = Some(T::layout(columns).map_err(Fault::misfit::<T>)?);
        self.rows.reserve_exact(rows);
        Ok(())
    }

    fn take(&mut self, row: &RowView<'_>) -> Result<(), Fault> {
        self.rows.push(read(self.layout.as_ref(), row)?);
        Ok(())
    }

    fn count(&self) -> usize {
        self.rows.len()
    }
}

fn read<T: Row>(layout: Option<&T::Layout>, row: &RowView<'_>) -> Result<T, Fault> {
    let Some(layout) = layout else {
        return Err(Fault::Statement { why: "a row came before its columns".to_owned() });
    };
    T::read(row, layout).map_err(Fault::unreadable::<T>)
}

/// The sink that was given along with a statement, by its own type again.
pub(crate) fn own<S: Sink>(sink: Box<dyn Sink>) -> Result<S, Fault> {
    let sink: Box<dyn Any> = sink;
    let another = |_| Fault::Statement { why: "the rows went where they were not sent".to_owned() };
    sink.downcast().map(|sink| *sink).map_err(another)
}

/// Hands Postgres's rows over.
pub(crate) fn pour(rows: &[Raw], sink: &mut dyn Sink) -> Result<(), Fault> {
    let Some(first) = rows.first() else { return Ok(()) };
    sink.begin(&Columns::postgres(first.columns()), rows.len())?;
    rows.iter().try_for_each(|row| sink.take(&RowView::postgres(row)))
}

/// One row by itself, as a stream has it.
pub(crate) fn one<T: Row>(row: &Raw) -> Result<T, Fault> {
    let layout = T::layout(&Columns::postgres(row.columns())).map_err(Fault::misfit::<T>)?;
    T::read(&RowView::postgres(row), &layout).map_err(Fault::unreadable::<T>)
}
