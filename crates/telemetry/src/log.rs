//! From a `tracing` event to a line.

mod json;
mod sink;
mod text;

use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Registry};

pub use self::sink::Sink;
use crate::{Config, Filter, Format, LogLevel};

/// The longest value a line takes; what is longer is cut and says so.
const VALUE_LIMIT: usize = 8 * 1024;

/// A subscriber that writes lines to a sink. [`init`](crate::init) makes one for the process; a test may have its own
/// (`tracing::dispatcher::with_default`).
///
/// # Errors
/// A sentence, when the configuration's level is not one.
pub fn dispatch(config: &Config, sink: &Sink) -> Result<(Dispatch, LogLevel), String> {
    let filter = Arc::new(RwLock::new(config.level.parse::<Filter>()?));
    let look = match config.format {
        Format::Json => Look::Json,
        Format::Auto if !sink.is_terminal() => Look::Json,
        Format::Auto | Format::Text => Look::Text { coloured: sink.is_terminal() },
    };
    let level = LogLevel::ours(filter.clone());
    Ok((Dispatch::new(Registry::default().with(Lines { filter, look, sink: sink.clone() })), level))
}

struct Lines {
    filter: Arc<RwLock<Filter>>,
    look: Look,
    sink: Sink,
}

#[derive(Clone, Copy)]
enum Look {
    Json,
    Text { coloured: bool },
}

/// One event, ready to be written.
struct Line<'a> {
    at: Timestamp,
    metadata: &'static Metadata<'static>,
    fields: Fields,
    // The outermost first.
    spans: &'a [(&'static str, Fields)],
}

/// Names and values, in the order they were recorded.
#[derive(Debug, Clone, Default)]
struct Fields {
    message: Option<String>,
    trace_id: Option<String>,
    span_id: Option<String>,
    rest: Vec<(&'static str, Value)>,
}

#[derive(Debug, Clone)]
enum Value {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Bool(bool),
    Text(String),
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    // Asked once per place that logs, and again when the filter changes; an event that nobody wants costs one load.
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        match self.wants(metadata) {
            true => Interest::always(),
            false => Interest::never(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.wants(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.filter.read().unwrap_or_else(PoisonError::into_inner).most())
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let spans: Vec<_> = context
            .event_scope(event)
            .into_iter()
            .flat_map(|scope| scope.from_root())
            .map(|span| (span.name(), span.extensions().get::<Fields>().cloned().unwrap_or_default()))
            .collect();
        for (_, span) in spans.iter().rev() {
            fields.trace_id = fields.trace_id.or_else(|| span.trace_id.clone());
            fields.span_id = fields.span_id.or_else(|| span.span_id.clone());
        }
        let line = Line { at: Timestamp::now(), metadata: event.metadata(), fields, spans: &spans };
        self.sink.write(match self.look {
            Look::Json => json::render(&line),
            Look::Text { coloured } => text::render(&line, coloured),
        });
    }
}

impl Lines {
    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        self.filter.read().unwrap_or_else(PoisonError::into_inner).wants(metadata)
    }
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::Text(text)) => self.message = Some(text),
            ("trace_id", Value::Text(text)) => self.trace_id = Some(text),
            ("span_id", Value::Text(text)) => self.span_id = Some(text),
            (name, value) => match self.rest.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = value,
                None => self.rest.push((name, value)),
            },
        }
    }
}

impl Visit for Fields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::Signed(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::Unsigned(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Value::Float(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::Bool(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::Text(bounded(format_args!("{value}"))));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = bounded(format_args!("{value}"));
        let mut next = value.source();
        while let Some(source) = next.filter(|_| text.len() < VALUE_LIMIT) {
            text.push_str(": ");
            text.push_str(&bounded(format_args!("{source}")));
            next = source.source();
        }
        self.put(field, Value::Text(text));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.put(field, Value::Text(bounded(format_args!("{value:?}"))));
    }
}

/// The text, cut at the limit. What lies beyond is never made: a debug output of a gigabyte costs eight kilobytes.
fn bounded(text: std::fmt::Arguments<'_>) -> String {
    struct Bounded(String);

    impl std::fmt::Write for Bounded {
        fn write_str(&mut self, more: &str) -> std::fmt::Result {
            let room = VALUE_LIMIT.saturating_sub(self.0.len());
            if more.len() <= room {
                self.0.push_str(more);
                return Ok(());
            }
            self.0.push_str(&more[..more.floor_char_boundary(room)]);
            Err(std::fmt::Error)
        }
    }

    let mut bounded = Bounded(String::new());
    if std::fmt::write(&mut bounded, text).is_err() {
        bounded.0.push_str(" [cut]");
    }
    bounded.0
}
