//! Display names of accounts.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use shared_kernel::field::{FieldSchema, TextField, ValidationError};
use shared_kernel::text::SingleLine;
use shared_kernel::text_field;
use utoipa::openapi::schema::ObjectBuilder;

/// One line of 1 to 100 characters.
type Text = SingleLine<1, 100>;

/// The display name of an account, which others see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisplayName(Text);

impl DisplayName {
    /// The name.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0.into_string()
    }
}

impl Deref for DisplayName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DisplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TextField for DisplayName {
    fn parse(text: &str) -> Result<Self, ValidationError> {
        Text::parse(text).map(Self)
    }

    fn example() -> Cow<'static, str> {
        "Ada Lovelace".into()
    }
}

impl FieldSchema for DisplayName {
    fn name() -> Cow<'static, str> {
        "DisplayName".into()
    }

    fn rules(schema: ObjectBuilder) -> ObjectBuilder {
        Text::rules(schema)
    }
}

text_field!(DisplayName);
