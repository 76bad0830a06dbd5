//! How far long work has come, for whoever waits at the terminal: a bar there, a line now and then elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use tokio::time::Instant;

/// A bar is drawn so often.
const DRAW: Duration = Duration::from_millis(120);
/// Where there is no terminal a line is written so often, and at each change of what is done.
const LINE: Duration = Duration::from_secs(2);
const WIDTH: u64 = 30;

/// On standard error: standard output is for the result.
pub(crate) struct Bar {
    terminal: bool,
    total: u64,
    done: u64,
    began: Instant,
    told: Option<Instant>,
    what: String,
}

impl Bar {
    pub(crate) fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { terminal, total: 0, done: 0, began: Instant::now(), told: None, what: String::new() }
    }

    /// So much there is to do.
    pub(crate) fn begin(&mut self, total: u64) {
        (self.total, self.began) = (total, Instant::now());
    }

    /// So much more has been done.
    pub(crate) fn advance(&mut self, more: u64, what: &str) {
        self.done += more;
        let changed = self.what != what;
        if changed {
            self.what = what.to_owned();
        }
        let every = if self.terminal { DRAW } else { LINE };
        if !changed && self.told.is_some_and(|told| told.elapsed() < every) {
            return;
        }
        self.told = Some(Instant::now());
        let line = match self.terminal {
            true => format!("\r\x1b[2K{}", self.drawn()),
            false => format!("{}, {} %\n", self.what, self.percent()),
        };
        self.write(&line);
    }

    /// Takes the bar away.
    pub(crate) fn finish(&mut self) {
        if self.terminal && self.told.is_some() {
            self.write("\r\x1b[2K");
        }
    }

    fn percent(&self) -> u64 {
        (self.done * 100).checked_div(self.total).unwrap_or(100).min(100)
    }

    fn drawn(&self) -> String {
        let full = (self.percent() * WIDTH / 100) as usize;
        let left = match self.done {
            0 => String::new(),
            done => {
                let rest = self.total.saturating_sub(done) as f64 / done as f64;
                format!(", {:.0} s left", self.began.elapsed().as_secs_f64() * rest)
            }
        };
        let empty = WIDTH as usize - full;
        format!("[{}{}] {:>3} %  {}{left}", "#".repeat(full), ".".repeat(empty), self.percent(), self.what)
    }

    fn write(&self, text: &str) {
        // Who cannot be told does not keep the work from being done.
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bar_is_as_full_as_the_work_is_done() {
        let mut bar = Bar {
            terminal: true,
            total: 200,
            done: 50,
            began: Instant::now(),
            told: None,
            what: "a".to_owned(),
        };
        assert!(bar.drawn().starts_with("[#######.......................]  25 %  a"), "{}", bar.drawn());
        (bar.total, bar.done) = (0, 0);
        assert_eq!(bar.percent(), 100);
        (bar.total, bar.done) = (10, 12);
        assert_eq!(bar.percent(), 100);
    }
}
