//! A line for machines: one JSON object.
//!
//! ```json
//! {"ts":"2026-01-31T12:00:00.123456Z","level":"info","target":"burgeon_http","message":"request",
//!  "fields":{"status":200},"spans":[{"name":"import","fields":{"file":"a.csv"}}],"trace_id":"4bf9..","span_id":"00f0.."}
//! ```
//!
//! `fields` and `spans` are left out when empty. Fields are nested so that none can hide `level` or `message`.

use std::io::Write as _;

use super::{Fields, Line, Value};

pub(super) fn render(line: &Line<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    // Writing to a vector cannot fail.
    let _ = write!(out, "{{\"ts\":\"{:.6}\",\"level\":\"", line.at);
    out.extend(line.metadata.level().as_str().bytes().map(|byte| byte.to_ascii_lowercase()));
    out.extend_from_slice(b"\",\"target\":");
    string(&mut out, line.metadata.target());
    out.extend_from_slice(b",\"message\":");
    string(&mut out, line.fields.message.as_deref().unwrap_or_default());
    members(&mut out, &line.fields);
    if !line.spans.is_empty() {
        out.extend_from_slice(b",\"spans\":[");
        for (index, (name, fields)) in line.spans.iter().enumerate() {
            out.extend_from_slice(if index == 0 { b"{\"name\":" } else { b",{\"name\":" });
            string(&mut out, name);
            members(&mut out, fields);
            out.push(b'}');
        }
        out.push(b']');
    }
    for (name, id) in [("trace_id", &line.fields.trace_id), ("span_id", &line.fields.span_id)] {
        if let Some(id) = id {
            let _ = write!(out, ",\"{name}\":");
            string(&mut out, id);
        }
    }
    out.extend_from_slice(b"}\n");
    out
}

/// `,"fields":{..}`, unless there are none.
fn members(out: &mut Vec<u8>, fields: &Fields) {
    if fields.rest.is_empty() {
        return;
    }
    out.extend_from_slice(b",\"fields\":");
    for (index, (name, value)) in fields.rest.iter().enumerate() {
        out.push(if index == 0 { b'{' } else { b',' });
        string(out, name);
        out.push(b':');
        let _ = match value {
            Value::Signed(number) => write!(out, "{number}"),
            Value::Unsigned(number) => write!(out, "{number}"),
            // JSON knows neither NaN nor infinity.
            Value::Float(number) if number.is_finite() => write!(out, "{number}"),
            Value::Float(number) => write!(out, "\"{number}\""),
            Value::Bool(value) => write!(out, "{value}"),
            Value::Text(text) => {
                string(out, text);
                Ok(())
            }
        };
    }
    out.push(b'}');
}

fn string(out: &mut Vec<u8>, text: &str) {
    // Text into a vector cannot fail.
    let _ = serde_json::to_writer(out, text);
}
