//! The one sentence that stops a start.

/// The configuration cannot be used. Its text is one sentence on one line: the key, where the value came from, and what
/// to do. It never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    pub(super) fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

/// `value` as it may stand in a sentence: on one line, and not longer than a reader wants.
pub(super) fn quoted(value: &str) -> String {
    const LONGEST: usize = 120;
    let escaped = value.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'");
    match escaped.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("`{}…`", &escaped[..end]),
        None => format!("`{escaped}`"),
    }
}
