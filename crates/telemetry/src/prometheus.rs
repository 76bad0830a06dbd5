//! The text format Prometheus scrapes, version 0.0.4.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>

use std::fmt::Write as _;
use std::time::Duration;

use burgeon_meter::{HistogramValue, Meters, Sample, Value};

use crate::process;

/// The `Content-Type` of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Upper bounds of the exported buckets, fixed so that every histogram of every node can be added up: 1, 2.5, 5 per
/// power of ten, from a tenth of a millisecond (a statement on SQLite) to a minute (the longest request).
pub const BOUNDS: [Duration; 18] = [
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2_500),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(60),
];

/// All meters now, and those of the process.
///
/// A record counts in the first bucket whose bound its own meter can tell it did not exceed; meters are exact to a
/// quarter, so a record just below a bound may count in the next bucket, never in a lower one than its own.
pub fn render(meters: &Meters) -> String {
    let mut text = samples(&meters.samples());
    process::render(&mut text);
    text
}

/// These samples, which must be sorted by name as [`Meters::samples`] gives them.
pub fn samples(samples: &[Sample]) -> String {
    let mut text = String::with_capacity(samples.len() * 96);
    let mut family = None;
    for sample in samples {
        let name = legal(sample.name);
        if family != Some(sample.name) {
            let sort = match sample.value {
                Value::Counter(_) | Value::Spent(_) => "counter",
                Value::Gauge(_) => "gauge",
                Value::Histogram(_) => "histogram",
            };
            head(&mut text, &name, sample.help, sort);
            family = Some(sample.name);
        }
        match &sample.value {
            Value::Counter(count) => line(&mut text, &name, "", sample, None, &count.to_string()),
            Value::Spent(time) => line(&mut text, &name, "", sample, None, &time.as_secs_f64().to_string()),
            Value::Gauge(level) => line(&mut text, &name, "", sample, None, &level.to_string()),
            Value::Histogram(value) => histogram(&mut text, &name, sample, value),
        }
    }
    text
}

/// A family of one series without labels.
pub(crate) fn number(text: &mut String, name: &str, help: &str, sort: &str, value: f64) {
    head(text, name, help, sort);
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(text, "{name} {value}");
}

fn head(text: &mut String, name: &str, help: &str, sort: &str) {
    let help = help.replace('\\', "\\\\").replace('\n', "\\n");
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {sort}");
}

fn histogram(text: &mut String, name: &str, sample: &Sample, value: &HistogramValue) {
    for bound in BOUNDS {
        let le = bound.as_secs_f64().to_string();
        line(text, name, "_bucket", sample, Some(&le), &value.at_most(bound).to_string());
    }
    let count = value.count().to_string();
    line(text, name, "_bucket", sample, Some("+Inf"), &count);
    line(text, name, "_sum", sample, None, &value.sum.as_secs_f64().to_string());
    line(text, name, "_count", sample, None, &count);
}

fn line(text: &mut String, name: &str, suffix: &str, sample: &Sample, le: Option<&str>, value: &str) {
    let _ = write!(text, "{name}{suffix}");
    let own = sample.labels.iter().map(|(name, value)| (*name, value.as_str()));
    let mut opened = false;
    for (label, content) in own.chain(le.map(|le| ("le", le))) {
        text.push(if opened { ',' } else { '{' });
        opened = true;
        let _ = write!(text, "{}=\"", legal(label));
        for character in content.chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                other => text.push(other),
            }
        }
        text.push('"');
    }
    if opened {
        text.push('}');
    }
    let _ = writeln!(text, " {value}");
}

/// The name with every character Prometheus does not allow replaced. One bad name must not make a scrape fail whole.
fn legal(name: &str) -> String {
    let starts_with_digit = name.starts_with(|first: char| first.is_ascii_digit());
    let legal = |character: char| match character {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | ':' => character,
        _ => '_',
    };
    let prefix = if starts_with_digit || name.is_empty() { "_" } else { "" };
    prefix.chars().chain(name.chars().map(legal)).collect()
}
