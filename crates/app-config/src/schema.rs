//! The schema of a configuration: all keys of a program.

use std::path::PathBuf;

use configuration::{ConfigError, Sources, Table};

use crate::config::Config;
use crate::loaded::Loaded;
use crate::sections::ReadSections;

/// The name of a program and the sections of its domains, which determine all keys.
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
    /// The table of all keys, for `config --help` and `docs/configuration.md`.
    #[must_use]
    pub fn table(&self) -> Table {
        Table::of::<Config>(self.program, (self.title, &self.domains))
    }

    /// Reads and checks a configuration.
    ///
    /// # Errors
    ///
    /// The faults of the configuration.
    pub fn load(&self, sources: &Sources) -> Result<Loaded, ConfigError> {
        let (config, effective) = self.table().load::<Config>(sources, (self.title, &self.domains))?;
        Ok(Loaded::new(config, effective))
    }

    /// Reads and checks the configuration of this process, from `file` if one is named.
    ///
    /// # Errors
    ///
    /// The faults of the configuration.
    pub fn load_from_process(&self, file: Option<PathBuf>) -> Result<Loaded, ConfigError> {
        self.load(&Sources::of_process(file, &self.table())?)
    }
}
