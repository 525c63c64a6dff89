//! What the generator does not begin with: a wish that breaks a rule, told apart from what fails while it works.

use std::fmt;

/// One sentence on what was asked for and what to ask for instead. The tool ends with 2 then, as for any wrong usage.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal(String);

impl Refusal {
    /// A refusal with this sentence, on one line whatever was asked for.
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into().replace(char::is_control, " "))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

/// Refuses with this sentence.
pub(crate) fn refuse<T>(sentence: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new(sentence))
}
