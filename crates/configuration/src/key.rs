//! A key as a section describes it: what it accepts, its default, its meaning.

use std::fmt::Display;

use crate::form::Form;
use crate::row::{Alias, Part};

/// The description of a key of type `T`.
pub struct Key<T> {
    pub(crate) name: &'static str,
    pub(crate) alias: Option<Alias>,
    pub(crate) form: Form<T>,
    pub(crate) default: KeyDefault,
    pub(crate) meaning: &'static str,
}

/// A key of this name in its section. `meaning` is a noun phrase for operators, followed by anything else that they have to know.
pub fn key<T>(
    name: &'static str,
    form: Form<T>,
    default: impl Into<KeyDefault>,
    meaning: &'static str,
) -> Key<T> {
    Key { name, alias: None, form, default: default.into(), meaning }
}

impl<T> Key<T> {
    /// Adds a variable without the program's prefix that sets the key, too. The one with the prefix wins.
    #[must_use]
    pub fn alias(mut self, name: &'static str) -> Self {
        self.alias = Some(Alias { name, part: None });
        self
    }

    /// Adds a variable without the program's prefix that sets a part of the value: `put` makes the new value out of the present one and
    /// that of the variable, or nothing if that is not what it `needs` ("a port from 0 to 65535").
    #[must_use]
    pub fn partial_alias(
        mut self,
        name: &'static str,
        needs: &'static str,
        put: fn(&str, &str) -> Option<String>,
    ) -> Self {
        self.alias = Some(Alias { name, part: Some(Part { needs, put }) });
        self
    }
}

/// The default of a key: text that the key's form has to accept, so that its bounds apply to it.
#[derive(Clone, Debug)]
pub struct KeyDefault {
    pub(crate) text: String,
    /// Text of the reference in its place.
    pub(crate) words: Option<String>,
}

/// Any value that can be displayed is a constant default. Lists are separated by commas.
impl<T: Display> From<T> for KeyDefault {
    fn from(value: T) -> Self {
        Self { text: value.to_string(), words: None }
    }
}

/// A default that depends on other values, as `words` describe it.
pub fn derived(value: impl Display, words: &str) -> KeyDefault {
    KeyDefault { text: value.to_string(), words: Some(words.to_owned()) }
}

/// No value, with the meaning that `words` describe.
#[must_use]
pub fn empty(words: &str) -> KeyDefault {
    KeyDefault { text: String::new(), words: Some(format!("empty: {words}")) }
}
