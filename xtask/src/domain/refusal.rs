//! The error of arguments that break a rule, as opposed to an error while a command runs.

use std::fmt;

/// One sentence on the error and on what to write instead. The tool then exits with code 2, as for any wrong usage.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal(String);

impl Refusal {
    /// A refusal with this sentence, on one line even if an argument has line breaks.
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

/// Returns a [`Refusal`] with this sentence.
pub(crate) fn refuse<T>(sentence: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new(sentence))
}
