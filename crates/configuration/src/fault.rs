//! Faults of a configuration, which are all reported together, a sentence for each.

use std::fmt;

/// The configuration is invalid. The text has a line for each fault: the key, the source of its value, and what to do. It contains
/// no secrets.
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

/// One fault of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Name of the key with the wrong value, if it is a single one.
    key: Option<String>,
    sentence: String,
}

impl Fault {
    /// A fault that is not about a single key.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self { key: None, sentence: sentence.into() }
    }

    /// A fault of the value of a key.
    pub(crate) fn of(key: &str, sentence: impl Into<String>) -> Self {
        Self { key: Some(key.to_owned()), sentence: sentence.into() }
    }
}

/// The faults found so far.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    /// Adds a fault, unless its key has one already: consequences of a wrong value are not helpful.
    pub(crate) fn add(&mut self, fault: Fault) {
        if fault.key.is_none() || self.0.iter().all(|known| known.key != fault.key) {
            self.0.push(fault);
        }
    }

    /// The value; an error is added to the faults.
    pub(crate) fn note<T>(&mut self, outcome: Result<T, Fault>) -> Option<T> {
        outcome.map_err(|fault| self.add(fault)).ok()
    }

    /// The value, if there are no faults.
    pub(crate) fn or<T>(self, made: Option<T>) -> Result<T, ConfigError> {
        match made {
            Some(made) if self.0.is_empty() => Ok(made),
            _ => Err(ConfigError(self.0)),
        }
    }
}

/// `value` in quotes for a sentence: on one line, and shortened.
#[must_use]
pub fn quoted(value: &str) -> String {
    const LONGEST: usize = 120;
    let escaped = value.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'");
    match escaped.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("`{}…`", &escaped[..end]),
        None => format!("`{escaped}`"),
    }
}
