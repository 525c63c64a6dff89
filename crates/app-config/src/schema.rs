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

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn variables_files_and_defaults_are_called_after_the_program() {
        let schema = ConfigSchema { program: "tin-kettle", title: "Tin Kettle", domains: Vec::new() };
        let reference = schema.table().markdown();
        assert!(reference.contains("`TIN_KETTLE_DATABASE__URL`, `DATABASE_URL`"), "{reference}");
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tin-kettle.toml"), "log_level = \"warn\"\n").unwrap();
        let sources = Sources {
            file: None,
            environment: vec![("TIN_KETTLE_SERVER__WORKERS".to_owned(), "2".to_owned())],
            working_dir: folder.path().to_owned(),
        };
        let loaded = schema.load(&sources).unwrap();
        let config = loaded.config();
        assert_eq!((config.server.workers, config.log_level.as_str()), (2, "warn"));
        assert_eq!(config.project_name, "Tin Kettle");
        assert!(config.database.url.expose_secret().ends_with("/tin-kettle.sqlite"));
        assert_eq!(config.variable("data_dir"), "TIN_KETTLE_DATA_DIR");
    }

    #[test]
    fn an_unknown_variable_of_the_program_is_a_fault() {
        let schema = ConfigSchema { program: "tin-kettle", title: "Tin Kettle", domains: Vec::new() };
        let folder = tempfile::tempdir().unwrap();
        let sources = Sources {
            file: None,
            environment: vec![("TIN_KETTLE_SERVER__WORKER".to_owned(), "2".to_owned())],
            working_dir: folder.path().to_owned(),
        };
        let faults = schema.load(&sources).unwrap_err();
        let sentences: Vec<_> = faults.sentences().collect();
        assert!(sentences.len() == 1 && sentences[0].contains("TIN_KETTLE_SERVER__WORKERS"), "{sentences:?}");
    }
}
