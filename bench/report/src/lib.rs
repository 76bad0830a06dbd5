//! How every bench speaks: one JSON object per line, or a table for people.

pub mod chaos;
pub mod shop;

use std::io::Write as _;

/// Collects and prints one bench's lines.
pub struct Report {
    bench: &'static str,
    json: bool,
    rows: Vec<[String; 6]>,
    missed: usize,
}

/// What an issue asked of a ratio.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// Ours divided by the peer's must not exceed this.
    AtMost(f64),
    /// Ours divided by the peer's must reach this.
    AtLeast(f64),
}

impl Report {
    /// A report of this bench, in JSON lines or as a table at the end.
    pub fn new(bench: &'static str, json: bool) -> Self {
        Self { bench, json, rows: Vec::new(), missed: 0 }
    }

    /// A figure of ours or a peer's, by itself.
    pub fn value(&mut self, measure: &str, peer: &str, value: f64, unit: &str) {
        self.line(measure, peer, value, unit, None, None);
    }

    /// Our figure beside a peer's: the ratio is ours divided by theirs.
    pub fn ratio(
        &mut self,
        measure: &str,
        ours: f64,
        unit: &str,
        peer: &str,
        theirs: f64,
        target: Option<Target>,
    ) {
        self.line(measure, peer, ours, unit, Some(ours / theirs), target);
    }

    /// Ours against a number that an issue fixed; `peer` says where the number comes from.
    pub fn against(&mut self, measure: &str, value: f64, unit: &str, target: Target) {
        let holds = target.holds(value);
        self.print(measure, "target", value, unit, None, Some((target.number(), holds)));
    }

    /// Prints the table, if people are reading, and says how many targets were missed.
    pub fn finish(self) -> usize {
        if !self.json {
            let mut out = std::io::stdout().lock();
            let head = ["measure", "against", "value", "unit", "ratio", "target"].map(str::to_owned);
            let width = |column: usize| {
                self.rows.iter().chain([&head]).map(|row| row[column].chars().count()).max().unwrap_or(0)
            };
            let widths: Vec<usize> = (0..6).map(width).collect();
            for row in std::iter::once(&head).chain(&self.rows) {
                let cells: Vec<String> =
                    row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
                let _ = writeln!(out, "{}", cells.join("  ").trim_end());
            }
        }
        self.missed
    }

    fn line(
        &mut self,
        measure: &str,
        peer: &str,
        value: f64,
        unit: &str,
        ratio: Option<f64>,
        target: Option<Target>,
    ) {
        let judged = target.zip(ratio).map(|(target, ratio)| (target.number(), target.holds(ratio)));
        self.print(measure, peer, value, unit, ratio, judged);
    }

    fn print(
        &mut self,
        measure: &str,
        peer: &str,
        value: f64,
        unit: &str,
        ratio: Option<f64>,
        judged: Option<(f64, bool)>,
    ) {
        if judged.is_some_and(|(_, holds)| !holds) {
            self.missed += 1;
        }
        if self.json {
            let mut object = serde_json::json!({
                "bench": self.bench, "measure": measure, "value": round(value), "unit": unit, "peer": peer,
                "ratio": ratio.map(round),
            });
            if let Some((target, holds)) = judged {
                object["target"] = target.into();
                object["holds"] = holds.into();
            }
            println!("{object}");
        }
        let target = judged.map_or(String::new(), |(target, holds)| {
            format!("{target} {}", if holds { "holds" } else { "MISSED" })
        });
        self.rows.push([
            measure.to_owned(),
            peer.to_owned(),
            format!("{}", round(value)),
            unit.to_owned(),
            ratio.map_or(String::new(), |ratio| format!("{ratio:.2}")),
            target,
        ]);
    }
}

impl Target {
    fn holds(self, ratio: f64) -> bool {
        match self {
            Target::AtMost(bound) => ratio <= bound,
            Target::AtLeast(bound) => ratio >= bound,
        }
    }

    fn number(self) -> f64 {
        match self {
            Target::AtMost(bound) | Target::AtLeast(bound) => bound,
        }
    }
}

fn round(value: f64) -> f64 {
    let places = if value.abs() >= 100.0 { 1.0 } else { 1000.0 };
    (value * places).round() / places
}

/// User plus system CPU seconds of a process so far, read from Linux's `/proc`; `None` once it is gone.
pub fn cpu_seconds(pid: u32) -> Option<f64> {
    stat(pid, [11, 12])
}

/// User plus system CPU seconds of this process's ended and awaited children.
pub fn cpu_seconds_of_children() -> Option<f64> {
    stat(std::process::id(), [13, 14])
}

fn stat(pid: u32, fields: [usize; 2]) -> Option<f64> {
    // USER_HZ is 100 on every Linux that userland can see.
    const TICKS_PER_SECOND: f64 = 100.0;
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| rest.get(field)?.parse::<f64>().ok();
    Some((ticks(fields[0])? + ticks(fields[1])?) / TICKS_PER_SECOND)
}

/// The middle of the values; of an even number the lower middle. Zero when there are none.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(0.0)
}
