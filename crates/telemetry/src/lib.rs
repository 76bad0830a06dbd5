//! Export of meters, logs and traces: Prometheus text, JSON lines, readable development output.
//!
//! What this is: [`init`], which makes the process log; [`LogLevel`], which changes what is logged while it runs;
//! [`prometheus`], the text `/metrics` answers with; [`Ids`], trace context in and out. What it is not: a facade.
//! The house logs through `tracing` and counts through `burgeon-meter`; this crate only carries both outside.
//!
//! # Invariants
//! - A log line never waits for whoever reads it. Lines go to a thread through a queue of bounded size; when the
//!   reader is slower than the log (a full pipe, a stopped terminal), lines are lost, counted and reported, and no
//!   request waits.
//! - A line is one line: what comes from outside cannot forge a second one or command the terminal.
//! - What is exported is what was counted: `_count` of a histogram is its `+Inf` bucket, and buckets never fall.

mod config;
mod ids;
mod level;
mod log;
mod process;
pub mod prometheus;
mod telemetry;

pub use config::{Config, Format};
pub use ids::Ids;
pub use level::{Filter, LogLevel};
pub use log::{Sink, dispatch};
pub use telemetry::{Telemetry, init};
