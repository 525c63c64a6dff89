//! Types of fields. Each keeps its own rule, and brings what goes with the rule: how it is read from JSON, what the OpenAPI
//! document says of it, and the refusal, with a stable code and its parameters. A request body is a struct of them, so that
//! no limit is written twice and no value is checked as one type and then read again as another.
//!
//! | type | rule |
//! |---|---|
//! | [`SingleLine<MIN, MAX>`](crate::text::SingleLine), [`MultiLine<MIN, MAX>`](crate::text::MultiLine) | text of so many characters |
//! | [`Email`](crate::contact::Email), [`WebUrl`](crate::contact::WebUrl) | an address |
//! | [`Int<MIN, MAX>`](crate::integer::Int), [`BigInt<MIN, MAX>`](crate::integer::BigInt) | an integer within bounds |
//! | [`Decimal<PRECISION, SCALE>`](crate::decimal::Decimal) | an exact decimal |
//! | [`Id<K>`](crate::id::Id), [`Timestamp`](crate::clock::Timestamp), [`Date`](crate::clock::Date) | text of one form |
//!
//! # Codes
//!
//! | code | parameters | rule |
//! |---|---|---|
//! | `required` | | the field is missing |
//! | `type` | `expected` | the value is of another JSON type |
//! | `unknown_field`, `unknown_parameter` | | the request has no such field |
//! | `duplicate_field`, `duplicate_parameter` | | the field is there twice |
//! | `too_short`, `too_small` | `min` | fewer characters; a smaller number |
//! | `too_long`, `too_large` | `max` | more characters; a larger number |
//! | `blank` | | no visible character |
//! | `control_characters` | | control characters that no text may have |
//! | `choice` | `choices` | none of these |
//! | `invalid` | | another form than the type has |
//!
//! Types of domains add their own, such as `email` and `phone`.
//!
//! # Adding a type of field
//!
//! A type whose only constructor keeps the rule, [`TextField`] for it, and [`text_field!`](crate::text_field). One that a single
//! domain uses lives there.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserializer, Visitor};
use utoipa::openapi::RefOr;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};

pub use crate::validation::{Param, Params, ValidationError};

/// The rule of a length in characters.
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

/// The rule of a number's bounds, for the ends that there are.
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

/// The error of a value that is none of the `choices`, which are separated by commas.
#[must_use]
pub fn no_choice(choices: &str) -> ValidationError {
    ValidationError::new("choice", format!("must be one of {choices}")).with("choices", choices.to_owned())
}

/// A type of field that is a string in JSON.
pub trait TextField: Sized {
    /// The value in `text`, which is brought into its normal form.
    ///
    /// # Errors
    ///
    /// The rule that `text` breaks.
    fn parse(text: &str) -> Result<Self, ValidationError>;

    /// A text that keeps the rule: an example for the OpenAPI document, and what stands in for a refused value while the
    /// other fields of its body are read.
    fn example() -> Cow<'static, str>;
}

/// The value of a text that stands in the code, such as a default.
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

/// The rule of a type in the words of JSON Schema, besides `type` and the example.
pub trait FieldSchema {
    /// The name that the schema has until it is written into the fields of that type.
    fn name() -> Cow<'static, str>;

    /// Bounds, pattern and format.
    fn rules(schema: ObjectBuilder) -> ObjectBuilder;
}

/// The extension of a schema that is written into each field of its type: a reader of the document finds the rule at the
/// field, and clients that are made of it have no type for each pair of bounds.
pub const INLINE: &str = "x-inline";

/// The schema of a field type, marked to be [written in place](INLINE).
#[must_use]
pub fn schema_of<T: FieldSchema>(of: Type, example: impl Into<serde_json::Value>) -> RefOr<Schema> {
    let schema = ObjectBuilder::new().schema_type(of).examples([example.into()]);
    let inline = Extensions::from_iter([(INLINE, true)]);
    T::rules(schema).extensions(Some(inline)).into()
}

/// The name of the newtype that every field type is to serde. A deserializer that knows it may answer with `visit_none`,
/// which asks for the type's example; no value that was sent leads there.
pub(crate) const FIELD: &str = "$shared_kernel::Field";

/// For `Deserialize` of a [`TextField`].
///
/// # Errors
///
/// The rule that the text breaks, and whatever is no string.
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
/// `Validate` finds nothing: a value of the type keeps the rule from its construction on. It is what `#[garde(dive)]` asks for,
/// so that a field whose type has no rule has to say so (`#[garde(skip)]`).
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

/// garde's `Validate` and utoipa's `ToSchema` for a [`FieldSchema`] of that JSON type, with that example.
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

/// What [`text_field!`](crate::text_field) names.
#[doc(hidden)]
pub mod reexport {
    pub use garde::error::Path;
    pub use garde::{Report, Validate};
    pub use serde::{Deserialize, Deserializer};
    pub use utoipa::openapi::RefOr;
    pub use utoipa::openapi::schema::{Schema, Type};
    pub use utoipa::{PartialSchema, ToSchema};
}
