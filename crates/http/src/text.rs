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

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use http::StatusCode;
use percent_encoding::percent_decode;
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, DeserializeSeed, EnumAccess, IntoDeserializer, VariantAccess, Visitor};

use burgeon_core::{Field, Result};

use crate::extract::Params;
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
        match T::deserialize(Form { fields: grouped(pairs, &skip) }) {
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
pub(crate) fn from_params<T: DeserializeOwned>(params: &Params) -> Result<T, Misfit> {
    T::deserialize(Positional { params }).map_err(|error| Misfit {
        is_ours: error.is_ours,
        field: error
            .field
            .unwrap_or_else(|| params.first().map_or_else(String::new, |(name, _)| name.to_string())),
        message: error.message,
    })
}

// ---- errors ----

/// What is wrong, and with which field, once that is known.
#[derive(Debug)]
struct Wrong {
    field: Option<String>,
    message: String,
    is_ours: bool,
}

impl Wrong {
    fn new(message: impl Into<String>) -> Self {
        Self { field: None, message: message.into(), is_ours: false }
    }

    fn at(mut self, field: &str) -> Self {
        self.field.get_or_insert_with(|| field.to_owned());
        self
    }

    fn ours(message: impl Into<String>) -> Self {
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

// ---- one value ----

/// One value, in words.
#[derive(Clone)]
struct Text<'a>(&'a str);

macro_rules! parsed {
    ($($method:ident $visit:ident $of:ty, $expected:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            match self.0.trim().parse::<$of>() {
                Ok(number) => visitor.$visit(number),
                Err(_) if self.0.trim().is_empty() => Err(Wrong::new("must not be empty")),
                Err(_) => Err(Wrong::new($expected)),
            }
        }
    )*};
}

impl<'de> serde::Deserializer<'de> for Text<'_> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_str(self.0)
    }

    parsed! {
        deserialize_i8 visit_i8 i8, "must be a whole number from -128 to 127";
        deserialize_i16 visit_i16 i16, "must be a whole number from -32768 to 32767";
        deserialize_i32 visit_i32 i32, "must be a whole number";
        deserialize_i64 visit_i64 i64, "must be a whole number";
        deserialize_i128 visit_i128 i128, "must be a whole number";
        deserialize_u8 visit_u8 u8, "must be a whole number from 0 to 255";
        deserialize_u16 visit_u16 u16, "must be a whole number from 0 to 65535";
        deserialize_u32 visit_u32 u32, "must be a whole number, not below 0";
        deserialize_u64 visit_u64 u64, "must be a whole number, not below 0";
        deserialize_u128 visit_u128 u128, "must be a whole number, not below 0";
        deserialize_f32 visit_f32 f32, "must be a number";
        deserialize_f64 visit_f64 f64, "must be a number";
        deserialize_char visit_char char, "must be one character";
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        // `on` is what a browser sends for a checkbox without a value.
        match self.0 {
            "true" | "on" | "1" | "yes" => visitor.visit_bool(true),
            "false" | "off" | "0" | "no" | "" => visitor.visit_bool(false),
            _ => Err(Wrong::new("must be true or false")),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        if self.0.is_empty() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_seq(SeqDeserializer::new(std::iter::once(self)))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        visitor.visit_enum(Variant(self.0))
    }

    serde::forward_to_deserialize_any! {
        str string bytes byte_buf tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Wrong> for Text<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// The name of a variant without content: the only sort a form can hold.
struct Variant<'a>(&'a str);

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Wrong;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Wrong> {
        let value = seed.deserialize(Text(self.0))?;
        Ok((value, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Wrong;

    fn unit_variant(self) -> Result<(), Wrong> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _seed: T) -> Result<T::Value, Wrong> {
        Err(Wrong::ours("a variant with content cannot be read from text"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, _visitor: V) -> Result<V::Value, Wrong> {
        Err(Wrong::ours("a variant with content cannot be read from text"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Wrong> {
        Err(Wrong::ours("a variant with content cannot be read from text"))
    }
}

// ---- several values of one name ----

/// Every value of one name, which errors are then said to be about.
struct Values<'a> {
    name: &'a str,
    values: Vec<&'a str>,
}

impl<'a> Values<'a> {
    /// Of several values for something that is one, the last counts, as in every other form library.
    fn last(&self) -> Text<'a> {
        Text(self.values.last().copied().unwrap_or_default())
    }
}

macro_rules! the_last {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            self.last().$method(visitor).map_err(|error| error.at(self.name))
        }
    )*};
}

impl<'de> serde::Deserializer<'de> for Values<'_> {
    type Error = Wrong;

    the_last! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64 deserialize_char deserialize_str deserialize_string deserialize_bytes
        deserialize_byte_buf deserialize_unit deserialize_map deserialize_identifier deserialize_ignored_any
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.values.as_slice() {
            [] | [""] => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let name = self.name;
        visitor
            .visit_seq(SeqDeserializer::new(self.values.into_iter().map(Text)))
            .map_err(|error: Wrong| error.at(name))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let name = self.name;
        visitor.visit_newtype_struct(self).map_err(|error: Wrong| error.at(name))
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        visitor.visit_unit()
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Wrong> {
        Err(Wrong::ours("a struct cannot be read from one value of text").at(self.name))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.last().deserialize_enum(name, variants, visitor).map_err(|error| error.at(self.name))
    }
}

impl<'de> IntoDeserializer<'de, Wrong> for Values<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

// ---- the whole ----

struct Form<'a> {
    fields: Vec<Values<'a>>,
}

/// Values by name, in the order in which the names came first.
fn grouped<'a>(pairs: &'a Pairs<'_>, skip: &BTreeSet<String>) -> Vec<Values<'a>> {
    let mut at = std::collections::HashMap::new();
    let mut fields: Vec<Values<'a>> = Vec::new();
    for (name, value) in pairs.iter().filter(|(name, _)| !skip.contains(&**name)) {
        let index = *at.entry(&**name).or_insert_with(|| {
            fields.push(Values { name, values: Vec::new() });
            fields.len() - 1
        });
        fields[index].values.push(value);
    }
    fields
}

impl<'de> serde::Deserializer<'de> for Form<'_> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let fields = self.fields.into_iter().map(|values| (values.name.to_owned(), values));
        visitor.visit_map(MapDeserializer::new(fields))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        if self.fields.is_empty() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

struct Positional<'a> {
    params: &'a Params,
}

