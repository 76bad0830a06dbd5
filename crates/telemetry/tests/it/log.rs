//! A line is one line, says what happened, and never waits for its reader.

use std::io::Write;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use burgeon_telemetry::{Config, Format, LogLevel, Sink, dispatch, init};
use serde_json::Value;
use tracing::dispatcher::with_default;
use tracing::{debug, error, info, info_span, warn};

const LONG: Duration = Duration::from_secs(20);

/// Keeps what is written.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The lines that `work` logs.
fn logged(format: Format, level: &str, work: impl FnOnce(&LogLevel)) -> Vec<String> {
    let paper = Paper::default();
    let sink = Sink::to(paper.clone()).unwrap();
    let (dispatch, level) = dispatch(&Config { level: level.to_owned(), format }, &sink).unwrap();
    with_default(&dispatch, || work(&level));
    sink.flush(LONG).unwrap();
    assert_eq!(sink.lost(), 0);
    let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap()
}

#[test]
fn a_json_line_has_time_level_target_message_and_typed_fields() {
    let lines = logged(Format::Json, "info", |_| {
        warn!(
            count = 3_u64,
            below = -1_i64,
            share = 0.5,
            broken = f64::NAN,
            well = true,
            who = "Ada \"the first\"",
            place = ?std::path::Path::new("/a\nb"),
            failure = &std::io::Error::other("disk\u{1b}[31m on fire") as &(dyn std::error::Error + 'static),
            "two\nlines"
        );
    });
    let line = json(&lines[0]);
    assert_eq!(lines.len(), 1);
    let time: jiff::Timestamp = line["ts"].as_str().unwrap().parse().unwrap();
    assert!(
        (jiff::Timestamp::now() - time).get_seconds().abs() < 60
            && line["ts"].as_str().unwrap().ends_with('Z')
    );
    assert_eq!(line["level"], "warn");
    assert_eq!(line["target"], "it::log");
    assert_eq!(line["message"], "two\nlines");
    let fields = serde_json::json!({
        "count": 3, "below": -1, "share": 0.5, "broken": "NaN", "well": true, "who": "Ada \"the first\"",
        "place": "\"/a\\nb\"", "failure": "disk\u{1b}[31m on fire",
    });
    assert_eq!(line["fields"], fields);
}

#[test]
fn trace_and_span_ids_stand_beside_the_message_wherever_they_come_from() {
    let lines = logged(Format::Json, "info", |_| {
        info!(trace_id = %"aaaa", span_id = %"bbbb", status = 200, "request");
        let outer = info_span!("request", trace_id = "cccc", span_id = tracing::field::Empty, route = "/a");
        let _outer = outer.enter();
        outer.record("span_id", "dddd");
        let _inner = info_span!("statement", name = "find_product").entered();
        info!("slow");
        info!("trace_id" = "eeee", "another's");
    });
    let first = json(&lines[0]);
    assert_eq!((&first["trace_id"], &first["span_id"]), (&Value::from("aaaa"), &Value::from("bbbb")));
    assert_eq!(first["fields"], serde_json::json!({"status": 200}));
    let second = json(&lines[1]);
    assert_eq!((&second["trace_id"], &second["span_id"]), (&Value::from("cccc"), &Value::from("dddd")));
    let spans = serde_json::json!([{"name": "request", "fields": {"route": "/a"}}, {"name": "statement", "fields": {"name": "find_product"}}]);
    assert_eq!(second["spans"], spans);
    assert_eq!(json(&lines[2])["trace_id"], "eeee");
}

#[test]
fn a_text_line_is_for_people_and_cannot_be_forged() {
    let lines = logged(Format::Text, "info", |_| {
        info!(
            status = 200,
            path = "/a b",
            agent = "x\u{1b}[2J\r\nfake",
            trace_id = "abc",
            "hello\nERROR forged"
        );
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    let (time, rest) = lines[0].split_once(' ').unwrap();
    assert_eq!(time.len(), "12:00:00.123".len());
    assert_eq!(
        rest,
        " INFO it::log  hello\\nERROR forged status=200 path=\"/a b\" agent=x\\u{1b}[2J\\r\\nfake trace=abc"
    );
}

#[test]
fn the_level_changes_while_the_process_runs() {
    fn work(round: u32) {
        debug!(round, "detail");
        info!(round, "news");
        error!(round, "trouble");
    }
    let lines = logged(Format::Json, "info", |level| {
        work(1);
        level.set("off,it=debug").unwrap();
        assert_eq!(level.get().as_deref(), Some("off,it=debug"));
        work(2);
        level.set("error").unwrap();
        work(3);
        let refused = level.set("loud").unwrap_err();
        assert!(refused.public().contains("`loud` is not a level"), "{refused}");
        assert_eq!(level.get().as_deref(), Some("error"));
        work(4);
    });
    let seen: Vec<_> = lines
        .iter()
        .map(|line| {
            let line = json(line);
            (line["fields"]["round"].as_u64().unwrap(), line["message"].as_str().unwrap().to_owned())
        })
        .collect();
    let expected = [
        (1, "news"),
        (1, "trouble"),
        (2, "detail"),
        (2, "news"),
        (2, "trouble"),
        (3, "trouble"),
        (4, "trouble"),
    ];
    assert_eq!(seen, expected.map(|(round, message)| (round, message.to_owned())));
}

#[test]
fn a_value_without_end_is_cut() {
    struct Endless;
    impl std::fmt::Debug for Endless {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            loop {
                f.write_str("\u{e4}ndless ")?;
            }
        }
    }
    let lines = logged(Format::Json, "info", |_| info!(value = ?Endless, "long"));
    let line = json(&lines[0]);
    let value = line["fields"]["value"].as_str().unwrap();
    assert!(value.len() < 9_000 && value.ends_with("[cut]"), "{}", value.len());
}

/// Writes only when it is let.
struct Stuck {
    go: mpsc::Receiver<()>,
    paper: Paper,
    free: bool,
}

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if !self.free {
            // An error says that the test has let go for good.
            self.free = self.go.recv().is_err();
        }
        self.paper.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_does_not_read_costs_lines_and_never_time() {
    let (go, wait) = mpsc::channel();
    let paper = Paper::default();
    let sink = Sink::to(Stuck { go: wait, paper: paper.clone(), free: false }).unwrap();
    let (dispatch, _) = dispatch(&Config { format: Format::Json, ..Config::default() }, &sink).unwrap();
    // More than the queue holds. Were it to wait for the reader, this would never end.
    const EVENTS: u64 = 50_000;
    with_default(&dispatch, || (0..EVENTS).for_each(|number| info!(number, "event")));
    assert!(sink.lost() > 0 && sink.lost() < EVENTS, "{sink:?}");
    assert!(sink.flush(Duration::from_millis(20)).is_err(), "a flush has a bound, too");

    drop(go);
    sink.flush(LONG).unwrap();
    let lost = sink.lost();
    assert_eq!(sink.written() + lost, EVENTS);
    let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
    let told =
        text.lines().filter_map(|line| line.strip_prefix("... ")?.split_once(' ')?.0.parse::<u64>().ok());
    assert_eq!(told.sum::<u64>(), lost, "the gap is told in the log itself");
    assert_eq!(text.lines().filter(|line| line.starts_with('{')).count() as u64, sink.written());
}

#[test]
fn a_second_application_in_the_process_is_told_that_the_log_is_not_its_own() {
    let refused = init(&Config { level: "loud".into(), ..Config::default() }).unwrap_err();
    assert!(refused.public().contains("`level`: `loud` is not a level"), "{refused}");

    let first = init(&Config { level: "error".into(), ..Config::default() }).unwrap();
    let second = init(&Config::default()).unwrap();
    assert!(first.log_is_ours() && !second.log_is_ours());
    assert_eq!(first.level().get().as_deref(), Some("error"));
    assert_eq!(second.level().get(), None);
    assert_eq!(second.level().set("debug").unwrap_err().kind(), burgeon_core::Kind::Conflict);
    assert!(first.metrics(&burgeon_meter::Meters::new()).contains("log_lines_lost_total "));
    assert!(!second.metrics(&burgeon_meter::Meters::new()).contains("log_lines"));
}
