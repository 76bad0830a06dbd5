//! Fields by name: a form or a query as the struct it is read into.

use std::collections::{BTreeSet, HashMap};

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{IntoDeserializer, Visitor};

use super::Pairs;
use super::value::Text;
use super::wrong::Wrong;

/// Every value of one name, which errors are then said to be about.
pub(super) struct Values<'a> {
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

/// All fields of a form or a query.
pub(super) struct Form<'a> {
    fields: Vec<Values<'a>>,
}

impl<'a> Form<'a> {
    /// Values by name, in the order in which the names came first, without those of the names in `skip`.
    pub(super) fn of(pairs: &'a Pairs<'_>, skip: &BTreeSet<String>) -> Self {
        let mut at = HashMap::new();
        let mut fields: Vec<Values<'a>> = Vec::new();
        for (name, value) in pairs.iter().filter(|(name, _)| !skip.contains(&**name)) {
            let index = *at.entry(&**name).or_insert_with(|| {
                fields.push(Values { name, values: Vec::new() });
                fields.len() - 1
            });
            fields[index].values.push(value);
        }
        Self { fields }
    }
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
