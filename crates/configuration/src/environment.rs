//! The environment of an installation.

use std::fmt;

/// Purpose of an installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// A developer's machine, where everything has a default.
    Development,
    /// As production, except that pages on developers' machines may call the API.
    Staging,
    /// For users: unsafe defaults are refused.
    Production,
}

impl Environment {
    /// The environment of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Development, Self::Staging, Self::Production]
            .into_iter()
            .find(|environment| environment.to_string() == name)
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Development => "development",
            Self::Staging => "staging",
            Self::Production => "production",
        })
    }
}
