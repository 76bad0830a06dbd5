//! The exposition is read back by a strict reader of the format.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use burgeon_meter::Meters;
use burgeon_telemetry::prometheus::{BOUNDS, render};
use proptest::prelude::*;

#[derive(Debug, Default)]
struct Family {
    sort: String,
    help: String,
    series: BTreeMap<(String, Labels), f64>,
}

/// Reads the text format 0.0.4 and refuses whatever the format forbids.
fn read(text: &str) -> Result<BTreeMap<String, Family>, String> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    let mut closed = HashSet::new();
    if !text.is_empty() && !text.ends_with('\n') {
        return Err("the last line must end with a line feed".into());
    }
    for line in text.lines() {
        let wrong = |why: &str| format!("{why}: {line}");
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').unwrap_or((help, ""));
            if !closed.insert(name.to_owned()) {
                return Err(wrong("a family must be in one piece"));
            }
            current = name.to_owned();
            families.entry(current.clone()).or_default().help = unescape(help, false).ok_or(wrong("help"))?;
        } else if let Some(sort) = line.strip_prefix("# TYPE ") {
            let (name, sort) = sort.split_once(' ').ok_or(wrong("type"))?;
            if name != current || !["counter", "gauge", "histogram"].contains(&sort) {
                return Err(wrong("type"));
            }
            families.entry(current.clone()).or_default().sort = sort.to_owned();
        } else {
            let family = families.get_mut(&current).ok_or(wrong("a series before its family"))?;
            let (name, labels, value) = series(line).ok_or(wrong("series"))?;
            let suffix = name.strip_prefix(current.as_str()).ok_or(wrong("a series of another family"))?;
            let suffixes: &[&str] =
                if family.sort == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            if !suffixes.contains(&suffix) {
                return Err(wrong("suffix"));
            }
            if family.series.insert((suffix.to_owned(), labels), value).is_some() {
                return Err(wrong("twice"));
            }
        }
    }
    Ok(families)
}

type Labels = Vec<(String, String)>;

fn series(line: &str) -> Option<(String, Labels, f64)> {
    let name_end = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))?;
    let (name, mut rest) = line.split_at(name_end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let mut labels = Vec::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, after) = rest.split_once("=\"")?;
            let mut end = None;
            let mut escaped = false;
            for (at, character) in after.char_indices() {
                match character {
                    _ if escaped => escaped = false,
                    '\\' => escaped = true,
                    '"' => {
                        end = Some(at);
                        break;
                    }
                    _ => {}
                }
            }
            labels.push((label.to_owned(), unescape(&after[..end?], true)?));
            rest = &after[end? + 1..];
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None => break,
            }
        }
        rest = rest.strip_prefix('}')?;
    }
    let value = rest.strip_prefix(' ')?;
    Some((name.to_owned(), labels, value.parse().ok()?))
}

fn unescape(text: &str, quotes: bool) -> Option<String> {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next()? {
                '\\' => out.push('\\'),
                'n' => out.push('\n'),
                '"' if quotes => out.push('"'),
                _ => return None,
            },
            other => out.push(other),
        }
    }
    Some(out)
}

fn label(name: &str, value: &str) -> Labels {
    vec![(name.to_owned(), value.to_owned())]
}

