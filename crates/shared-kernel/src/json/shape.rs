//! Why a value does not have the shape that a type wants, in words of our own.
//!
//! serde's messages quote what was sent ("invalid type: integer `5`"): in a log and in an answer that is somebody's password
//! sooner or later. So the error type of whatever reads requests is [`ShapeError`], which has no place for a value: it keeps
//! what was expected, which the code says, and the names of fields.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer;
use serde::de::value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, Expected, IntoDeserializer, Unexpected, Visitor};
use serde_json::Value;

use super::escape;
use super::whole::Whole;
use crate::error::{FieldError, Invalid};
use crate::refused::OURS;

/// A value is not what a type wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShapeError {
    /// A field that there is none of.
    UnknownField(String),
    /// A field is missing.
    Missing(&'static str),
    /// A field is there twice.
    Duplicate(&'static str),
    /// Anything else: a code and a sentence.
    Wrong {
        /// A stable name.
        code: Cow<'static, str>,
        /// The rule in words.
        message: String,
    },
}

impl ShapeError {
    fn wrong(code: &'static str, message: String) -> Self {
        Self::Wrong { code: code.into(), message }
    }

    /// As a refusal of what stands at `pointer`.
    #[must_use]
    pub fn at(self, pointer: String) -> FieldError {
        // serde's path may already end in the field that it names.
        let below = |name: &str| {
            let last = format!("/{}", escape(name));
            if pointer.ends_with(&last) { pointer.clone() } else { format!("{pointer}{last}") }
        };
        match self {
            Self::UnknownField(name) => {
                FieldError::new(below(&name), "unknown_field", "is not a field of this request")
            }
            Self::Missing(name) => FieldError::new(below(name), "required", "is required"),
            Self::Duplicate(name) => FieldError::new(below(name), "duplicate_field", "is given twice"),
            Self::Wrong { code, message } => FieldError::new(pointer, code, message),
        }
    }
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownField(_) => f.write_str("a field is not one of this request"),
            Self::Missing(name) => write!(f, "`{name}` is required"),
            Self::Duplicate(name) => write!(f, "`{name}` is given twice"),
            Self::Wrong { message, .. } => f.write_str(message),
        }
    }
}

impl std::error::Error for ShapeError {}

impl de::Error for ShapeError {
    fn custom<T: fmt::Display>(words: T) -> Self {
        let words = words.to_string();
        let ours = words.strip_prefix(OURS).and_then(|rest| rest.split_once(OURS));
        match ours {
            Some((code, message)) => {
                Self::Wrong { code: code.to_owned().into(), message: message.to_owned() }
            }
            None => Self::wrong("invalid", "is not of the form that this takes".to_owned()),
        }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Unit | Unexpected::Option => "null",
            Unexpected::Bool(_) => "true or false",
            Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
            Unexpected::Str(_) | Unexpected::Char(_) => "a text",
            Unexpected::Seq => "a list",
            Unexpected::Map => "an object",
            _ => "something else",
        };
        Self::wrong("type", format!("must be {}, not {found}", words(expected)))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::wrong("invalid", format!("must be {}", words(expected)))
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Self::wrong("invalid", format!("must be {}", words(expected)))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        let choices: Vec<_> = expected.iter().map(|name| format!("`{name}`")).collect();
        Self::wrong("choice", format!("must be one of {}", choices.join(", ")))
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self::UnknownField(field.to_owned())
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::Duplicate(field)
    }
}

/// What a type expects, for people who do not write Rust. The text comes from the code, never from the input.
fn words(expected: &dyn Expected) -> String {
    let text = expected.to_string();
    match text.as_str() {
        "a string" | "a borrowed string" => "a text".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "u8" | "u16" | "u32" | "u64" => {
            let signed = text.starts_with('i');
            let bits = text.get(1..).unwrap_or_default();
            format!("a whole number{} of at most {bits} bits", if signed { "" } else { ", zero or more," })
        }
        "a sequence" => "a list".to_owned(),
        "a map" => "an object".to_owned(),
        other if other.starts_with("struct ") => "an object".to_owned(),
        other if other.contains("variant") || other.starts_with("enum ") => "a text".to_owned(),
        _ => text,
    }
}

/// Why `value` is no `T`, if it is none.
pub(super) fn refusal<T: DeserializeOwned>(value: Value) -> Option<Invalid> {
    use serde_path_to_error::Segment;
    let error = serde_path_to_error::deserialize::<_, T>(Whole(Json(value))).err()?;
    let mut pointer = String::new();
    for segment in error.path() {
        match segment {
            Segment::Seq { index } => pointer.extend(["/", &index.to_string()]),
            Segment::Map { key } => pointer.extend(["/", &escape(key)]),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    Some(Invalid(vec![error.into_inner().at(pointer)]))
}

/// A JSON value that is read with errors of ours. `serde_json`'s own quote it.
struct Json(Value);

impl IntoDeserializer<'_, ShapeError> for Json {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Json {
    type Error = ShapeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), _, _) => visitor.visit_u64(number),
                (None, Some(number), _) => visitor.visit_i64(number),
                (None, None, number) => visitor.visit_f64(number.unwrap_or(f64::NAN)),
            },
            Value::String(text) => visitor.visit_string(text),
            Value::Array(items) => {
                let mut items = SeqDeserializer::new(items.into_iter().map(Json));
                let value = visitor.visit_seq(&mut items)?;
                items.end()?;
                Ok(value)
            }
            Value::Object(fields) => {
                let mut fields =
                    MapDeserializer::new(fields.into_iter().map(|(name, value)| (name, Json(value))));
                let value = visitor.visit_map(&mut fields)?;
                fields.end()?;
                Ok(value)
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ShapeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ShapeError> {
        match self.0 {
            Value::String(text) => visitor.visit_enum(text.into_deserializer()),
            Value::Object(fields) => {
                let fields = fields.into_iter().map(|(name, value)| (name, Json(value)));
                visitor.visit_enum(MapAccessDeserializer::new(MapDeserializer::new(fields)))
            }
            other => Json(other).deserialize_any(visitor),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}
