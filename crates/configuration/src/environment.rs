//! What an installation is run for.

use std::fmt;

/// What the program is run for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// On a developer's machine: everything has a default.
    Development,
    /// As in production, with the one exception that pages of developers' machines may call.
    Staging,
    /// For users: what is unsafe by default is refused.
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
