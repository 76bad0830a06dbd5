//! What is wrong with a text, in words for the person who wrote it.

use std::fmt;

/// What is wrong, and with which field, once that is known.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) field: Option<String>,
    pub(super) message: String,
    pub(super) is_ours: bool,
}

impl Wrong {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { field: None, message: message.into(), is_ours: false }
    }

    pub(super) fn at(mut self, field: &str) -> Self {
        self.field.get_or_insert_with(|| field.to_owned());
        self
    }

    pub(super) fn ours(message: impl Into<String>) -> Self {
        Self { is_ours: true, ..Self::new(message) }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Wrong {}

impl serde::de::Error for Wrong {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn missing_field(field: &'static str) -> Self {
        Self { field: Some(field.to_owned()), message: "is missing".to_owned(), is_ours: false }
    }

    fn unknown_field(field: &str, _expected: &'static [&'static str]) -> Self {
        Self { field: Some(field.to_owned()), message: "is not known here".to_owned(), is_ours: false }
    }

    fn unknown_variant(_variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("must be one of {}", expected.join(", ")))
    }
}
