//! What has happened so far: counts, rates, and how long answers took.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use burgeon::prelude::*;
use serde::Serialize;

use super::client::{Answer, Outcome};

/// Kinds of failure that are told apart; further ones are counted together.
const MOST_KINDS: usize = 20;

#[derive(Default)]
pub(super) struct Tally {
    placed: u64,
    sold_out: u64,
    failed: u64,
    why: BTreeMap<String, u64>,
    took: Vec<Duration>,
    told: u64,
}

/// What a replay came to.
#[derive(Debug, Serialize)]
struct Summary {
    orders: u64,
    placed: u64,
    sold_out: u64,
    failed: u64,
    why: BTreeMap<String, u64>,
    seconds: f64,
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn count(&mut self, answer: Answer) {
        self.took.push(answer.took);
        match answer.outcome {
            Outcome::Placed => self.placed += 1,
            Outcome::SoldOut => self.sold_out += 1,
            Outcome::Refused(status) => self.fail(format!("answered {status}")),
            Outcome::Failed(why) => self.fail(why),
        }
    }

    /// One line, over the last one on a terminal.
    pub(super) fn tell(&mut self, elapsed: Duration, open: usize) {
        let done = self.took.len() as u64;
        let rate = done - std::mem::replace(&mut self.told, done);
        let Self { placed, sold_out, failed, .. } = self;
        let line = format!(
            "{:>4} s  {rate:>5} orders/s  {placed} placed, {sold_out} sold out, {failed} failed, {open} open",
            elapsed.as_secs()
        );
        let mut out = std::io::stderr().lock();
        // A closed terminal is no reason to stop.
        let _ = if out.is_terminal() {
            write!(out, "\r\x1b[K{line}").and_then(|()| out.flush())
        } else {
            writeln!(out, "{line}")
        };
    }

    pub(super) fn finish(mut self, elapsed: Duration, json: bool) -> Result<()> {
        self.took.sort_unstable();
        let orders = self.took.len() as u64;
        let seconds = elapsed.as_secs_f64();
        let summary = Summary {
            orders,
            placed: self.placed,
            sold_out: self.sold_out,
            failed: self.failed,
            seconds,
            per_second: orders as f64 / seconds.max(0.001),
            p50_ms: self.quantile(50),
            p99_ms: self.quantile(99),
            why: self.why,
        };
        if json {
            println!("{}", serde_json::to_string(&summary).map_err(Error::internal)?);
        } else {
            let Summary { placed, sold_out, failed, per_second, p50_ms, p99_ms, .. } = &summary;
            println!(
                "\n{orders} orders in {seconds:.1} s ({per_second:.0} a second), p50 {p50_ms:.1} ms, p99 {p99_ms:.1} ms"
            );
            println!("{placed} placed, {sold_out} sold out, {failed} failed");
            for (why, times) in &summary.why {
                println!("  {times} times: {why}");
            }
        }
        match summary.failed {
            0 => Ok(()),
            failed => Err(Error::unavailable(format!("{failed} of {orders} orders had no good answer."))),
        }
    }

    fn fail(&mut self, why: String) {
        self.failed += 1;
        let known = self.why.contains_key(&why) || self.why.len() < MOST_KINDS;
        *self.why.entry(if known { why } else { "something else".to_owned() }).or_default() += 1;
    }

    fn quantile(&self, percent: usize) -> f64 {
        let index = (self.took.len().saturating_sub(1)) * percent / 100;
        self.took.get(index).map_or(0.0, |took| took.as_secs_f64() * 1_000.0)
    }
}
