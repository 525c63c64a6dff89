//! Validation errors: a code, a message and parameters. This module is below [`error`](crate::error), which adds the field, and
//! below [`field`](crate::field), whose types return these errors.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, OneOfBuilder, Schema, Type};

/// A parameter of a validation rule: a number or a string.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Param {
    /// A bound.
    Number(serde_json::Number),
    /// A name or a list of names.
    Text(Cow<'static, str>),
}

macro_rules! param_of_number {
    ($($number:ty)*) => {
        $(impl From<$number> for Param {
            fn from(number: $number) -> Self {
                Self::Number(number.into())
            }
        })*
    };
}

param_of_number!(i32 i64 u32 u64 usize);

impl From<f64> for Param {
    /// JSON has finite numbers only.
    fn from(number: f64) -> Self {
        serde_json::Number::from_f64(number)
            .map_or_else(|| Self::Text(number.to_string().into()), Self::Number)
    }
}

impl From<&'static str> for Param {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Param {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

/// The parameters of a validation rule by name, for clients that translate the message.
pub type Params = BTreeMap<Cow<'static, str>, Param>;

/// The schema of [`Params`].
pub(crate) fn params_schema() -> RefOr<Schema> {
    let values = [Type::Number, Type::String]
        .into_iter()
        .fold(OneOfBuilder::new(), |one_of, kind| one_of.item(ObjectBuilder::new().schema_type(kind)));
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("Parameters of the rule by name; absent when it has none."))
        .additional_properties(Some(AdditionalProperties::RefOr(values.into())))
        .examples([serde_json::json!({"min": 8})])
        .into()
}

/// A validation error: a stable code, a message, and the parameters of the rule. It never contains the invalid value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ValidationError {
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: Cow<'static, str>,
    #[serde(default)]
    pub(crate) params: Params,
}

impl ValidationError {
    /// An error with a stable code, in `snake_case`, and a message, which continues a sentence after the name of the field and must
    /// not repeat the value.
    #[must_use]
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code: code.into(), message: message.into(), params: Params::new() }
    }

    /// Adds a parameter.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Param>) -> Self {
        self.params.insert(name.into(), value.into());
        self
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The error as a text, because errors of serde and garde carry nothing else: a mark that no request can contain, and JSON.
    fn marked(&self) -> String {
        format!("{MARK}{}", serde_json::to_string(self).unwrap_or_default())
    }

    /// The error in the text of an error of serde or garde; `None` for their own messages.
    pub(crate) fn unmarked(text: &str) -> Option<Self> {
        serde_json::from_str(text.strip_prefix(MARK)?).ok()
    }

    /// Converts the error into an error of a deserializer.
    #[must_use]
    pub fn into_serde<E: de::Error>(self) -> E {
        E::custom(self.marked())
    }
}

/// Start of a [`ValidationError`] in the text of an error of serde or garde. Control characters are refused in requests, so no
/// request can forge one.
const MARK: char = '\u{1}';

impl From<ValidationError> for garde::Error {
    fn from(error: ValidationError) -> Self {
        Self::new(error.marked())
    }
}
