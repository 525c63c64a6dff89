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
pub(super) struct Fault {
    /// The key whose value it is about, if it is about one.
    pub(super) key: Option<&'static str>,
    sentence: String,
}

impl Fault {
    /// A fault of no single key.
    pub(super) fn new(sentence: impl Into<String>) -> Self {
        Self { key: None, sentence: sentence.into() }
    }

    /// A fault of this key's value.
    pub(super) fn of(key: &'static str, sentence: impl Into<String>) -> Self {
        Self { key: Some(key), sentence: sentence.into() }
    }
}

/// The faults found so far.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    /// Adds one, unless its key has one already: what follows from a wrong value helps nobody. True if it was added.
    pub(super) fn add(&mut self, fault: Fault) -> bool {
        let is_new = fault.key.is_none_or(|key| self.0.iter().all(|known| known.key != Some(key)));
        if is_new {
            self.0.push(fault);
        }
        is_new
    }

    /// The value, or nothing and one fault more.
    pub(super) fn note<T>(&mut self, outcome: Result<T, Fault>) -> Option<T> {
        outcome.map_err(|fault| self.add(fault)).ok()
    }

    /// What was made in the meantime, if there is no fault.
    pub(super) fn or<T>(self, made: Option<T>) -> Result<T, ConfigError> {
        match made {
            Some(made) if self.0.is_empty() => Ok(made),
            _ => Err(ConfigError(self.0)),
        }
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