impl<'a> Positional<'a> {
    fn only(&self) -> Result<Values<'a>, Wrong> {
        match self.params.as_slice() {
            [(name, value)] => Ok(Values { name, values: vec![value] }),
            several => Err(Wrong::ours(format!("has {} values where the handler takes one", several.len()))),
        }
    }
}

macro_rules! the_only {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            self.only()?.$method(visitor)
        }
    )*};
}

impl<'de> serde::Deserializer<'de> for Positional<'_> {
    type Error = Wrong;

    the_only! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64 deserialize_char deserialize_str deserialize_string deserialize_bytes
        deserialize_byte_buf deserialize_option deserialize_identifier
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        visitor.visit_unit()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let values = self.params.iter().map(|(name, value)| Values { name, values: vec![value] });
        visitor.visit_seq(SeqDeserializer::new(values))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Wrong> {
        if self.params.len() != len {
            let message = format!("has {} values where the handler takes {len}", self.params.len());
            return Err(Wrong::ours(message));
        }
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let fields = self
            .params
            .iter()
            .map(|(name, value)| (name.to_string(), Values { name, values: vec![value.as_str()] }));
        visitor.visit_map(MapDeserializer::new(fields))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.deserialize_map(visitor).map_err(|error| match error.message.as_str() {
            "is missing" => Wrong { is_ours: true, ..error },
            _ => error,
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.only()?.deserialize_enum(name, variants, visitor)
    }
}

#[cfg(test)]
mod tests;
