//! Fields of forms: a label, an input, a hint, and what is wrong with it, tied together for every reader.

use burgeon::http::{CSRF_FIELD, Submitted};
use maud::{Markup, html};

use crate::visitor::Visitor;

/// The hidden input that proves that the form is this page's.
pub(crate) fn token(visitor: &Visitor) -> Markup {
    html! { input type="hidden" name=(CSRF_FIELD) value=(visitor.form_token()); }
}

/// A text field.
pub(crate) struct Field {
    name: &'static str,
    label: &'static str,
    kind: &'static str,
    autocomplete: &'static str,
    hint: &'static str,
    rows: u8,
}

impl Field {
    /// A line of text.
    pub(crate) fn text(name: &'static str, label: &'static str) -> Self {
        Self { name, label, kind: "text", autocomplete: "off", hint: "", rows: 1 }
    }

    /// An email address.
    pub(crate) fn email(name: &'static str, label: &'static str) -> Self {
        Self { kind: "email", autocomplete: "email", ..Self::text(name, label) }
    }

    /// A password, never shown again.
    pub(crate) fn password(name: &'static str, label: &'static str) -> Self {
        Self { kind: "password", ..Self::text(name, label) }
    }

    /// Several lines of text.
    pub(crate) fn area(name: &'static str, label: &'static str, rows: u8) -> Self {
        Self { rows, ..Self::text(name, label) }
    }

    /// What browsers may fill in.
    pub(crate) fn autocomplete(mut self, autocomplete: &'static str) -> Self {
        self.autocomplete = autocomplete;
        self
    }

    /// A sentence of help.
    pub(crate) fn hint(mut self, hint: &'static str) -> Self {
        self.hint = hint;
        self
    }

    /// The field as it was submitted. What is wrong with it takes the focus; of several the browser picks the first.
    pub(crate) fn render<T>(self, submitted: &Submitted<T>) -> Markup {
        let Field { name, label, kind, autocomplete, hint, rows } = self;
        let error = submitted.error(name);
        let typed = if kind == "password" { "" } else { submitted.typed(name) };
        let described = match (error, hint) {
            (Some(_), _) => Some(format!("{name}-error")),
            (None, "") => None,
            (None, _) => Some(format!("{name}-hint")),
        };
        html! {
            div.field {
                label for=(name) { (label) }
                @if rows > 1 {
                    textarea id=(name) name=(name) rows=(rows) required autofocus[error.is_some()] aria-invalid=[error.map(|_| "true")]
                        aria-describedby=[described] { (typed) }
                } @else {
                    input id=(name) name=(name) type=(kind) value=(typed) autocomplete=(autocomplete)
                        required autofocus[error.is_some()] aria-invalid=[error.map(|_| "true")] aria-describedby=[described];
                }
                @if let Some(error) = error {
                    p.error id={ (name) "-error" } { (label) " " (error) "." }
                } @else if !hint.is_empty() {
                    p.hint id={ (name) "-hint" } { (hint) }
                }
            }
        }
    }
}

/// Text as the value of a query: letters, digits and what is harmless stay as they are.
pub(crate) fn query_escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                escaped.push(char::from(byte))
            }
            other => escaped.push_str(&format!("%{other:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_value_cannot_break_out() {
        assert_eq!(query_escaped("/orders"), "/orders");
        assert_eq!(query_escaped("a&b=c d\"é"), "a%26b%3Dc%20d%22%C3%A9");
    }
}
