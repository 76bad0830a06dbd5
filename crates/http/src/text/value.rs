//! One value, read from its text.

use serde::de::value::SeqDeserializer;
use serde::de::{DeserializeSeed, EnumAccess, IntoDeserializer, VariantAccess, Visitor};

use super::wrong::Wrong;

/// One value, in words.
#[derive(Clone)]
pub(super) struct Text<'a>(pub(super) &'a str);

macro_rules! parsed {
    ($($method:ident $visit:ident $of:ty, $expected:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            match self.0.parse::<$of>().or_else(|_| self.0.trim().parse()) {
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
