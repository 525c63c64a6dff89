//! A configuration without side effects.

use configuration::{ConfigError, Effective};
use secrecy::ExposeSecret as _;

use crate::config::{Config, Provenance};
use crate::secret;

/// A configuration that was read and checked, without side effects: a secret key that has to be generated is empty.
#[derive(Clone, Debug)]
pub struct Loaded {
    config: Config,
    effective: Effective,
}

impl Loaded {
    pub(crate) fn new(config: Config, effective: Effective) -> Self {
        Self { config, effective }
    }

    /// The complete configuration. In development this generates the secret key if there is none.
    ///
    /// # Errors
    ///
    /// The data folder cannot be written to, or contains a secret that is too weak.
    pub fn resolve(self) -> Result<Config, ConfigError> {
        let mut config = self.config;
        config.provenance = Provenance {
            database_url: self.effective.origin("database.url").to_owned(),
            unprefixed: self.effective.unprefixed(),
        };
        if config.secret_key.expose_secret().is_empty() {
            config.secret_key = secret::read_or_make(&config)?;
        }
        Ok(config)
    }

    /// The configuration without side effects, for commands that touch no data: a secret key that has to be generated is empty.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Every key with its value and its source, one a line, in the syntax of the configuration file. Secrets and the passwords
    /// in URLs are redacted. A secret key that [`resolve`](Self::resolve) would read or generate is represented by its source.
    #[must_use]
    pub fn effective(&self) -> String {
        let mut effective = self.effective.clone();
        if effective.is_empty("secret_key") {
            let file = secret::file(&self.config);
            let (stand_in, origin) = if file.is_file() {
                ("kept", file.display().to_string())
            } else {
                ("", format!("will be made in {}", file.display()))
            };
            effective.replace("secret_key", stand_in, origin);
        }
        effective.to_toml()
    }
}
