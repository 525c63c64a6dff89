//! A key as a section describes it: what it accepts, what it is when nobody sets it, what it means.

use std::fmt::Display;

use crate::form::Form;
use crate::row::{Part, Plain};

/// A key of type `T`: everything that there is to say of it.
pub struct Key<T> {
    pub(crate) name: &'static str,
    pub(crate) plain: Option<Plain>,
    pub(crate) form: Form<T>,
    pub(crate) default: Fallback,
    pub(crate) meaning: &'static str,
}

/// A key of this name in its section. `meaning` is a noun phrase for operators, and what else they have to know.
pub fn key<T>(
    name: &'static str,
    form: Form<T>,
    default: impl Into<Fallback>,
    meaning: &'static str,
) -> Key<T> {
    Key { name, plain: None, form, default: default.into(), meaning }
}

impl<T> Key<T> {
    /// The same, which a variable of this name sets too, without the program's prefix. The one with the prefix wins.
    #[must_use]
    pub fn plain(mut self, name: &'static str) -> Self {
        self.plain = Some(Plain { name, part: None });
        self
    }

    /// The same, of which a variable of this name sets a part: `put` makes the new value out of the one that is there and the
    /// variable's, or nothing if that is not what it `needs` ("a port from 0 to 65535").
    #[must_use]
    pub fn plain_part(
        mut self,
        name: &'static str,
        needs: &'static str,
        put: fn(&str, &str) -> Option<String>,
    ) -> Self {
        self.plain = Some(Plain { name, part: Some(Part { needs, put }) });
        self
    }
}

/// The value of a key that nobody set. It is text that the key's form has to accept, so that bounds hold for it too.
#[derive(Clone, Debug)]
pub struct Fallback {
    pub(crate) text: String,
    /// What the reference says in its place.
    pub(crate) words: Option<String>,
}

/// Anything that can be written is a default that is always the same. Lists are written with commas.
impl<T: Display> From<T> for Fallback {
    fn from(value: T) -> Self {
        Self { text: value.to_string(), words: None }
    }
}

/// A default that follows from other values, as described.
pub fn derived(value: impl Display, words: &str) -> Fallback {
    Fallback { text: value.to_string(), words: Some(words.to_owned()) }
}

/// No value, which means what is described after "empty: ".
#[must_use]
pub fn empty(words: &str) -> Fallback {
    Fallback { text: String::new(), words: Some(format!("empty: {words}")) }
}
