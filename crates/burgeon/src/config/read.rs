//! From the tree to a section's own type, by serde, with errors that know the key and its origin.
//!
//! The types decide what is known: an unknown field, a wrong type and a missing field are reported by serde's derive
//! for the section's type itself, so there is no second list of keys to forget.

use std::fmt::{self, Display};

use serde::Deserialize;
use serde::de::value::StringDeserializer;
use serde::de::{
    self, DeserializeSeed, EnumAccess, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};

use super::tree::{Node, Origin, Step, Value};

/// Why a tree is not a `T`, and where in the tree.
#[derive(Debug)]
pub(super) struct Refused {
    /// From the outermost step to the innermost.
    pub(super) path: Vec<Step>,
    pub(super) origin: Option<Origin>,
    pub(super) why: Why,
}

#[derive(Debug)]
pub(super) enum Why {
    /// The last step of the path is not a key; these are (none named: the type did not say).
    Unknown(Vec<String>),
    Missing(&'static str),
    Other(String),
}

/// Reads a `T` from the tree.
pub(super) fn read<T: for<'de> Deserialize<'de>>(node: &Node) -> Result<T, Refused> {
    T::deserialize(Reader(node))
}

impl Refused {
    fn new(why: Why) -> Self {
        Self { path: Vec::new(), origin: None, why }
    }

    /// Adds the step on the way out, and the origin if no inner step knew it.
    fn within(mut self, step: Step, origin: &Origin) -> Self {
        self.path.insert(0, step);
        self.origin.get_or_insert_with(|| origin.clone());
        self
    }
}

impl std::error::Error for Refused {}

impl Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            Why::Unknown(_) => f.write_str("not a key"),
            Why::Missing(key) => write!(f, "`{key}` is missing"),
            Why::Other(message) => f.write_str(message),
        }
    }
}

impl de::Error for Refused {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(Why::Other(message.to_string()))
    }

    // The value itself is left out: it may be a secret written with the wrong type.
    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        // Serde names Rust's types; the reader of a configuration need not know them.
        let expected = match expected.to_string().as_str() {
            "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" | "isize" => {
                "a whole number".to_owned()
            }
            "f32" | "f64" => "a number".to_owned(),
            "a boolean" => "true or false".to_owned(),
            "a string" => "text".to_owned(),
            "a sequence" => "a list".to_owned(),
            other if other.starts_with("struct ") => "a table".to_owned(),
            other => other.to_owned(),
        };
        Self::custom(format_args!("expected {expected}, found {}", kind_of(&found)))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let expected = expected.iter().map(|key| (*key).to_owned()).collect();
        Self { path: vec![Step::Key(field.to_owned())], origin: None, why: Why::Unknown(expected) }
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Why::Missing(field))
    }
}

fn kind_of(found: &Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "true or false",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "a whole number",
        Unexpected::Float(_) => "a number with a point",
        Unexpected::Str(_) | Unexpected::Char(_) => "text",
        Unexpected::Map => "a table",
        Unexpected::Seq => "a list",
        _ => "something else",
    }
}

struct Reader<'a>(&'a Node);

