//! Types of fields of uploads.

use std::borrow::Cow;
use std::ops::Deref;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use shared_kernel::field::{FieldSchema, TextField, ValidationError};
use shared_kernel::text::SingleLine;
use shared_kernel::text_field;
use utoipa::openapi::schema::ObjectBuilder;

/// Name of a file: a label of 1 to 255 characters, not a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileName(SingleLine<1, 255>);

impl FileName {
    /// The name as text.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0.into_string()
    }
}

impl Deref for FileName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl TextField for FileName {
    fn parse(text: &str) -> Result<Self, ValidationError> {
        let name = SingleLine::parse(text)?;
        let refused = |message: &'static str| Err(ValidationError::new("filename", message));
        if name.starts_with('.') {
            refused("must not start with a dot")
        } else if name.contains(['/', '\\']) {
            refused("must not contain / or \\: it is a name and not a path")
        } else if name.contains(turns_the_text) {
            refused("must not contain characters that change the direction of text")
        } else {
            Ok(Self(name))
        }
    }

    fn example() -> Cow<'static, str> {
        "harbour.png".into()
    }
}

/// With these `gpj.exe` is shown as `exe.jpg` (Unicode UAX #9, explicit directional formatting).
fn turns_the_text(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl FieldSchema for FileName {
    fn name() -> Cow<'static, str> {
        "FileName".into()
    }

    fn rules(schema: ObjectBuilder) -> ObjectBuilder {
        const PATTERN: &str = concat!(
            r"^[^./\\\s\x00-\x1f\x7f-\x9f\u00ad\u034f\u115f\u1160\u200b-\u200f\u202a-\u202e\u2060-\u206f\u061c\u2028\u2029\u2800\u3164\ufeff\uffa0]",
            r"([^/\\\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]*)$"
        );
        schema.min_length(Some(1)).max_length(Some(255)).pattern(Some(PATTERN))
    }
}

text_field!(FileName);

/// A SHA-256 in standard base64 (RFC 4648, section 4): the canonical text of 44 characters for its 32 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sha256Checksum(String);

impl Sha256Checksum {
    /// The checksum as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The checksum as text.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

impl TextField for Sha256Checksum {
    fn parse(text: &str) -> Result<Self, ValidationError> {
        let text = text.trim();
        match STANDARD.decode(text) {
            Ok(bytes) if bytes.len() == 32 => Ok(Self(text.to_owned())),
            _ => Err(ValidationError::new(
                "checksum",
                "must be a SHA-256 in standard base64: 32 bytes, 44 characters",
            )),
        }
    }

    fn example() -> Cow<'static, str> {
        "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=".into()
    }
}

impl FieldSchema for Sha256Checksum {
    fn name() -> Cow<'static, str> {
        "Sha256Checksum".into()
    }

    fn rules(schema: ObjectBuilder) -> ObjectBuilder {
        schema.min_length(Some(44)).max_length(Some(44)).pattern(Some("^[A-Za-z0-9+/]{43}=$"))
    }
}

text_field!(Sha256Checksum);
