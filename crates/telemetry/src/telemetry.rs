//! The telemetry of one process.

use std::panic::PanicHookInfo;
use std::time::Duration;

use burgeon_core::{Error, Result};
use burgeon_meter::Meters;

use crate::{Config, LogLevel, Sink, dispatch, prometheus};

/// How long the end of a program waits for its last log lines.
const LAST_LINES: Duration = Duration::from_secs(1);

/// What [`init`] gives. Keep it until the end of the program: dropping it writes the last lines of the log.
#[derive(Debug)]
#[must_use = "dropping it ends the log's life early: keep it in `main`"]
pub struct Telemetry {
    level: LogLevel,
    // `None` when the log belongs to somebody else.
    sink: Option<Sink>,
}

/// Makes this process log to standard error, and panics appear in the log as one line.
///
/// One subscriber serves a process. When there is one already (a second application in the process, a test's own), it
/// stays, and [`Telemetry::log_is_ours`] says so; everything else works.
///
/// # Errors
/// [`Kind::Invalid`](burgeon_core::Kind::Invalid) when the configuration is not valid, and
/// [`Kind::Unavailable`](burgeon_core::Kind::Unavailable) when the system refuses a thread.
pub fn init(config: &Config) -> Result<Telemetry> {
    config.validate().map_err(Error::invalid)?;
    let sink = Sink::stderr()?;
    let (dispatch, level) = dispatch(config, &sink).map_err(Error::invalid)?;
    if tracing::dispatcher::set_global_default(dispatch).is_err() {
        return Ok(Telemetry { level: LogLevel::foreign(), sink: None });
    }
    std::panic::set_hook(Box::new(log_panic));
    Ok(Telemetry { level, sink: Some(sink) })
}

impl Telemetry {
    /// Reads and changes what is logged.
    pub fn level(&self) -> &LogLevel {
        &self.level
    }

    /// Whether this call of [`init`] made the process's log; otherwise somebody else had.
    pub fn log_is_ours(&self) -> bool {
        self.sink.is_some()
    }

    /// What `/metrics` answers with: the application's meters, the process's, and the log's own.
    pub fn metrics(&self, meters: &Meters) -> String {
        let mut text = prometheus::render(meters);
        if let Some(sink) = &self.sink {
            const WRITTEN: &str = "Lines of the log that were written.";
            const LOST: &str =
                "Lines of the log that were lost, because their reader was slower than the log.";
            prometheus::number(
                &mut text,
                "log_lines_written_total",
                WRITTEN,
                "counter",
                sink.written() as f64,
            );
            prometheus::number(&mut text, "log_lines_lost_total", LOST, "counter", sink.lost() as f64);
        }
        text
    }

    /// Waits, for at most `within`, until all lines so far are written. Blocks the thread.
    ///
    /// # Errors
    /// [`Kind::Deadline`](burgeon_core::Kind::Deadline) when the reader is slower than that.
    pub fn flush(&self, within: Duration) -> Result<()> {
        self.sink.as_ref().map_or(Ok(()), |sink| sink.flush(within))
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        // There is nobody left to tell that the last lines could not be written.
        let _ = self.flush(LAST_LINES);
    }
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("a panic without a message");
    let thread = std::thread::current();
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    // Made only where `RUST_BACKTRACE` asks for it.
    let backtrace = std::backtrace::Backtrace::capture();
    let thread = thread.name().unwrap_or("unnamed");
    match backtrace.status() {
        std::backtrace::BacktraceStatus::Captured => {
            tracing::error!(target: "panic", place, thread, %backtrace, "{message}");
        }
        _ => tracing::error!(target: "panic", place, thread, "{message}"),
    }
}
