//! Writes the line of a field, from which the parser reads the same field.

use std::fmt;

use super::default_on_delete;
use crate::domain::spec::{Field, Kind};

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, typed(self))?;
        if self.range.min.is_some() || self.range.max.is_some() {
            let end = |end: &Option<String>| end.clone().unwrap_or_default();
            write!(f, ":{}..{}", end(&self.range.min), end(&self.range.max))?;
        }
        for word in flags(self) {
            write!(f, ":{word}")?;
        }
        if let Some(rule) = self.on_delete.filter(|rule| Some(*rule) != default_on_delete(self)) {
            write!(f, ":{rule}")?;
        }
        if let Some(other) = &self.within {
            write!(f, ":within={other}")?;
        }
        match &self.default {
            Some(value) if self.kind != Kind::Bool => write!(f, ":default={value}"),
            _ => Ok(()),
        }
    }
}

fn typed(field: &Field) -> String {
    let word = field.kind.word();
    match &field.kind {
        Kind::Bool => {
            field.default.as_ref().map_or_else(|| word.to_owned(), |value| format!("{word}={value}"))
        }
        Kind::Decimal { precision, scale } => format!("{word}={precision},{scale}"),
        Kind::Enum(choices) => format!("{word}={}", choices.join(",")),
        Kind::Ref(target) => format!("{word}={target}"),
        _ => word.to_owned(),
    }
}

fn flags(field: &Field) -> impl Iterator<Item = &'static str> {
    let flags = [
        (field.optional, "optional"),
        (field.unique, "unique"),
        (field.index, "index"),
        (field.filter, "filter"),
        (field.sort, "sort"),
        (field.search, "search"),
        (field.owner, "owner"),
    ];
    flags.into_iter().filter(|(is_on, _)| *is_on).map(|(_, word)| word)
}
