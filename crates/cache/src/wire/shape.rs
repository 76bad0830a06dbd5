//! What a value looks like to a serializer: its fields' names and types, in order, as a number.
//!
//! postcard writes neither names nor types, so bytes of another struct may well decode, into nonsense. Therefore the shape of
//! a value is written beside it, and a reader compares it with the shape of what it has decoded. Equal shapes mean that
//! writer and reader have read every byte as the same thing under the same name.
//!
//! The shape is of one value: a missing option is another shape than a present one. What has no order in memory (the elements
//! of a set or a map) is added up, so that its order does not matter.
//!
//! [`of_type`] is the coarser sister: it asks a type, without a value, for its name and the names of its fields, as far as
//! the first struct inside. Values of types that differ in it lie side by side and do not displace each other.

use std::any::type_name;
use std::fmt;

use serde::de::{self, DeserializeOwned, DeserializeSeed, Visitor};
use serde::ser::{self, Serialize};

/// The shape of this value in the eyes of a format that people read, or of one that they do not.
pub(super) fn of_value<V: Serialize>(value: &V, is_readable: bool) -> Result<u64, Refused> {
    let mut shape = Shape::new(is_readable);
    value.serialize(&mut shape)?;
    Ok(shape.sum)
}

/// The shape of this type, as far as it shows without a value.
pub(crate) fn of_type<V: DeserializeOwned>() -> u64 {
    let mut shape = Shape::new(false);
    shape.name(type_name::<V>());
    // It never succeeds: it has nothing to give.
    drop(V::deserialize(Probe(&mut shape)));
    shape.sum
}

/// What a type's own code objected to.
#[derive(Debug)]
pub(crate) struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl ser::Error for Refused {
    fn custom<T: fmt::Display>(why: T) -> Self {
        Self(why.to_string())
    }
}

impl de::Error for Refused {
    fn custom<T: fmt::Display>(why: T) -> Self {
        Self(why.to_string())
    }
}

/// What is seen so far, as one number.
struct Shape {
    sum: u64,
    is_readable: bool,
}

/// The kinds of things that serde knows.
#[derive(Clone, Copy)]
#[repr(u64)]
enum Kind {
    Bool = 1,
    I8,
    I16,
    I32,
    I64,
    I128,
    U8,
    U16,
    U32,
    U64,
    U128,
    F32,
    F64,
    Char,
    Str,
    Bytes,
    None,
    Some,
    Unit,
    Newtype,
    Variant,
    Seq,
    Tuple,
    Map,
    Struct,
    Skipped,
    Any,
}

impl Shape {
    fn new(is_readable: bool) -> Self {
        Self { sum: 0x9e37_79b9_7f4a_7c15 ^ u64::from(is_readable), is_readable }
    }

    fn mix(&mut self, number: u64) {
        let mixed = (self.sum ^ number).wrapping_mul(0xff51_afd7_ed55_8ccd);
        self.sum = mixed ^ (mixed >> 32);
    }

    fn kind(&mut self, kind: Kind) {
        self.mix(kind as u64);
    }

    fn name(&mut self, name: &str) {
        self.mix(name.len() as u64);
        for part in name.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.mix(u64::from_le_bytes(word));
        }
    }

    fn names(&mut self, kind: Kind, name: &str, parts: &[&str]) {
        self.kind(kind);
        self.name(name);
        parts.iter().for_each(|part| self.name(part));
    }

    fn is(&mut self, kind: Kind) -> Result<(), Refused> {
        self.kind(kind);
        Ok(())
    }
}

macro_rules! leaves {
    ($($method:ident($type:ty) $kind:ident;)*) => {$(
        fn $method(self, _: $type) -> Result<(), Refused> {
            self.is(Kind::$kind)
        }
    )*};
}

impl<'a> ser::Serializer for &'a mut Shape {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Bag<'a>;
    type SerializeTuple = Row<'a>;
    type SerializeTupleStruct = Row<'a>;
    type SerializeTupleVariant = Row<'a>;
    type SerializeMap = Bag<'a>;
    type SerializeStruct = Row<'a>;
    type SerializeStructVariant = Row<'a>;

    leaves! {
        serialize_bool(bool) Bool;
        serialize_i8(i8) I8;
        serialize_i16(i16) I16;
        serialize_i32(i32) I32;
        serialize_i64(i64) I64;
        serialize_i128(i128) I128;
        serialize_u8(u8) U8;
        serialize_u16(u16) U16;
        serialize_u32(u32) U32;
        serialize_u64(u64) U64;
        serialize_u128(u128) U128;
        serialize_f32(f32) F32;
        serialize_f64(f64) F64;
        serialize_char(char) Char;
        serialize_str(&str) Str;
        serialize_bytes(&[u8]) Bytes;
        serialize_unit_struct(&'static str) Unit;
    }

    fn serialize_none(self) -> Result<(), Refused> {
        self.is(Kind::None)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Refused> {
        self.kind(Kind::Some);
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Refused> {
        self.is(Kind::Unit)
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<(), Refused> {
        self.names(Kind::Variant, name, &[variant]);
        self.mix(index.into());
        self.is(Kind::Unit)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        self.names(Kind::Newtype, name, &[]);
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        self.names(Kind::Variant, name, &[variant]);
        self.mix(index.into());
        self.kind(Kind::Newtype);
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Bag<'a>, Refused> {
        self.kind(Kind::Seq);
        Ok(Bag { shape: self, entry: None, sum: 0 })
    }

    fn serialize_tuple(self, length: usize) -> Result<Row<'a>, Refused> {
        self.kind(Kind::Tuple);
        self.mix(length as u64);
        Ok(Row(self))
    }

    fn serialize_tuple_struct(self, name: &'static str, length: usize) -> Result<Row<'a>, Refused> {
        self.names(Kind::Tuple, name, &[]);
        self.mix(length as u64);
        Ok(Row(self))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Row<'a>, Refused> {
        self.names(Kind::Variant, name, &[variant]);
        self.mix(index.into());
        self.mix(length as u64);
        Ok(Row(self))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Bag<'a>, Refused> {
        self.kind(Kind::Map);
        Ok(Bag { shape: self, entry: None, sum: 0 })
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Row<'a>, Refused> {
        self.names(Kind::Struct, name, &[]);
        Ok(Row(self))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Row<'a>, Refused> {
        self.names(Kind::Variant, name, &[variant]);
        self.mix(index.into());
        Ok(Row(self))
    }

    fn is_human_readable(&self) -> bool {
        self.is_readable
    }
}

/// Things in order.
struct Row<'a>(&'a mut Shape);

impl Row<'_> {
    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Refused> {
        self.0.name(name);
        value.serialize(&mut *self.0)
    }

    fn skip(&mut self, name: &str) {
        self.0.kind(Kind::Skipped);
        self.0.name(name);
    }
}

macro_rules! rows {
    ($($trait:ident $method:ident;)*) => {$(
        impl ser::$trait for Row<'_> {
            type Ok = ();
            type Error = Refused;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
                value.serialize(&mut *self.0)
            }

            fn end(self) -> Result<(), Refused> {
                Ok(())
            }
        }
    )*};
}

