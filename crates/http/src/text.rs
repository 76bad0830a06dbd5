//! Typed values from text: the query, forms, and the path.
//!
//! What this is: `application/x-www-form-urlencoded` (WHATWG URL §5) read into any `Deserialize` type, with errors for
//! people and for every field at once. What it is not: nested. Names are taken as they are; a name given several times
//! is a list.
//!
//! # Invariants
//! - An empty value is `None` for an `Option`, `""` for text, and an error for a number.
//! - An unchecked checkbox, which browsers do not send, is `false` where the field has `#[serde(default)]`.
//! - Unknown names are ignored unless the type denies them.

mod form;
mod path;
mod value;
mod wrong;

use std::borrow::Cow;
use std::collections::BTreeSet;

use http::StatusCode;
use percent_encoding::percent_decode;
use serde::de::DeserializeOwned;

use burgeon_core::{Field, Result};

use self::form::Form;
use crate::extract::PathValues;
use crate::problem::status_error;

/// Names and values in the order they were sent.
pub(crate) type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// More than this is not a form that a person filled in.
const MOST_PAIRS: usize = 10_000;

/// So many refused fields tell the story. It also bounds the work: every one of them costs a reading of the whole.
const MOST_REFUSED: usize = 100;

/// Splits and decodes.
///
/// # Errors
/// 400 when what is decoded is not UTF-8, or there are more than 10,000 pairs.
pub(crate) fn pairs(encoded: &[u8]) -> Result<Pairs<'_>> {
    let mut pairs = Vec::new();
    for pair in encoded.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        if pairs.len() == MOST_PAIRS {
            return Err(status_error(StatusCode::BAD_REQUEST, "There are too many fields."));
        }
        let equals = pair.iter().position(|byte| *byte == b'=');
        let (name, value) = match equals {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &pair[..0]),
        };
        pairs.push((decode(name)?, decode(value)?));
    }
    Ok(pairs)
}

fn decode(encoded: &[u8]) -> Result<Cow<'_, str>> {
    let not_utf8 = |_| status_error(StatusCode::BAD_REQUEST, "A name or a value is not valid UTF-8.");
    if !encoded.iter().any(|byte| matches!(byte, b'+' | b'%')) {
        return std::str::from_utf8(encoded).map(Cow::Borrowed).map_err(not_utf8);
    }
    let spaced: Vec<u8> = encoded.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    let decoded = percent_decode(&spaced).decode_utf8().map_err(not_utf8)?;
    Ok(Cow::Owned(decoded.into_owned()))
}

/// Reads a struct (or a map). All fields that do not parse are told at once, not just the first.
pub(crate) fn from_pairs<T: DeserializeOwned>(pairs: &Pairs<'_>) -> Result<T, Vec<Field>> {
    let mut refused: Vec<Field> = Vec::new();
    let mut skip: BTreeSet<String> = BTreeSet::new();
    // Every turn either ends or skips one more name.
    loop {
        match T::deserialize(Form::of(pairs, &skip)) {
            Ok(value) if refused.is_empty() => return Ok(value),
            Ok(_) => return Err(refused),
            Err(error) => {
                let name = error.field.clone().unwrap_or_default();
                let known = skip.contains(&name) || error.field.is_none();
                // Missing because it was skipped: that has been told already.
                if known && !refused.is_empty() {
                    return Err(refused);
                }
                let field = if name.is_empty() { "form".to_owned() } else { name.clone() };
                refused.push(Field { field: field.into(), message: error.message.into() });
                let sent = pairs.iter().any(|(sent, _)| *sent == name);
                if !sent || !skip.insert(name) || refused.len() == MOST_REFUSED {
                    return Err(refused);
                }
            }
        }
    }
}

/// A value of the path that does not fit.
#[derive(Debug)]
pub(crate) struct Misfit {
    pub(crate) field: String,
    pub(crate) message: String,
    /// The pattern and the type disagree, whatever the client sends.
    pub(crate) is_ours: bool,
}

/// Reads the values of a path: one for one, a tuple by position, a struct by name.
pub(crate) fn from_path<T: DeserializeOwned>(values: PathValues<'_>) -> Result<T, Misfit> {
    T::deserialize(path::Values(values)).map_err(|error| Misfit {
        is_ours: error.is_ours,
        field: error
            .field
            .unwrap_or_else(|| values.iter().next().map_or_else(String::new, |(name, _)| name.to_owned())),
        message: error.message,
    })
}

#[cfg(test)]
mod tests;
