//! Deserialization errors with our own messages.
//!
//! serde's messages quote the sent value ("invalid type: integer `5`"), so that passwords would end up in logs and
//! responses. So requests are deserialized with the error type [`ShapeError`], which never contains a value: only
//! the place, the expected type, and names of fields.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use super::push_segment;
use crate::error::FieldError;
use crate::field::{ValidationError, no_choice, wrong_type};

/// One step from a value to a value in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Name(String),
    Index(usize),
}

/// The error at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// A field that the type does not have.
    Unknown(String),
    /// A field that the type requires.
    Missing(&'static str),
    /// A field for the second time.
    Duplicate(&'static str),
    /// The value itself.
    Value(ValidationError),
}

/// A value does not match the type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ShapeError(Box<(Vec<Key>, Broken)>);

impl ShapeError {
    fn new(broken: Broken) -> Self {
        Self(Box::new((Vec::new(), broken)))
    }

    fn value(error: ValidationError) -> Self {
        Self::new(Broken::Value(error))
    }

    /// The same error with its place relative to the parent value, which has this one at `key`.
    pub(super) fn below(mut self, key: Key) -> Self {
        self.0.0.push(key);
        self
    }

    /// The place, from the outermost value on, and what is wrong there.
    pub(super) fn into_parts(self) -> (Vec<Key>, Broken) {
        let (mut path, broken) = *self.0;
        path.reverse();
        (path, broken)
    }
}

impl Broken {
    /// The field error at `path`.
    pub(super) fn at(self, path: &[Key]) -> FieldError {
        let here = pointer(path);
        let below = |name: &str| {
            let mut pointer = here.clone();
            push_segment(&mut pointer, name);
            pointer
        };
        match self {
            Self::Unknown(name) => {
                FieldError::new(below(&name), "unknown_field", "is not a field of this request")
            }
            Self::Missing(name) => FieldError::new(below(name), "required", "is required"),
            Self::Duplicate(name) => FieldError::new(below(name), "duplicate_field", "is given twice"),
            Self::Value(error) => error.at(here),
        }
    }
}

fn pointer(path: &[Key]) -> String {
    let mut pointer = String::new();
    for key in path {
        match key {
            Key::Name(name) => push_segment(&mut pointer, name),
            Key::Index(index) => pointer.extend(["/", &index.to_string()]),
        }
    }
    pointer
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.1 {
            Broken::Unknown(_) => f.write_str("a field is not one of this request"),
            Broken::Missing(name) => write!(f, "`{name}` is required"),
            Broken::Duplicate(name) => write!(f, "`{name}` is given twice"),
            Broken::Value(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ShapeError {}

impl de::Error for ShapeError {
    fn custom<T: fmt::Display>(words: T) -> Self {
        let ours = ValidationError::unmarked(&words.to_string());
        Self::value(
            ours.unwrap_or_else(|| ValidationError::new("invalid", "is not of the form that this takes")),
        )
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = words(expected);
        let found = match found {
            Unexpected::Unit | Unexpected::Option => Some("null"),
            Unexpected::Bool(_) => Some("a boolean"),
            Unexpected::Float(number) if expected == "an integer" && number.fract() != 0.0 => {
                Some("a fraction")
            }
            Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => Some("a number"),
            Unexpected::Str(_) | Unexpected::Char(_) => Some("a string"),
            Unexpected::Seq => Some("an array"),
            Unexpected::Map => Some("an object"),
            _ => None,
        };
        Self::value(wrong_type(&expected, found))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        if let Some((min, max)) = bounds(&expected.to_string()) {
            let error = ValidationError::new("invalid", format!("must be an integer from {min} to {max}"));
            return Self::value(error.with("min", min).with("max", max));
        }
        Self::value(ValidationError::new("invalid", format!("must be {}", words(expected))))
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Self::value(ValidationError::new("invalid", format!("must be {}", words(expected))))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::value(no_choice(&expected.join(", ")))
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self::new(Broken::Unknown(field.to_owned()))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Broken::Missing(field))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new(Broken::Duplicate(field))
    }
}

/// The expected type, in words for people who do not write Rust. The text comes from the code, never from the input.
fn words(expected: &dyn Expected) -> String {
    let text = expected.to_string();
    match text.as_str() {
        "a borrowed string" => "a string".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "u8" | "u16" | "u32" | "u64" => "an integer".to_owned(),
        "a sequence" => "an array".to_owned(),
        "a map" => "an object".to_owned(),
        other if other.starts_with("struct ") => "an object".to_owned(),
        other if other.contains("variant") || other.starts_with("enum ") => "a string".to_owned(),
        _ => text,
    }
}

/// The bounds of an integer type of Rust.
fn bounds(name: &str) -> Option<(i64, u64)> {
    const I64: u64 = i64::MAX as u64;
    Some(match name {
        "i8" => (i8::MIN.into(), 127),
        "i16" => (i16::MIN.into(), 32_767),
        "i32" => (i32::MIN.into(), 2_147_483_647),
        "i64" => (i64::MIN, I64),
        "u8" => (0, u8::MAX.into()),
        "u16" => (0, u16::MAX.into()),
        "u32" => (0, u32::MAX.into()),
        "u64" => (0, u64::MAX),
        _ => return None,
    })
}
