//! Counters, gauges and histograms as values, resolved once at construction and handed around.
//!
//! What this is: cheap handles over atomics, and [`Meters`], the list they are made in. What it is not: an exporter
//! (that is `burgeon-telemetry`), a global, or anything that does I/O.
//!
//! # Invariants
//! - A name with one set of labels is one meter: asking twice yields handles to the same cells.
//! - Labels are known when the handle is made, from closed sets. A label value taken from a request would grow
//!   without bound, so a name is refused more than [`Meters::SERIES_LIMIT`] label sets: the surplus shares one
//!   series whose values all read `other`.
//! - Recording never allocates, never locks and never fails. Where many cores record into one meter all the time, each
//!   has a `part` of it, so that none waits for another's cache line.

mod counter;
mod gauge;
mod histogram;
mod meters;
mod parts;
mod spent;

pub use counter::Counter;
pub use gauge::{Gauge, InFlight};
pub use histogram::{Histogram, HistogramValue};
pub use meters::{Labels, Meters, Sample, Value};
pub use spent::Spent;
