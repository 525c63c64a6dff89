//! The effective configuration: every key with its value, redacted, and its source.

use std::fmt::Write as _;

use figment::value::Value;

use crate::row::Row;
use crate::show::Shown;

/// Source of a value that nobody set.
pub(crate) const DEFAULT: &str = "default";

/// Every key with its value and its source, without secrets.
#[derive(Clone, Debug)]
pub struct Effective(Vec<Reading>);

/// One key that was read.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(crate) row: Row,
    pub(crate) shown: Shown,
    pub(crate) origin: String,
}

impl Effective {
    pub(crate) fn new(readings: Vec<Reading>) -> Self {
        Self(readings)
    }

    /// Source of the value of the key of this name, such as `environment variable DATABASE_URL`.
    #[must_use]
    pub fn origin(&self, name: &str) -> &str {
        self.reading(name).map_or(DEFAULT, |reading| &reading.origin)
    }

    /// Whether a key has no value.
    #[must_use]
    pub fn is_empty(&self, name: &str) -> bool {
        self.reading(name).is_none_or(|reading| reading.shown.is_empty)
    }

    /// Variables without the program's prefix that set a key; other programs may use the same names.
    #[must_use]
    pub fn unprefixed(&self) -> Vec<&'static str> {
        let set_it = |reading: &Reading| {
            reading.row.alias_name().filter(|alias| reading.origin.split(' ').any(|word| word == *alias))
        };
        self.0.iter().filter_map(set_it).collect()
    }

    /// Replaces the shown value of a key: for values that are found or made only when they are needed.
    pub fn replace(&mut self, name: &str, value: &str, origin: impl Into<String>) {
        if let Some(reading) = self.0.iter_mut().find(|reading| reading.row.name == name) {
            reading.shown = Shown::new(reading.row.kind, &Value::from(value));
            reading.origin = origin.into();
        }
    }

    /// One line for each key, with its source, in the syntax of the file.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        let mut section = "";
        for Reading { row, shown, origin } in &self.0 {
            if row.section() != section {
                section = row.section();
                text.push('\n');
            }
            // Writing to a string does not fail.
            let _ = writeln!(text, "{} = {}  # {origin}", row.name, shown.toml);
        }
        text
    }

    fn reading(&self, name: &str) -> Option<&Reading> {
        self.0.iter().find(|reading| reading.row.name == name)
    }
}