rows! {
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
}

macro_rules! structs {
    ($($trait:ident)*) => {$(
        impl ser::$trait for Row<'_> {
            type Ok = ();
            type Error = Refused;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Refused> {
                self.field(name, value)
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), Refused> {
                self.skip(name);
                Ok(())
            }

            fn end(self) -> Result<(), Refused> {
                Ok(())
            }
        }
    )*};
}

structs! { SerializeStruct SerializeStructVariant }

/// Things whose order means nothing: each is summed up by itself, and the sums are added.
struct Bag<'a> {
    shape: &'a mut Shape,
    /// A map's key that waits for its value.
    entry: Option<Shape>,
    sum: u64,
}

impl Bag<'_> {
    fn add<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        let mut entry = self.entry.take().unwrap_or_else(|| Shape::new(self.shape.is_readable));
        value.serialize(&mut entry)?;
        self.sum = self.sum.wrapping_add(entry.sum);
        Ok(())
    }

    fn close(self) {
        self.shape.mix(self.sum);
    }
}

impl ser::SerializeSeq for Bag<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        self.add(value)
    }

    fn end(self) -> Result<(), Refused> {
        self.close();
        Ok(())
    }
}

impl ser::SerializeMap for Bag<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refused> {
        let mut entry = Shape::new(self.shape.is_readable);
        key.serialize(&mut entry)?;
        self.entry = Some(entry);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        self.add(value)
    }

    fn end(self) -> Result<(), Refused> {
        self.close();
        Ok(())
    }
}

/// Listens to what a type asks for, and gives it nothing.
struct Probe<'a>(&'a mut Shape);

/// A sequence or map of one element that never comes.
struct First<'a>(Option<Probe<'a>>);

fn nothing<T>() -> Result<T, Refused> {
    Err(Refused("there is no value here, only a question".to_owned()))
}

macro_rules! asked {
    ($($method:ident $kind:ident;)*) => {$(
        fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Refused> {
            self.0.kind(Kind::$kind);
            nothing()
        }
    )*};
}

impl<'de> de::Deserializer<'de> for Probe<'_> {
    type Error = Refused;

    asked! {
        deserialize_any Any;
        deserialize_bool Bool;
        deserialize_i8 I8;
        deserialize_i16 I16;
        deserialize_i32 I32;
        deserialize_i64 I64;
        deserialize_i128 I128;
        deserialize_u8 U8;
        deserialize_u16 U16;
        deserialize_u32 U32;
        deserialize_u64 U64;
        deserialize_u128 U128;
        deserialize_f32 F32;
        deserialize_f64 F64;
        deserialize_char Char;
        deserialize_str Str;
        deserialize_string Str;
        deserialize_bytes Bytes;
        deserialize_byte_buf Bytes;
        deserialize_unit Unit;
        deserialize_identifier Any;
        deserialize_ignored_any Any;
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.0.kind(Kind::Some);
        visitor.visit_some(self)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, name: &'static str, _: V) -> Result<V::Value, Refused> {
        self.0.names(Kind::Unit, name, &[]);
        nothing()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.0.names(Kind::Newtype, name, &[]);
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.0.kind(Kind::Seq);
        visitor.visit_seq(First(Some(self)))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Refused> {
        self.0.kind(Kind::Tuple);
        self.0.mix(length as u64);
        visitor.visit_seq(First(Some(self)))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.0.names(Kind::Tuple, name, &[]);
        self.0.mix(length as u64);
        visitor.visit_seq(First(Some(self)))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.0.kind(Kind::Map);
        visitor.visit_map(First(Some(self)))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Refused> {
        self.0.names(Kind::Struct, name, fields);
        nothing()
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Refused> {
        self.0.names(Kind::Variant, name, variants);
        nothing()
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

impl<'de> de::SeqAccess<'de> for First<'_> {
    type Error = Refused;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refused> {
        match self.0.take() {
            Some(probe) => seed.deserialize(probe).map(Some),
            None => nothing(),
        }
    }
}

impl<'de> de::MapAccess<'de> for First<'_> {
    type Error = Refused;

    fn next_key_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refused> {
        match self.0.take() {
            Some(probe) => seed.deserialize(probe).map(Some),
            None => nothing(),
        }
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, _: T) -> Result<T::Value, Refused> {
        nothing()
    }
}
