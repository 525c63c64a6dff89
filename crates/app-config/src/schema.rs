//! All keys of a program.

use std::path::PathBuf;

use configuration::{ConfigError, Sources, Table};

use crate::config::Config;
use crate::loaded::Loaded;
use crate::sections::ReadSections;

/// What decides which keys a program has and how they are called.
#[derive(Clone, Debug)]
pub struct ConfigSchema {
    /// Name of the program, in lower case and with hyphens: variables and files begin with it.
    pub program: &'static str,
    /// Default of `project_name`.
    pub title: &'static str,
    /// Functions that read the sections of the domains, in the order of the reference.
    pub domains: Vec<ReadSections>,
}

impl ConfigSchema {
    /// The table of all keys: what `config --help` and the end of `docs/configuration.md` say.
    #[must_use]
    pub fn table(&self) -> Table {
        Table::of::<Config>(self.program, (self.title, &self.domains))
    }

    /// Reads and checks everything.
    ///
    /// # Errors
    ///
    /// The sentences that say why the server cannot start with it.
    pub fn load(&self, sources: &Sources) -> Result<Loaded, ConfigError> {
        let (config, effective) = self.table().load::<Config>(sources, (self.title, &self.domains))?;
        Ok(Loaded::new(config, effective))
    }

    /// The same from the environment of this process, and from `file` if one is named.
    ///
    /// # Errors
    ///
    /// The sentences that say why the server cannot start with it.
    pub fn load_from_process(&self, file: Option<PathBuf>) -> Result<Loaded, ConfigError> {
        self.load(&Sources::of_process(file, &self.table())?)
    }
}
