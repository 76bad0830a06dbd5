//! What each statement costs.

use std::time::Instant;

use burgeon_meter::{Counter, Histogram, Meters};

use crate::stmt::Text;
use crate::{Fault, STATEMENTS, clock};

/// The meters of every statement, resolved once: a static statement finds its own by its dense id.
pub(crate) struct StatementMeters {
    known: Vec<Cells>,
    dynamic: Cells,
}

#[derive(Clone)]
struct Cells {
    calls: Counter,
    rows: Counter,
    errors: Counter,
    time: Histogram,
}

/// One statement under way.
pub(crate) struct Timed<'a> {
    cells: &'a Cells,
    started: Instant,
}

impl StatementMeters {
    pub(crate) fn new(meters: &Meters) -> Self {
        let cells = |statement: &str| {
            let labels = [("statement", statement)];
            Cells {
                calls: meters.counter("db_statements_total", "Statements run.", &labels),
                rows: meters.counter("db_statement_rows_total", "Rows read or touched.", &labels),
                errors: meters.counter("db_statement_errors_total", "Statements that failed.", &labels),
                time: meters.histogram("db_statement_seconds", "From the call to the answer.", &labels),
            }
        };
        Self { known: STATEMENTS.iter().map(|stmt| cells(stmt.name())).collect(), dynamic: cells("dynamic") }
    }

    pub(crate) fn start(&self, text: &Text) -> Timed<'_> {
        let cells = text.id().and_then(|id| self.known.get(id)).unwrap_or(&self.dynamic);
        Timed { cells, started: clock::now() }
    }
}

impl Timed<'_> {
    pub(crate) fn end(self, rows: Result<u64, &Fault>) {
        self.cells.calls.increment();
        match rows {
            Ok(rows) => self.cells.rows.add(rows),
            Err(_) => self.cells.errors.increment(),
        }
        self.cells.time.record(clock::now().saturating_duration_since(self.started));
    }
}
