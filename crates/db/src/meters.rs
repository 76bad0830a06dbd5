//! What each statement costs.

use std::time::{Duration, Instant};

use burgeon_meter::{Counter, Histogram, Meters};

use crate::stmt::Text;
use crate::{Fault, STATEMENTS, clock};

/// What is below this was no wait, but the time it takes to find out that there is none.
const SHORTEST_WAIT: Duration = Duration::from_micros(20);

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
    queued: Histogram,
    wire: Histogram,
    server: Histogram,
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
                queued: meters.histogram(
                    "db_statement_queue_seconds",
                    "Of those that had to wait: how long, for a place or a connection before they were sent, on SQLite for \
                     the writer or a reader.",
                    &labels,
                ),
                wire: meters.histogram(
                    "db_statement_wire_seconds",
                    "From sending to the answer: the network, the server, and the statements before it on its connection.",
                    &labels,
                ),
                server: meters.histogram(
                    "db_statement_server_seconds",
                    "At the head of its connection, from sending or from the answer before it to its own: the server, and \
                     the network where nothing was before it. On SQLite at work, without the commit.",
                    &labels,
                ),
            }
        };
        Self { known: STATEMENTS.iter().map(|stmt| cells(stmt.name())).collect(), dynamic: cells("dynamic") }
    }

    fn of(&self, text: &Text) -> &Cells {
        text.id().and_then(|id| self.known.get(id)).unwrap_or(&self.dynamic)
    }

    /// Where an answered statement spent its time.
    pub(crate) fn spent(&self, text: &Text, queued: Duration, wire: Duration, server: Duration) {
        self.of(text).wire.record(wire);
        self.worked(text, queued, server);
    }

    /// As [`spent`](Self::spent), of a statement that ran in this process.
    pub(crate) fn worked(&self, text: &Text, queued: Duration, took: Duration) {
        let cells = self.of(text);
        if queued >= SHORTEST_WAIT {
            cells.queued.record(queued);
        }
        cells.server.record(took);
    }

    pub(crate) fn start(&self, text: &Text) -> Timed<'_> {
        Timed { cells: self.of(text), started: clock::now() }
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