macro_rules! numbers {
    ($($deserialize:ident $visit:ident $type:ty, $expected:literal;)*) => {$(
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
            match &self.0.value {
                Value::Loose(text) => match text.trim().parse::<$type>() {
                    Ok(number) => visitor.$visit(number),
                    Err(_) => Err(de::Error::custom(concat!("expected ", $expected))),
                },
                _ => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> de::Deserializer<'de> for Reader<'_> {
    type Error = Refused;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match &self.0.value {
            Value::Table(_) => self.deserialize_map(visitor),
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Bool(flag) => visitor.visit_bool(*flag),
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Text(text) | Value::Loose(text) => visitor.visit_str(text),
        }
    }

    numbers! {
        deserialize_i8 visit_i8 i8, "a whole number from -128 to 127";
        deserialize_i16 visit_i16 i16, "a whole number from -32768 to 32767";
        deserialize_i32 visit_i32 i32, "a whole number of 32 bits";
        deserialize_i64 visit_i64 i64, "a whole number";
        deserialize_u8 visit_u8 u8, "a whole number from 0 to 255";
        deserialize_u16 visit_u16 u16, "a whole number from 0 to 65535";
        deserialize_u32 visit_u32 u32, "a whole number from 0 to 4294967295";
        deserialize_u64 visit_u64 u64, "a whole number that is not negative";
        deserialize_f32 visit_f32 f32, "a number";
        deserialize_f64 visit_f64 f64, "a number";
        deserialize_bool visit_bool bool, "true or false";
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match &self.0.value {
            // TOML has no null; an empty variable is how none is written where a file says otherwise.
            Value::Loose(text) if text.is_empty() => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match &self.0.value {
            Value::List(items) => visitor.visit_seq(Items { items, next: 0 }),
            Value::Loose(text) => {
                let items: Vec<Node> = text
                    .split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty())
                    .map(|item| Node { value: Value::Loose(item.to_owned()), origin: self.0.origin.clone() })
                    .collect();
                visitor.visit_seq(Items { items: &items, next: 0 })
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match &self.0.value {
            Value::Table(entries) => visitor.visit_map(Entries { entries: entries.iter(), value: None }),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        match &self.0.value {
            Value::Text(text) | Value::Loose(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            Value::Table(entries) if entries.len() == 1 => match entries.iter().next() {
                Some((variant, node)) => visitor.visit_enum(Variant { variant, node }),
                None => Err(de::Error::custom("expected the name of a variant")),
            },
            _ => Err(de::Error::custom("expected the name of a variant")),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        visitor.visit_newtype_struct(self)
    }

    // A type without `deny_unknown_fields` would pass over a key in silence; here that is a mistake like any other.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Refused> {
        Err(Refused::new(Why::Unknown(Vec::new())))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.deserialize_map(visitor)
    }

    serde::forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct identifier i128 u128
    }
}

struct Items<'a> {
    items: &'a [Node],
    next: usize,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Refused;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refused> {
        let Some(node) = self.items.get(self.next) else { return Ok(None) };
        let step = Step::Index(self.next);
        self.next += 1;
        seed.deserialize(Reader(node)).map(Some).map_err(|refused| refused.within(step, &node.origin))
    }
}

struct Entries<'a, I> {
    entries: I,
    value: Option<(&'a String, &'a Node)>,
}

impl<'de, 'a, I: Iterator<Item = (&'a String, &'a Node)>> MapAccess<'de> for Entries<'a, I> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refused> {
        let Some((key, node)) = self.entries.next() else { return Ok(None) };
        self.value = Some((key, node));
        let key: StringDeserializer<Refused> = key.clone().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|mut refused| {
            // An unknown field already carries its own step.
            refused.origin.get_or_insert_with(|| node.origin.clone());
            refused
        })
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refused> {
        let Some((key, node)) = self.value.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        seed.deserialize(Reader(node)).map_err(|refused| refused.within(Step::Key(key.clone()), &node.origin))
    }
}

struct Variant<'a> {
    variant: &'a String,
    node: &'a Node,
}

impl<'de, 'a> EnumAccess<'de> for Variant<'a> {
    type Error = Refused;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Refused> {
        let variant: StringDeserializer<Refused> = self.variant.clone().into_deserializer();
        Ok((seed.deserialize(variant)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Refused;

    fn unit_variant(self) -> Result<(), Refused> {
        Err(de::Error::custom(format_args!("`{}` takes no values", self.variant)))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Refused> {
        seed.deserialize(Reader(self.node))
            .map_err(|refused| refused.within(Step::Key(self.variant.clone()), &self.node.origin))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Refused> {
        de::Deserializer::deserialize_seq(Reader(self.node), visitor)
            .map_err(|refused| refused.within(Step::Key(self.variant.clone()), &self.node.origin))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        de::Deserializer::deserialize_map(Reader(self.node), visitor)
            .map_err(|refused| refused.within(Step::Key(self.variant.clone()), &self.node.origin))
    }
}