#[test]
fn what_was_counted_is_what_is_read() {
    let meters = Meters::new();
    meters.counter("requests_total", "Requests.", &[("route", "/a")]).add(3);
    meters.counter("requests_total", "Requests.", &[("route", "/b")]).add(4);
    meters.gauge("connections", "Open now.", &[]).set(-2);
    let latency = meters.histogram("latency_seconds", "How long.", &[("route", "/a")]);
    for millis in [1, 10, 10, 200, 90_000] {
        latency.record(Duration::from_millis(millis));
    }
    let families = read(&render(&meters)).unwrap();

    let requests = &families["requests_total"];
    assert_eq!((requests.sort.as_str(), requests.help.as_str()), ("counter", "Requests."));
    assert_eq!(requests.series[&(String::new(), label("route", "/b"))], 4.0);
    assert_eq!(families["connections"].series[&(String::new(), vec![])], -2.0);

    let latency = &families["latency_seconds"];
    let of = |suffix: &str, le: Option<&str>| {
        let mut labels = label("route", "/a");
        labels.extend(le.map(|le| ("le".to_owned(), le.to_owned())));
        latency.series[&(suffix.to_owned(), labels)]
    };
    assert_eq!(of("_count", None), 5.0);
    assert_eq!(of("_bucket", Some("+Inf")), 5.0);
    assert_eq!(of("_bucket", Some("60")), 4.0);
    assert_eq!(of("_bucket", Some("0.25")), 4.0);
    assert_eq!(of("_bucket", Some("0.025")), 3.0);
    assert_eq!(of("_bucket", Some("0.0001")), 0.0);
    assert!((of("_sum", None) - 90.221).abs() < 1e-9);
}

#[test]
fn the_process_is_metered_under_the_standard_names() {
    let families = read(&render(&Meters::new())).unwrap();
    let one = |name: &str| families[name].series[&(String::new(), vec![])];
    assert!(one("process_resident_memory_bytes") > 100_000.0);
    assert!(one("process_virtual_memory_bytes") >= one("process_resident_memory_bytes"));
    assert!(one("process_open_fds") >= 3.0 && one("process_open_fds") <= one("process_max_fds"));
    assert!(one("process_threads") >= 1.0);

    let now = jiff::Timestamp::now().as_second() as f64;
    let age = now - one("process_start_time_seconds");
    assert!((-2.0..3_600.0).contains(&age), "started {age} s ago");

    let before = one("process_cpu_seconds_total");
    let mut text = String::new();
    for _ in 0..2_000 {
        text = render(&Meters::new());
    }
    let after = read(&text).unwrap()["process_cpu_seconds_total"].series[&(String::new(), vec![])];
    assert!(after > before, "work takes processor time: {before} {after}");
}

#[test]
fn names_that_prometheus_forbids_do_not_break_the_scrape() {
    let meters = Meters::new();
    meters.counter("9 lives-total", "Back\\slash and\nline feed.", &[("per cent", "a")]).increment();
    let families = read(&render(&meters)).unwrap();
    assert_eq!(families["_9_lives_total"].help, "Back\\slash and\nline feed.");
    assert_eq!(families["_9_lives_total"].series[&(String::new(), label("per_cent", "a"))], 1.0);
}

proptest! {
    #[test]
    fn any_label_survives(value: String) {
        let meters = Meters::new();
        meters.counter("hits_total", "", &[("from", &value)]).increment();
        let text = render(&meters);
        // A carriage return or the like is an ordinary character to the format, but not to `lines`.
        prop_assume!(!value.contains('\r'));
        let families = read(&text).map_err(TestCaseError::fail)?;
        prop_assert_eq!(families["hits_total"].series[&(String::new(), label("from", &value))], 1.0);
    }

    #[test]
    fn buckets_never_fall_and_end_at_the_count(records in prop::collection::vec(0u64..200_000_000, 0..200)) {
        let meters = Meters::new();
        let histogram = meters.histogram("took_seconds", "", &[]);
        records.iter().for_each(|micros| histogram.record(Duration::from_micros(*micros)));
        let families = read(&render(&meters)).map_err(TestCaseError::fail)?;
        let series = &families["took_seconds"].series;
        let mut last = 0.0;
        for bound in BOUNDS {
            let bucket = series[&("_bucket".to_owned(), label("le", &bound.as_secs_f64().to_string()))];
            let exact = records.iter().filter(|micros| Duration::from_micros(**micros) <= bound).count() as f64;
            prop_assert!(bucket >= last && bucket <= exact);
            last = bucket;
        }
        let count = series[&("_count".to_owned(), vec![])];
        prop_assert_eq!(count, records.len() as f64);
        prop_assert_eq!(series[&("_bucket".to_owned(), label("le", "+Inf"))], count);
        prop_assert!(last <= count);
    }
}
