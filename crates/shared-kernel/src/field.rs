//! Types of fields. Each enforces its own validation rule and has everything that belongs to it: deserialization from JSON, the
//! OpenAPI schema, and the validation error with a stable code and its parameters. A request body is a struct of them, so that
//! no limit is written twice and no value is validated as one type and then parsed as another.
//!
//! | type | rule |
//! |---|---|
//! | [`SingleLine<MIN, MAX>`](crate::text::SingleLine), [`MultiLine<MIN, MAX>`](crate::text::MultiLine) | text of so many characters |
//! | [`Email`](crate::contact::Email), [`WebUrl`](crate::contact::WebUrl) | an address |
//! | [`Int<MIN, MAX>`](crate::integer::Int), [`BigInt<MIN, MAX>`](crate::integer::BigInt) | an integer within bounds |
//! | [`Decimal<PRECISION, SCALE>`](crate::decimal::Decimal) | an exact decimal |
//! | [`Id<K>`](crate::id::Id), [`Timestamp`](crate::clock::Timestamp), [`Date`](crate::clock::Date) | text in one format |
//!
//! # Codes
//!
//! | code | parameters | rule |
//! |---|---|---|
//! | `required` | | the field is missing |
//! | `type` | `expected` | the value is of another JSON type |
//! | `unknown_field`, `unknown_parameter` | | the request has no such field |
//! | `duplicate_field`, `duplicate_parameter` | | the field is given twice |
//! | `too_short`, `too_small` | `min` | fewer characters; a smaller number |
//! | `too_long`, `too_large` | `max` | more characters; a larger number |
//! | `blank` | | no visible character |
//! | `control_characters` | | control characters that are not allowed in texts |
//! | `choice` | `choices` | not one of the choices |
//! | `invalid` | | not in the format of the type |
//!
//! Types of domains add their own, such as `email` and `phone`.
//!
//! # Adding a type of field
//!
//! A type whose only constructor enforces the rule, [`TextField`] for it, and [`text_field!`](crate::text_field). A type that only
//! one domain uses belongs into that domain.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserializer, Visitor};
use utoipa::openapi::RefOr;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};

pub use crate::validation::{Param, Params, ValidationError};

/// Checks the length in characters.
///
/// # Errors
///
/// `too_short` or `too_long`, with the bound.
pub fn check_length(text: &str, min: usize, max: usize) -> Result<(), ValidationError> {
    // No character has more bytes, and none has less than one.
    if text.len() > max && text.chars().count() > max {
        Err(too_long(max))
    } else if text.len() < 4 * min && text.chars().count() < min {
        Err(too_short(min))
    } else {
        Ok(())
    }
}

/// The error of a text of fewer than `min` characters.
#[must_use]
pub fn too_short(min: usize) -> ValidationError {
    ValidationError::new("too_short", format!("must have at least {}", characters(min))).with("min", min)
}

/// The error of a text of more than `max` characters.
#[must_use]
pub fn too_long(max: usize) -> ValidationError {
    ValidationError::new("too_long", format!("must have at most {}", characters(max))).with("max", max)
}

fn characters(number: usize) -> String {
    if number == 1 { "1 character".to_owned() } else { format!("{number} characters") }
}

/// Checks the bounds of a number; `None` is no bound.
///
/// # Errors
///
/// `too_small` or `too_large`, with the bound.
pub fn check_range<N>(number: &N, min: Option<N>, max: Option<N>) -> Result<(), ValidationError>
where
    N: PartialOrd + fmt::Display + Into<Param>,
{
    match (min, max) {
        (Some(min), _) if *number < min => Err(too_small(min)),
        (_, Some(max)) if *number > max => Err(too_large(max)),
        _ => Ok(()),
    }
}

/// The same as a rule of garde, for a number whose type has no bounds: `#[garde(custom(field::range(Some(0.5), None)))]`.
pub fn range<N>(min: Option<N>, max: Option<N>) -> impl Fn(&N, &()) -> garde::Result
where
    N: PartialOrd + fmt::Display + Into<Param> + Copy,
{
    move |number, ()| Ok(check_range(number, min, max)?)
}

/// The error of a number smaller than `min`.
#[must_use]
pub fn too_small(min: impl fmt::Display + Into<Param>) -> ValidationError {
    ValidationError::new("too_small", format!("must be at least {min}")).with("min", min)
}

/// The error of a number larger than `max`.
#[must_use]
pub fn too_large(max: impl fmt::Display + Into<Param>) -> ValidationError {
    ValidationError::new("too_large", format!("must be at most {max}")).with("max", max)
}

/// The error of a value of another JSON type. `expected` with its article: `a string`.
#[must_use]
pub(crate) fn wrong_type(expected: &str, found: Option<&str>) -> ValidationError {
    let name = expected.split_once(' ').map_or(expected, |(_, name)| name).to_owned();
    let found = found.map_or_else(String::new, |found| format!(", not {found}"));
    ValidationError::new("type", format!("must be {expected}{found}")).with("expected", name)
}

/// The error of a value that is not one of the `choices`, which are separated by commas.
#[must_use]
pub fn no_choice(choices: &str) -> ValidationError {
    ValidationError::new("choice", format!("must be one of {choices}")).with("choices", choices.to_owned())
}

