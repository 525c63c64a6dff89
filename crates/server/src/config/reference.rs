//! The table of keys as people read it.

/// What follows `ashlar config --help`.
#[must_use]
pub fn terminal() -> String {
    super::table().terminal()
}

/// The end of `docs/configuration.md`: everything from its first line on is generated.
#[must_use]
pub fn markdown() -> String {
    super::table().markdown()
}
