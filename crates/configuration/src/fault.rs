//! What stops a start: one sentence for each fault, all of them at once.

use std::fmt;

/// The configuration cannot be used. Its text has a line for each fault: the key, where the value came from, and what to
/// do. It never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(Vec<Fault>);

impl ConfigError {
    /// One sentence for each fault.
    pub fn sentences(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|fault| fault.sentence.as_str())
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentences().collect::<Vec<_>>().join("\n"))
    }
}

impl std::error::Error for ConfigError {}

impl From<Fault> for ConfigError {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Name of the key whose value it is about, if it is about one.
    key: Option<String>,
    sentence: String,
}

impl Fault {
    /// A fault of no single key.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self { key: None, sentence: sentence.into() }
    }

    /// A fault of the value of the key of this name.
    pub(crate) fn of(key: &str, sentence: impl Into<String>) -> Self {
        Self { key: Some(key.to_owned()), sentence: sentence.into() }
    }
}

/// The faults found so far.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    /// Adds one, unless its key has one already: what follows from a wrong value helps nobody.
    pub(crate) fn add(&mut self, fault: Fault) {
        if fault.key.is_none() || self.0.iter().all(|known| known.key != fault.key) {
            self.0.push(fault);
        }
    }

    /// The value, or nothing and one fault more.
    pub(crate) fn note<T>(&mut self, outcome: Result<T, Fault>) -> Option<T> {
        outcome.map_err(|fault| self.add(fault)).ok()
    }

    /// What was made in the meantime, if there is no fault.
    pub(crate) fn or<T>(self, made: Option<T>) -> Result<T, ConfigError> {
        match made {
            Some(made) if self.0.is_empty() => Ok(made),
            _ => Err(ConfigError(self.0)),
        }
    }
}

/// `value` as it may stand in a sentence: on one line, and not longer than a reader wants.
#[must_use]
pub fn quoted(value: &str) -> String {
    const LONGEST: usize = 120;
    let escaped = value.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'");
    match escaped.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("`{}…`", &escaped[..end]),
        None => format!("`{escaped}`"),
    }
}
