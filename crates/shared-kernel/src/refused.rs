//! What a type says of a text that it does not take.

use std::borrow::Cow;
use std::fmt;

/// What a type of ours says of a text that it does not take, for its `Deserialize`: `Err(D::Error::custom(Refused::new(…)))`.
/// Of all errors that serde lets a type make of its own words, [`ShapeError`](crate::json::ShapeError) repeats only this one's.
#[derive(Clone, Debug)]
pub struct Refused {
    code: &'static str,
    message: Cow<'static, str>,
}

/// Stands before the words of a [`Refused`]. No request has it: control characters were refused before.
pub(crate) const OURS: char = '\u{1}';

impl Refused {
    /// With that stable code, and a sentence that has nothing of the input.
    #[must_use]
    pub fn new(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into() }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{OURS}{}{OURS}{}", self.code, self.message)
    }
}
