//! The page a browser shows when something failed and the application has none of its own.

use std::fmt::Write as _;

use crate::door::Asked;
use crate::problem::Problem;

/// Text for HTML, in elements and in quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

pub(crate) fn default_page(problem: &Problem, _asked: &Asked) -> String {
    let title = escape(&problem.title);
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{title}</title><style>\
         :root{{color-scheme:light dark}}body{{font:1.05rem/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1.5rem}}\
         p.status{{font-size:.9rem;opacity:.65;margin:0}}h1{{margin:.2rem 0 1rem}}code{{opacity:.7}}</style></head><body>\
         <main><p class=\"status\">{}</p><h1>{title}</h1><p>{}</p>",
        problem.status,
        escape(&problem.detail),
    );
    if !problem.errors.is_empty() {
        page.push_str("<ul>");
        for refused in &problem.errors {
            let _ = write!(page, "<li><b>{}</b> {}</li>", escape(&refused.field), escape(&refused.message));
        }
        page.push_str("</ul>");
    }
    if let Some(id) = &problem.instance {
        let _ = write!(page, "<p>If you ask for help, name this request: <code>{}</code></p>", escape(id));
    }
    page.push_str("<p><a href=\"/\">Back to the start</a></p></main></body></html>");
    page
}