/// A type of field that is a string in JSON.
pub trait TextField: Sized {
    /// Parses and normalises `text`.
    ///
    /// # Errors
    ///
    /// The rule that `text` breaks.
    fn parse(text: &str) -> Result<Self, ValidationError>;

    /// A valid text: the example in the OpenAPI document, and the replacement of an invalid value while the
    /// other fields of the body are read.
    fn example() -> Cow<'static, str>;
}

/// A value from a literal, such as a default.
///
/// # Panics
///
/// If the text breaks the rule of the type.
#[must_use]
#[expect(clippy::panic, reason = "the text is part of the code, and whoever calls this tests it")]
pub fn from_valid<T: TextField>(text: &'static str) -> T {
    match T::parse(text) {
        Ok(value) => value,
        Err(error) => panic!("`{text}` {error}"),
    }
}

/// The rule of a type as JSON Schema, besides `type` and the example.
pub trait FieldSchema {
    /// Name of the schema until it is inlined into the fields of that type.
    fn name() -> Cow<'static, str>;

    /// Bounds, pattern and format.
    fn rules(schema: ObjectBuilder) -> ObjectBuilder;
}

/// The extension of a schema that is inlined into each field of its type: readers of the document find the rule at the
/// field, and generated clients do not have a type for each pair of bounds.
pub const INLINE: &str = "x-inline";

/// The schema of a field type, marked to be [inlined](INLINE).
#[must_use]
pub fn schema_of<T: FieldSchema>(of: Type, example: impl Into<serde_json::Value>) -> RefOr<Schema> {
    let schema = ObjectBuilder::new().schema_type(of).examples([example.into()]);
    let inline = Extensions::from_iter([(INLINE, true)]);
    T::rules(schema).extensions(Some(inline)).into()
}

/// The name of the newtype as which every field type is deserialized. A deserializer that knows it may call `visit_none`,
/// which results in the example of the type; no value of a request leads there.
pub(crate) const FIELD: &str = "$shared_kernel::Field";

/// For `Deserialize` of a [`TextField`].
///
/// # Errors
///
/// The rule that the text breaks, or `type` if the value is not a string.
pub fn deserialize_text<'de, T: TextField, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_newtype_struct(FIELD, Outer(PhantomData))
}

struct Outer<T>(PhantomData<T>);
struct Text<T>(PhantomData<T>);

impl<'de, T: TextField> Visitor<'de> for Outer<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<T, D::Error> {
        inner.deserialize_str(Text(PhantomData))
    }

    fn visit_none<E: de::Error>(self) -> Result<T, E> {
        self.visit_str(&T::example())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        Text(PhantomData).visit_str(text)
    }
}

impl<T: TextField> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        T::parse(text).map_err(ValidationError::into_serde)
    }
}

/// `Deserialize`, garde's `Validate` and utoipa's `ToSchema` for a type that is a [`TextField`] and a [`FieldSchema`].
///
/// `Validate` never fails: a value of the type is valid from its construction on. `#[garde(dive)]` needs it,
/// so that a field whose type has no rule must be marked `#[garde(skip)]`.
#[macro_export]
macro_rules! text_field {
    ($type:ident $(<$(const $name:ident: $of:ty),+>)?) => {
        impl<'de $($(, const $name: $of)+)?> $crate::field::reexport::Deserialize<'de> for $type $(<$($name),+>)? {
            fn deserialize<D: $crate::field::reexport::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::field::deserialize_text(deserializer)
            }
        }

        $crate::field_schema! {
            $type $(<$(const $name: $of),+>)?,
            String,
            <Self as $crate::field::TextField>::example().as_ref()
        }
    };
}

/// garde's `Validate` and utoipa's `ToSchema` for a [`FieldSchema`], with its JSON type and an example.
#[macro_export]
macro_rules! field_schema {
    ($type:ident $(<$(const $name:ident: $of:ty),+>)?, $json:ident, $example:expr) => {
        impl $(<$(const $name: $of),+>)? $crate::field::reexport::Validate for $type $(<$($name),+>)? {
            type Context = ();

            fn validate_into(
                &self,
                (): &(),
                _: &mut dyn FnMut() -> $crate::field::reexport::Path,
                _: &mut $crate::field::reexport::Report,
            ) {
            }
        }

        impl $(<$(const $name: $of),+>)? $crate::field::reexport::PartialSchema for $type $(<$($name),+>)? {
            fn schema() -> $crate::field::reexport::RefOr<$crate::field::reexport::Schema> {
                $crate::field::schema_of::<Self>($crate::field::reexport::Type::$json, $example)
            }
        }

        impl $(<$(const $name: $of),+>)? $crate::field::reexport::ToSchema for $type $(<$($name),+>)? {
            fn name() -> ::std::borrow::Cow<'static, str> {
                <Self as $crate::field::FieldSchema>::name()
            }
        }
    };
}

/// Names that [`text_field!`](crate::text_field) uses.
#[doc(hidden)]
pub mod reexport {
    pub use garde::error::Path;
    pub use garde::{Report, Validate};
    pub use serde::{Deserialize, Deserializer};
    pub use utoipa::openapi::RefOr;
    pub use utoipa::openapi::schema::{Schema, Type};
    pub use utoipa::{PartialSchema, ToSchema};
}
