//! Progress for people: a bar on a terminal, a line now and then elsewhere, nothing for programs.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A plain line is printed after so many lines of the file.
const EVERY: u64 = 100_000;

/// Shows how far reading a file has come.
pub(super) struct Progress {
    bar: ProgressBar,
    consumed: Arc<AtomicU64>,
    size: u64,
    plain: bool,
    told: u64,
}

impl Progress {
    /// For a file of `size` bytes of which `consumed` are read; `quiet` shows nothing.
    pub(super) fn new((size, consumed): (u64, Arc<AtomicU64>), quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = if terminal && !quiet { ProgressBar::new(size) } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{bar:40} {percent:>3} %  {msg}  {eta} left");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        if terminal && !quiet {
            bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(8));
        }
        Self { bar, consumed, size, plain: !terminal && !quiet, told: 0 }
    }

    /// So many lines are in.
    pub(super) fn show(&mut self, lines: u64) {
        let consumed = self.consumed.load(Ordering::Relaxed);
        self.bar.set_position(consumed);
        self.bar.set_message(format!("{lines} lines"));
        if self.plain && lines / EVERY > self.told {
            self.told = lines / EVERY;
            eprintln!("{lines} lines, {} %", consumed * 100 / self.size.max(1));
        }
    }

    /// The end, good or bad.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
