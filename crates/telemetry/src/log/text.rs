//! A line for people: `12:00:00.123  INFO burgeon_http  request method=GET status=200`, times in UTC.

use std::fmt::Write as _;

use tracing::Level;

use super::{Fields, Line, Value};

const DIM: &str = "\x1b[2m";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

pub(super) fn render(line: &Line<'_>, coloured: bool) -> Vec<u8> {
    let paint = |code: &'static str| if coloured { code } else { "" };
    let (dim, bold, plain) = (paint(DIM), paint(BOLD), paint(PLAIN));
    let level = *line.metadata.level();
    let colour = paint(match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG => "\x1b[34m",
        Level::TRACE => "\x1b[35m",
    });
    let mut out = String::with_capacity(160);
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "{dim}{}{plain} {colour}{level:>5}{plain} {dim}{}{plain}  ",
        line.at.strftime("%H:%M:%S%.3f"),
        line.metadata.target(),
    );
    for (name, fields) in line.spans {
        let _ = write!(out, "{bold}{name}{plain}");
        members(&mut out, fields, dim, plain);
        out.push_str(": ");
    }
    harmless(&mut out, line.fields.message.as_deref().unwrap_or_default());
    members(&mut out, &line.fields, dim, plain);
    if let Some(id) = &line.fields.trace_id {
        let _ = write!(out, " {dim}trace=");
        harmless(&mut out, id);
        out.push_str(plain);
    }
    out.push('\n');
    out.into_bytes()
}

fn members(out: &mut String, fields: &Fields, dim: &str, plain: &str) {
    for (name, value) in &fields.rest {
        let _ = write!(out, " {dim}{name}={plain}");
        let _ = match value {
            Value::Signed(number) => write!(out, "{number}"),
            Value::Unsigned(number) => write!(out, "{number}"),
            Value::Float(number) => write!(out, "{number}"),
            Value::Bool(value) => write!(out, "{value}"),
            Value::Text(text) if text.is_empty() || text.contains([' ', '"', '=']) => {
                out.push('"');
                harmless(out, &text.replace('"', "\\\""));
                out.push('"');
                Ok(())
            }
            Value::Text(text) => {
                harmless(out, text);
                Ok(())
            }
        };
    }
}

/// Without control characters: they could forge a line or command the terminal.
fn harmless(out: &mut String, text: &str) {
    for character in text.chars() {
        if character.is_control() {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
}
