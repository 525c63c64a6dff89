//! The whole configuration: the sections of the server and those of all domains.

use configuration::Table;

use crate::config::{self, Config, ConfigError, Loaded, ReadSections, Sources};
use crate::routers::MODULES;

/// Reads and checks everything.
///
/// # Errors
///
/// The sentences that say why the server cannot start with it.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    Config::load(sources, &domains())
}

/// The table of all keys: what `config --help` and the end of `docs/configuration.md` say.
#[must_use]
pub fn table() -> Table {
    config::table(&domains())
}

fn domains() -> Vec<ReadSections> {
    MODULES.iter().map(|module| module.settings).collect()
}
