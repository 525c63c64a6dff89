//! Reads an invalid request again, to report all of its errors and not only the first that serde found.
//!
//! A derived `Deserialize` stops at the first invalid field. So the value is read repeatedly until no new error is found,
//! and known errors are skipped: an unknown field is omitted, and a wrong or missing value is replaced by an
//! [example](Node::Example) of the expected type. This works for any type that derives `Deserialize`;
//! a type that accepts no example ends the search, and the errors found until then are reported.

use std::collections::BTreeMap;

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer as _,
    MapAccess, SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde_json::Value;

use super::MAX_REFUSALS;
use super::integers::LenientIntegers;
use super::shape::{Broken, Key, ShapeError};
use crate::error::FieldError;
use crate::field::FIELD;

/// Maximum number of bytes to read again: a large body is read less often than a small one.
const READ_AGAIN: usize = 4 * 1024 * 1024;

/// A value to read.
#[derive(Clone, Copy)]
pub(super) enum Node<'v> {
    /// A JSON value.
    Json(&'v Value),
    /// The parameters of a query string.
    Query(&'v [(String, String)]),
    /// The value of a query parameter, parsed as the type of the field.
    Text(&'v str),
    /// An example of the expected type.
    Example,
}

/// The places of the errors found so far.
#[derive(Default)]
pub(super) struct Marks {
    refused: bool,
    unknown: bool,
    missing: Vec<&'static str>,
    names: BTreeMap<String, Marks>,
    items: BTreeMap<usize, Marks>,
}

impl Marks {
    fn at(&mut self, path: &[Key]) -> &mut Self {
        path.iter().fold(self, |marks, key| match key {
            Key::Name(name) => marks.names.entry(name.clone()).or_default(),
            Key::Index(index) => marks.items.entry(*index).or_default(),
        })
    }

    /// Marks the value at `path`.
    pub(super) fn refuse(&mut self, path: &[Key]) {
        self.at(path).refused = true;
    }

    /// Marks the place of an error; `false` if it was marked already.
    fn mark(&mut self, path: &[Key], broken: &Broken) -> bool {
        let marks = self.at(path);
        match broken {
            Broken::Unknown(name) => {
                let marks = marks.names.entry(name.clone()).or_default();
                !std::mem::replace(&mut marks.unknown, true)
            }
            Broken::Missing(name) => {
                let is_new = !marks.missing.contains(name);
                marks.missing.push(name);
                is_new
            }
            Broken::Duplicate(name) => {
                let marks = marks.names.entry((*name).to_owned()).or_default();
                !std::mem::replace(&mut marks.refused, true)
            }
            Broken::Value(_) => !std::mem::replace(&mut marks.refused, true),
        }
    }
}

/// Reads a `T` from `node`, which has `bytes` bytes, and adds all errors to `refused`. The returned value has examples in
/// the marked places; it is `None` if the search was not completed.
pub(super) fn read<T: DeserializeOwned>(
    node: Node<'_>,
    bytes: usize,
    mut marks: Marks,
    refused: &mut Vec<FieldError>,
) -> Option<T> {
    let times = (READ_AGAIN / bytes.max(1)).clamp(1, MAX_REFUSALS) + 1;
    for _ in 0..times {
        let (path, broken) = match T::deserialize(LenientIntegers(Reader::new(node, Some(&marks)))) {
            Ok(value) => return Some(value),
            Err(error) => error.into_parts(),
        };
        if !marks.mark(&path, &broken) || refused.len() >= MAX_REFUSALS {
            break;
        }
        let error = broken.at(&path);
        if refused.iter().all(|other| other.pointer != error.pointer) {
            refused.push(error);
        }
    }
    None
}

/// A deserializer with our own errors.
struct Reader<'v, 'm> {
    node: Node<'v>,
    marks: Option<&'m Marks>,
}

impl<'v, 'm> Reader<'v, 'm> {
    fn new(node: Node<'v>, marks: Option<&'m Marks>) -> Self {
        let is_refused = marks.is_some_and(|marks| marks.refused);
        Self { node: if is_refused { Node::Example } else { node }, marks }
    }

    const fn example() -> Self {
        Self { node: Node::Example, marks: None }
    }

    fn fields<I>(&self, entries: I) -> Fields<'v, 'm, I> {
        Fields { entries, marks: self.marks, missing: 0, entry: None }
    }
}

/// The text of a parameter as another type: as JSON would have it, so `+5` and `007` are no numbers.
fn parsed<T: std::str::FromStr>(text: &str, visitor: &dyn de::Expected) -> Result<T, ShapeError> {
    let is_json = text == text.trim() && serde_json::from_str::<Value>(text).is_ok();
    let value = if is_json { text.parse().ok() } else { None };
    value.ok_or_else(|| ShapeError::invalid_type(Unexpected::Other("a parameter"), visitor))
}

macro_rules! scalars {
    ($($method:ident => $visit:ident($example:expr)),* $(,)?) => {
        $(fn $method<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, ShapeError> {
            match self.node {
                Node::Example => visitor.$visit($example),
                Node::Text(text) => {
                    let value = parsed(text, &visitor)?;
                    visitor.$visit(value)
                }
                Node::Json(_) | Node::Query(_) => self.deserialize_any(visitor),
            }
        })*
    };
}

/// For a type that is read from text: any text, and it is a UUID.
const EXAMPLE_TEXT: &str = "00000000-0000-0000-0000-000000000000";

impl<'v> Deserializer<'v> for Reader<'v, '_> {
    type Error = ShapeError;

    fn deserialize_any<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        let value = match self.node {
            Node::Json(value) => value,
            Node::Query(pairs) => {
                let entries = pairs.iter().map(|(name, text)| (name.as_str(), Node::Text(text)));
                return visitor.visit_map(self.fields(entries));
            }
            Node::Text(text) => return visitor.visit_borrowed_str(text),
            Node::Example => return visitor.visit_unit(),
        };
        match value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), _, _) => visitor.visit_u64(number),
                (None, Some(number), _) => visitor.visit_i64(number),
                (None, None, number) => visitor.visit_f64(number.unwrap_or(f64::NAN)),
            },
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(items) => {
                visitor.visit_seq(Items { values: items.iter(), index: 0, marks: self.marks })
            }
            Value::Object(fields) => {
                let entries = fields.iter().map(|(name, value)| (name.as_str(), Node::Json(value)));
                visitor.visit_map(self.fields(entries))
            }
        }
    }

    scalars! {
        deserialize_bool => visit_bool(false),
        deserialize_i8 => visit_i8(0),
        deserialize_i16 => visit_i16(0),
        deserialize_i32 => visit_i32(0),
        deserialize_i64 => visit_i64(0),
        deserialize_u8 => visit_u8(0),
        deserialize_u16 => visit_u16(0),
        deserialize_u32 => visit_u32(0),
        deserialize_u64 => visit_u64(0),
        deserialize_f32 => visit_f32(0.0),
        deserialize_f64 => visit_f64(0.0),
    }

    fn deserialize_str<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        match self.node {
            Node::Example => visitor.visit_borrowed_str(EXAMPLE_TEXT),
            // Some types would accept an array as bytes.
            Node::Json(Value::Array(_)) => Err(ShapeError::invalid_type(Unexpected::Seq, &visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        match self.node {
            Node::Example | Node::Json(Value::Null) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'v>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ShapeError> {
        match self.node {
            Node::Example if name == FIELD => visitor.visit_none(),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        match self.node {
            Node::Example => visitor.visit_seq(Examples(0)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'v>>(self, length: usize, visitor: V) -> Result<V::Value, ShapeError> {
        match self.node {
            Node::Example => visitor.visit_seq(Examples(length)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'v>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, ShapeError> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_map<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        match self.node {
            Node::Example => visitor.visit_map(self.fields([].into_iter())),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'v>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ShapeError> {
        match self.node {
            Node::Example => visitor.visit_map(self.fields(fields.iter().map(|name| (*name, Node::Example)))),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'v>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ShapeError> {
        match self.node {
            Node::Example => {
                visitor.visit_enum(ExampleVariant(variants.first().copied().unwrap_or_default()))
            }
            Node::Text(text) => visitor.visit_enum(StrDeserializer::new(text)),
            Node::Json(Value::String(text)) => visitor.visit_enum(StrDeserializer::new(text)),
            Node::Json(Value::Object(fields)) if fields.len() != 1 => {
                Err(ShapeError::invalid_value(Unexpected::Map, &"an object with one field"))
            }
            Node::Json(Value::Object(fields)) => {
                let entries = fields.iter().map(|(name, value)| (name.as_str(), Node::Json(value)));
                visitor.visit_enum(MapAccessDeserializer::new(self.fields(entries)))
            }
            Node::Json(_) | Node::Query(_) => self.deserialize_any(visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        <V: Visitor<'v>>
        i128 u128 char bytes byte_buf unit unit_struct identifier
    }
}

/// The fields of an object: those that are not marked as unknown, and examples for those that are missing.
struct Fields<'v, 'm, I> {
    entries: I,
    marks: Option<&'m Marks>,
    /// How many missing ones there were.
    missing: usize,
    /// The one whose name was read.
    entry: Option<(&'v str, Reader<'v, 'm>)>,
}

impl<'v, 'm, I: Iterator<Item = (&'v str, Node<'v>)>> Fields<'v, 'm, I> {
    fn next(&mut self) -> Option<(&'v str, Reader<'v, 'm>)> {
        for (name, node) in self.entries.by_ref() {
            let marks = self.marks.and_then(|marks| marks.names.get(name));
            if !marks.is_some_and(|marks| marks.unknown) {
                return Some((name, Reader::new(node, marks)));
            }
        }
        let name = self.marks?.missing.get(self.missing)?;
        self.missing += 1;
        Some((name, Reader::example()))
    }
}

impl<'v, I: Iterator<Item = (&'v str, Node<'v>)>> MapAccess<'v> for Fields<'v, '_, I> {
    type Error = ShapeError;

    fn next_key_seed<K: DeserializeSeed<'v>>(&mut self, seed: K) -> Result<Option<K::Value>, ShapeError> {
        self.entry = self.next();
        let Some((name, _)) = &self.entry else { return Ok(None) };
        seed.deserialize(de::value::BorrowedStrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'v>>(&mut self, seed: V) -> Result<V::Value, ShapeError> {
        let (name, value) = self.entry.take().ok_or_else(|| ShapeError::custom("there is no value"))?;
        seed.deserialize(value).map_err(|error| error.below(Key::Name(name.to_owned())))
    }
}

struct Items<'v, 'm> {
    values: std::slice::Iter<'v, Value>,
    index: usize,
    marks: Option<&'m Marks>,
}

impl<'v> SeqAccess<'v> for Items<'v, '_> {
    type Error = ShapeError;

    fn next_element_seed<S: DeserializeSeed<'v>>(&mut self, seed: S) -> Result<Option<S::Value>, ShapeError> {
        let Some(item) = self.values.next() else { return Ok(None) };
        let index = self.index;
        self.index += 1;
        let marks = self.marks.and_then(|marks| marks.items.get(&index));
        seed.deserialize(Reader::new(Node::Json(item), marks))
            .map(Some)
            .map_err(|error| error.below(Key::Index(index)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.values.len())
    }
}

/// So many examples.
struct Examples(usize);

impl<'v> SeqAccess<'v> for Examples {
    type Error = ShapeError;

    fn next_element_seed<S: DeserializeSeed<'v>>(&mut self, seed: S) -> Result<Option<S::Value>, ShapeError> {
        let Some(left) = self.0.checked_sub(1) else { return Ok(None) };
        self.0 = left;
        seed.deserialize(Reader::example()).map(Some)
    }
}

/// The variant of that name, with examples in it.
struct ExampleVariant(&'static str);

impl<'v> EnumAccess<'v> for ExampleVariant {
    type Error = ShapeError;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'v>>(self, seed: S) -> Result<(S::Value, Self), ShapeError> {
        let name: StrDeserializer<'_, ShapeError> = self.0.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'v> VariantAccess<'v> for ExampleVariant {
    type Error = ShapeError;

    fn unit_variant(self) -> Result<(), ShapeError> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'v>>(self, seed: S) -> Result<S::Value, ShapeError> {
        seed.deserialize(Reader::example())
    }

    fn tuple_variant<V: Visitor<'v>>(self, length: usize, visitor: V) -> Result<V::Value, ShapeError> {
        visitor.visit_seq(Examples(length))
    }

    fn struct_variant<V: Visitor<'v>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ShapeError> {
        Reader::example().deserialize_struct("", fields, visitor)
    }
}
