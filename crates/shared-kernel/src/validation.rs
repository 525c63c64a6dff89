//! What a broken rule says: a code, a sentence and parameters. It stands below [`error`](crate::error), which says of which field
//! it is said, and below [`field`](crate::field), whose types say it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, OneOfBuilder, Schema, Type};

/// A parameter of a broken rule: a number or a string.
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
    /// JSON has no other number than a finite one.
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

/// The parameters of a broken rule by name, for clients that write the sentence in their own language.
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

/// A broken rule: a stable code, a sentence, and the parameters of the rule. It has no place for the value that broke it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ValidationError {
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: Cow<'static, str>,
    #[serde(default)]
    pub(crate) params: Params,
}

impl ValidationError {
    /// An error with this stable code, in `snake_case`, and this sentence, which goes on after the field's name and must
    /// not repeat the value.
    #[must_use]
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code: code.into(), message: message.into(), params: Params::new() }
    }

    /// The same with a parameter.
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

    /// The error as serde and garde carry it, which know only texts: a mark that no request has, and JSON.
    fn marked(&self) -> String {
        format!("{MARK}{}", serde_json::to_string(self).unwrap_or_default())
    }

    /// The error in a text that serde or garde carried; `None` for words of their own.
    pub(crate) fn unmarked(text: &str) -> Option<Self> {
        serde_json::from_str(text.strip_prefix(MARK)?).ok()
    }

    /// As an error of a deserializer.
    #[must_use]
    pub fn into_serde<E: de::Error>(self) -> E {
        E::custom(self.marked())
    }
}

/// Stands before a [`ValidationError`] in the words of serde and garde. Control characters are refused in requests, so no
/// request can forge one.
const MARK: char = '\u{1}';

impl From<ValidationError> for garde::Error {
    fn from(error: ValidationError) -> Self {
        Self::new(error.marked())
    }
}
