//! A configuration that was read and has touched nothing yet.

use configuration::{ConfigError, Effective};
use secrecy::ExposeSecret as _;

use crate::config::{Config, Provenance};
use crate::secret;

/// A configuration that was read and checked, and that has touched nothing yet: a secret that has to be made is missing.
#[derive(Clone, Debug)]
pub struct Loaded {
    config: Config,
    effective: Effective,
}

impl Loaded {
    pub(crate) fn new(config: Config, effective: Effective) -> Self {
        Self { config, effective }
    }

    /// The complete configuration. In development this is where the secret key is made, if there is none.
    ///
    /// # Errors
    ///
    /// The data folder cannot be written to, or holds a secret that is too weak.
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

    /// The configuration as it stands, which is enough for what touches no data: a secret that has to be made is empty.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Every key with its value and its source, one a line, in the syntax of the configuration file. Secrets and the passwords
    /// in URLs are redacted. What [`resolve`](Self::resolve) would find or make is there as a source and not as a secret.
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
